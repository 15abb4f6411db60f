// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// pieceChars is how long a piece of a secret may not be found.
const pieceChars = 8

// pieces are all pieces of what follows the public part of keys, as they are and
// in the hexadecimal digits in which a dump shows bytes.
type pieces map[string]string // to the public part

func (p pieces) add(text string) {
	cut := strings.LastIndexByte(text, '_') + 1
	for i := cut; i+pieceChars <= len(text); i++ {
		piece := text[i : i+pieceChars]
		p[piece] = text[:cut]
		p[hex.EncodeToString([]byte(piece))] = text[:cut]
	}
}

// search returns the public part of the first key of which a piece stands in
// the text, and where.
func (p pieces) search(text string) (key string, at int, found bool) {
	for i := range len(text) {
		for _, size := range []int{pieceChars, hex.EncodedLen(pieceChars)} {
			if key, ok := p[text[i:min(i+size, len(text))]]; ok {
				return key, i, true
			}
		}
	}
	return "", 0, false
}

// TestNoSecretStays lives through all that can happen to keys and then looks
// for any eight characters of any secret: in all that the engine keeps and
// logs, in all that the processes log, and in all answers.
func TestNoSecretStays(t *testing.T) {
	loud := map[string][]string{
		"postgres": {"log_statement=all", "log_min_duration_statement=0", "log_min_messages=debug1", "log_parameter_max_length=-1", "log_parameter_max_length_on_error=-1"},
		"redis":    {"loglevel debug"},
	}
	for _, name := range []string{"sqlite", "postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name, loud[name]...)
			config := nodeConfig{Engine: name, Store: e.store, CacheTTL: time.Second, Timeout: 5 * time.Second}
			if e.server != nil {
				config.Watch = e.store
			}
			nodes := []*node{startNode(t, config), startNode(t, config)}
			secrets := pieces{}
			ids := map[string]bool{}
			var answers strings.Builder
			say := func(got answer) answer {
				_ = got.header.Write(&answers)
				answers.WriteString(got.body)
				return got
			}
			for i := range 12 {
				a, b := nodes[i%2], nodes[(i+1)%2]
				key := a.create1(t)
				ids[key.ID] = true
				secrets.add(key.Text)
				liveThrough(t, a, b, i, key, secrets, say)
			}
			nodes[0].post("/revoke-all", url.Values{"tenant": {"tenant"}})
			last := nodes[0].create1(t)
			secrets.add(last.Text)
			ids[last.ID] = true
			if e.server != nil {
				e.server.Kill(t)
				say(nodes[0].use(last.Text))
				nodes[0].post("/leaked", nil)
				nodes[0].rotate(last.ID, "1h", 0)
				e.server.Start(t)
				enginetest.Eventually(t, time.Minute, "the node recovers", func() bool {
					return say(nodes[0].use(last.Text)).status == http.StatusNoContent
				})
			}

			places := map[string]string{
				"dump": e.dump(), "log of a node": nodes[0].log.String(), "log of the other node": nodes[1].log.String(),
				"answers": answers.String(),
			}
			if e.server != nil {
				places["log of the engine"] = e.server.Log()
			}
			for place, text := range places {
				if key, at, found := secrets.search(text); found {
					t.Errorf("%s: a piece of the secret of %s stands in\n%q", place, key, text[max(0, at-200):min(len(text), at+200)])
				}
				known := 0
				for id := range ids {
					if strings.Contains(text, id) {
						known++
					}
				}
				// The search sees what there is to see.
				if place == "dump" && known < len(ids) || place == "log of a node" && known == 0 ||
					place == "log of the engine" && name == "postgres" && known == 0 {
					t.Errorf("%s: %d of %d ids stand in it, in %d bytes", place, known, len(ids), len(text))
				}
				for _, planted := range []string{last.Text, hex.EncodeToString([]byte(last.Text))} {
					if _, _, found := secrets.search(text + planted); !found {
						t.Errorf("%s: a secret in it would not be found", place)
					}
				}
				t.Logf("%s: %d bytes, %d of %d ids, no secret", place, len(text), known, len(ids))
			}
		})
	}
}

// liveThrough does all that can be done with a key, rightly and wrongly.
func liveThrough(t *testing.T, a, b *node, i int, key keyView, secrets pieces, say func(answer) answer) {
	t.Helper()
	text := key.Text
	wrong := text[:len(text)-1] + "_"
	bearer := func(text string) http.Header { return http.Header{"Authorization": {"Bearer " + text}} }
	for _, n := range []*node{a, b} {
		if got := say(n.use(text)); got.status != http.StatusNoContent {
			t.Fatalf("answer %d to a good key", got.status)
		}
		say(n.request("/use/", bearer(text)))
		say(n.request("/use/", http.Header{"Authorization": {"ApiKey " + text}}))
		say(n.use(wrong))
		say(n.use(text[:len(text)/2]))
		say(n.use(text + text))
		say(n.use("Bearer " + text))
		say(n.request("/use/", bearer(wrong)))
		say(n.request("/use/", bearer(text+" "+text)))
		say(n.request("/use/", http.Header{"Authorization": {"Basic " + text}}))
		say(n.request("/use/", http.Header{"Authorization": {text}}))
		say(n.request("/use/", http.Header{"Authorization": {"Bearer " + text}, "X-Api-Key": {text}}))
		say(n.request("/use/?api_key="+text, nil))
		say(n.request("/use/?api_key="+text, http.Header{"X-Api-Key": {text}}))
		say(n.request("/use/?q="+url.QueryEscape("my key is "+text), nil))
		say(n.request("/use/"+text, nil))
		say(n.request("/use/"+text+"/x", http.Header{"X-Api-Key": {text}}))
		say(n.request("/use/"+text, http.Header{"Authorization": {"Bearer " + text}, "X-Api-Key": {text}}))
		say(n.request("/use/", http.Header{"Cookie": {"key=" + text}}))
	}
	rotated, status := b.rotate(key.ID, []string{"0s", "1h"}[i%2], 0)
	if status != http.StatusOK {
		t.Fatalf("not rotated: %d\n%s", status, b.log)
	}
	secrets.add(rotated.Text)
	b.rotate(key.ID, "1h", 1) // of a generation that is over
	for _, n := range []*node{a, b} {
		say(n.use(text))
		say(n.use(rotated.Text))
	}
	switch i % 4 {
	case 0:
		a.revoke(key.ID)
	case 1:
		a.post("/suspend/"+key.ID, nil)
	case 2:
		response, err := a.client.Post(a.url+"/leaked", "text/plain", strings.NewReader(rotated.Text))
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("not revoked as leaked: %v, %v", response, err)
		}
		_ = response.Body.Close()
	case 3: // left to revoke-all
	}
	for _, n := range []*node{a, b} {
		say(n.use(rotated.Text))
		say(n.use(text))
	}
}
