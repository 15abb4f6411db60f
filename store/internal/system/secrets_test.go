// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// pieceLength is the number of characters of a secret that must not be found.
const pieceLength = 8

// pieces maps each piece of the secret part of a credential, as it is and in
// hexadecimal digits as in a dump, to the public part.
type pieces map[string]string

func (p pieces) add(public, secret string) {
	for i := 0; i+pieceLength <= len(secret); i++ {
		piece := secret[i : i+pieceLength]
		p[piece] = public
		p[hex.EncodeToString([]byte(piece))] = public
	}
}

func (p pieces) addKey(text string) {
	cut := strings.LastIndexByte(text, '_') + 1
	p.add(text[:cut], text[cut:])
}

// addRefresh adds the two secrets of a refresh token, encoded and decoded.
func (p pieces) addRefresh(t *testing.T, token string) {
	t.Helper()
	const public = 22 // characters of the body that encode the ID
	body := strings.TrimPrefix(token, "gatehouse_refresh_")
	decoded := must(base64.RawURLEncoding.DecodeString(body))
	p.add(body[:public-1], body[public:])
	p.add(body[:public-1], string(decoded[16:]))
}

// search returns the public part of the first credential of which a piece is in
// the text, and its place.
func (p pieces) search(text string) (public string, at int, found bool) {
	for i := range len(text) {
		for _, size := range []int{pieceLength, hex.EncodedLen(pieceLength)} {
			if public, ok := p[text[i:min(i+size, len(text))]]; ok {
				return public, i, true
			}
		}
	}
	return "", 0, false
}

// checkNoSecrets searches texts for pieces of secrets, and checks that the search
// finds a secret that is there.
func checkNoSecrets(t *testing.T, secrets pieces, places map[string]string) {
	t.Helper()
	for place, text := range places {
		if public, at, found := secrets.search(text); found {
			t.Errorf("%s: a piece of the secret of %s is in\n%q", place, public, text[max(0, at-200):min(len(text), at+200)])
		}
		for piece := range secrets {
			if _, _, found := secrets.search(text + piece); !found {
				t.Errorf("%s: the search does not find a secret", place)
			}
			break
		}
	}
}

// checkPublic checks that all public identifiers are in the named texts: these
// are the ones in which a secret would be.
func checkPublic(t *testing.T, ids map[string]bool, places map[string]string, names ...string) {
	t.Helper()
	for _, name := range names {
		for id := range ids {
			if !strings.Contains(places[name], id) {
				t.Errorf("%s: the identifier %s is not in %d bytes", name, id, len(places[name]))
			}
		}
	}
}

// TestNoSecretIsStoredOrLogged uses API keys in every way, correctly and not, and
// then searches for any eight characters of a secret: in the engine's data and
// log, in the logs of the processes and in all responses.
func TestNoSecretIsStoredOrLogged(t *testing.T) {
	verbose := map[string][]string{
		"postgres": {"log_statement=all", "log_min_duration_statement=0", "log_min_messages=debug1", "log_parameter_max_length=-1", "log_parameter_max_length_on_error=-1"},
		"redis":    {"loglevel debug"},
	}
	eachEngineWith(t, allEngines, verbose, func(t *testing.T, e *engine) {
		config := nodeConfig{CacheTTL: time.Second, Timeout: 5 * time.Second}
		if e.server != nil {
			config.Watch = e.store
		}
		nodes := []*node{e.node(t, config), e.node(t, config)}
		secrets, ids := pieces{}, map[string]bool{}
		var responses strings.Builder
		record := func(got response) response {
			_ = got.header.Write(&responses)
			responses.WriteString(got.body)
			return got
		}
		for i := range 12 {
			a, b := nodes[i%2], nodes[(i+1)%2]
			key := a.ok(t, "create", a.create())
			ids[key.ID] = true
			secrets.addKey(key.Text)
			useInEveryWay(t, a, b, i, key, secrets, record)
		}
		nodes[0].post("/key/revoke-all", "tenant", "tenant")
		last := nodes[0].ok(t, "create", nodes[0].create())
		secrets.addKey(last.Text)
		ids[last.ID] = true
		if e.server != nil {
			e.server.Kill(t)
			record(nodes[0].use(last.Text))
			nodes[0].post("/key/leaked", "text", last.Text)
			nodes[0].rotate(last.ID, "1h", 0)
			e.server.Start(t)
			nodes[0].recovers(t, last.Text, http.StatusNoContent)
		}

		places := map[string]string{
			"dump": e.dump(), "log of a node": nodes[0].log.String(), "log of the other node": nodes[1].log.String(),
			"responses": responses.String(),
		}
		checkPublic(t, ids, places, "dump")
		used := map[string]bool{last.ID: true}
		checkPublic(t, used, places, "log of a node")
		if e.server != nil {
			places["log of the engine"] = e.server.Log()
		}
		if e.name == "postgres" {
			checkPublic(t, used, places, "log of the engine")
		}
		checkNoSecrets(t, secrets, places)
	})
}

// useInEveryWay uses a key correctly and incorrectly, rotates it and ends it.
func useInEveryWay(t *testing.T, a, b *node, i int, key response, secrets pieces, record func(response) response) {
	t.Helper()
	text := key.Text
	wrong := text[:len(text)-1] + "_"
	authorization := func(text string) http.Header { return http.Header{"Authorization": {text}} }
	both := http.Header{"Authorization": {"Bearer " + text}, "X-Api-Key": {text}}
	for _, n := range []*node{a, b} {
		if got := record(n.use(text)); got.status != http.StatusNoContent {
			t.Fatalf("use of a new key: status %d, want 204", got.status)
		}
		for _, header := range []string{wrong, text[:len(text)/2], text + text, "Bearer " + text} {
			record(n.use(header))
		}
		for _, header := range []string{"Bearer " + text, "ApiKey " + text, "Bearer " + wrong, "Bearer " + text + " " + text, "Basic " + text, text} {
			record(n.do(http.MethodGet, "/use/", authorization(header), ""))
		}
		for _, request := range []struct {
			path   string
			header http.Header
		}{
			{"", both},
			{"?api_key=" + text, nil},
			{"?api_key=" + text, http.Header{"X-Api-Key": {text}}},
			{"?q=" + url.QueryEscape("my key is "+text), nil},
			{text, nil},
			{text + "/x", http.Header{"X-Api-Key": {text}}},
			{text, both},
			{"", http.Header{"Cookie": {"key=" + text}}},
		} {
			record(n.do(http.MethodGet, "/use/"+request.path, request.header, ""))
		}
	}
	rotated := b.ok(t, "rotate", b.rotate(key.ID, []string{"0s", "1h"}[i%2], 0))
	secrets.addKey(rotated.Text)
	b.rotate(key.ID, "1h", 1) // of an old generation
	useBoth := func() {
		for _, n := range []*node{a, b} {
			record(n.use(text))
			record(n.use(rotated.Text))
		}
	}
	useBoth()
	switch i % 4 {
	case 0:
		a.revoke(key.ID)
	case 1:
		a.post("/key/suspend", "id", key.ID)
	case 2:
		a.ok(t, "revoke as leaked", a.post("/key/leaked", "text", rotated.Text))
	case 3: // left to revoke-all
	}
	useBoth()
}
