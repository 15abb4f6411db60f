// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/interop/program"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

const clientSecret = "the secret of the web app + %"

// accessTokenLifetime is that of the access tokens of a login at an app.
const accessTokenLifetime = 2 * time.Second

// buildExample builds an example app, once for all tests.
func buildExample(t *testing.T, name string) (binary string) {
	t.Helper()
	build, _ := built.LoadOrStore(name, sync.OnceValue(func() string {
		return program.Build(&shared, filepath.Join("..", "examples", name))
	}))
	return build.(func() string)()
}

var built sync.Map // of functions, by the name of the app

// freeAddress returns a loopback address without a listener. Its port is not one
// that the system assigns, so that no other program gets it in the meantime.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 15_000+rand.IntN(15_000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no free port in 100 attempts")
	return ""
}

// service is an example app with a login: a provider, and one or more processes
// behind one public origin.
type service struct {
	name     string
	binary   string
	addr     string // of the process that serves the origin
	origin   string
	config   map[string]any
	provider *provider.Provider
}

// newService starts a provider that knows the app, and no process of it yet.
// host is the host of the app's origin, 127.0.0.1 or localhost.
func newService(t *testing.T, name, host string, options provider.Options, store map[string]any) *service {
	t.Helper()
	addr := freeAddress(t)
	s := newServiceAt(t, name, addr, "http://"+strings.Replace(addr, "127.0.0.1", host, 1), "", options)
	s.config["session_store"] = store
	return s
}

// newServiceAt is newService for an app that listens at addr and whose pages are below a
// path of an origin. Its sessions are in memory.
func newServiceAt(t *testing.T, name, addr, origin, path string, options provider.Options) *service {
	t.Helper()
	enginetest.Slow(t)
	s := &service{name: name, binary: buildExample(t, name), addr: addr, origin: origin}
	client := provider.Client{
		ID: name, Secret: clientSecret, RedirectURIs: []string{origin + path + "/callback"},
		Metadata: map[string]any{
			"post_logout_redirect_uris": []string{origin + path + "/"},
			"backchannel_logout_uri":    origin + path + "/backchannel-logout", "backchannel_logout_session_required": true,
		},
	}
	options.Clients = append(options.Clients, client, machine)
	options.Scopes = append(options.Scopes, "email")
	options.FirstLifetime = accessTokenLifetime
	s.provider = ownProvider(t, options)
	s.config = map[string]any{
		"public_origin": origin, "issuer": s.provider.Issuer, "client_id": client.ID, "client_secret": "env:CLIENT_SECRET",
		"scopes": []string{"openid", "email"}, "cookie_keys": []string{"env:COOKIE_KEY"}, "session_store": map[string]any{"driver": "memory"},
		"idle": "15m", "absolute": "12h",
	}
	return s
}

// process is one process of a service.
type process struct {
	*program.Program
	address string
}

// start starts a process, which listens when start returns.
func (s *service) start(t *testing.T, address string) *process {
	t.Helper()
	config := maps.Clone(s.config)
	config["addr"] = address
	p := startApp(t, s.binary, config)
	return &process{p, p.Prints(t, &p.Out, `listening (\S+)\n`)}
}

// startApp starts an app with a configuration file, and its secrets in the environment.
func startApp(t *testing.T, binary string, config map[string]any) *program.Program {
	t.Helper()
	file := writeFile(t, t.TempDir(), "config.json", string(must(json.Marshal(config))))
	return program.Start(t, binary, append(os.Environ(), "CLIENT_SECRET="+clientSecret, "COOKIE_KEY="+strings.Repeat("k", 32), "PROVIDER_KEY=sk-of-the-gateway"), "-config", file)
}

// writeFile writes a file that only its owner can read, and returns its path.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// active returns how many of the tokens that the provider issued are active.
func active(t *testing.T, p *provider.Provider, tokens []string) (count int) {
	t.Helper()
	client := newClient(t, oauthConfig(p, machine))
	for _, token := range tokens {
		if strings.HasPrefix(token, "eyJ") { // an ID token
			continue
		}
		if do(client.Introspect(t.Context(), gatehouse.NewSecret([]byte(token)), ""))(t).Active {
			count++
		}
	}
	return count
}

// expire waits until the provider accepts none of the tokens as access tokens.
func (s *service) expire(t *testing.T, tokens []string) {
	t.Helper()
	enginetest.Eventually(t, time.Minute, "the access tokens expire", func() bool {
		for _, token := range tokens {
			if response, _ := send(t, http.DefaultClient, s.provider.Issuer+"/me", http.Header{"Authorization": {"Bearer " + token}}); response.StatusCode == http.StatusOK {
				return false
			}
		}
		return true
	})
}

// visitor is a browser without scripts. It keeps the cookies of the service
// itself: a cookie jar of Go sends no Secure cookies to http://127.0.0.1, which
// browsers do.
type visitor struct {
	person  *provider.Browser
	cookies map[string]string
}

func newVisitor(t *testing.T, name string) *visitor {
	t.Helper()
	return &visitor{provider.NewBrowser(t, name), make(map[string]string)}
}

// get sends a request as a script of the service's own page does.
func (v *visitor) get(t *testing.T, address string, changes ...func(http.Header)) (response *http.Response, body string) {
	t.Helper()
	r := &http.Request{Header: http.Header{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}}}
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, change := range changes {
		change(r.Header)
	}
	response, body = send(t, &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, address, r.Header)
	for _, c := range response.Cookies() {
		if v.cookies[c.Name] = c.Value; c.Value == "" {
			delete(v.cookies, c.Name)
		}
	}
	return response, body
}

func asNavigation(h http.Header) {
	h.Set("Sec-Fetch-Mode", "navigate")
	h.Set("Sec-Fetch-Dest", "document")
}

// authorize starts a login at a process and returns the address of the provider.
func (v *visitor) authorize(t *testing.T, at, query string) string {
	t.Helper()
	response, body := v.get(t, at+"/login"+query, asNavigation)
	if response.StatusCode != http.StatusSeeOther {
		t.Fatalf("GET /login%s: %d %s", query, response.StatusCode, body)
	}
	return response.Header.Get("Location")
}

// login signs the visitor in at a process of a service.
func (v *visitor) login(t *testing.T, s *service, at *process) {
	t.Helper()
	callback := v.person.Visit(t, v.authorize(t, at.address, ""), s.origin+"/callback")
	response, body := v.get(t, at.address+callback.RequestURI(), asNavigation)
	if response.StatusCode != http.StatusSeeOther || len(v.cookies) != 1 {
		t.Fatalf("callback: %d %s, cookies %v", response.StatusCode, body, v.cookies)
	}
}

// subject returns the subject in the response of an API, "" for 401.
func (v *visitor) subject(t *testing.T, at *process, path string) string {
	t.Helper()
	response, body := v.get(t, at.address+path)
	if response.StatusCode == http.StatusUnauthorized {
		return ""
	}
	var got struct{ Subject, Sub string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, response.StatusCode, body)
	}
	return got.Subject + got.Sub
}

// with returns an address with other values of a query parameter, or without it.
func with(address *url.URL, name string, values ...string) string {
	q := address.Query()
	if q[name] = values; len(values) == 0 {
		q.Del(name)
	}
	changed := *address
	changed.RawQuery = q.Encode()
	return changed.String()
}

// do returns the value of a call that needs another process, and fails the test after an
// error.
func do[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
