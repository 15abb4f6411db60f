// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// buildExample builds an example app.
func buildExample(t *testing.T, name string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = filepath.Join("..", "examples", name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// freeAddress is where nobody listens now. The port is not one of those that the
// system gives to whoever asks for any, such as another test before this one gets
// to use it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 15_000+rand.IntN(15_000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// signin is a service of one or several processes of the example app, with one
// public origin.
type signin struct {
	binary   string
	origin   string
	config   map[string]any
	client   provider.Client
	provider *provider.Provider
}

const clientSecret = "the secret of the web app + %"

// newSignin starts a provider that knows the service, but no process of it yet.
func newSignin(t *testing.T, options provider.Options, store map[string]any) *signin {
	t.Helper()
	s := &signin{binary: buildExample(t, "signin"), origin: "http://" + freeAddress(t)}
	s.client = provider.Client{
		ID: "signin", Secret: clientSecret, RedirectURIs: []string{s.origin + "/callback"},
		Metadata: map[string]any{
			"post_logout_redirect_uris": []string{s.origin + "/"},
			"backchannel_logout_uri":    s.origin + "/backchannel-logout", "backchannel_logout_session_required": true,
		},
	}
	options.Clients = append(options.Clients, s.client)
	options.Scopes = append(options.Scopes, "email")
	s.provider = provider.Start(t, options)
	s.config = map[string]any{
		"public_origin": s.origin, "issuer": s.provider.Issuer, "client_id": s.client.ID, "client_secret": "env:CLIENT_SECRET",
		"scopes": []string{"openid", "email"}, "cookie_keys": []string{"env:COOKIE_KEY"}, "session_store": store,
		"idle": "15m", "absolute": "12h",
	}
	return s
}

// server is one process of the service.
type server struct {
	address string
	process *os.Process
	log     *screen
}

// start starts a process and waits until it listens.
func (s *signin) start(t *testing.T, address string) *server {
	t.Helper()
	config := make(map[string]any)
	maps.Copy(config, s.config)
	config["addr"] = address
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &server{log: new(screen)}
	cmd := exec.Command(s.binary, "-config", file)
	cmd.Env = append(os.Environ(), "CLIENT_SECRET="+clientSecret, "COOKIE_KEY="+strings.Repeat("k", 32))
	cmd.Stderr = p.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.process = cmd.Process
	t.Cleanup(func() {
		_ = p.process.Kill()
		_ = cmd.Wait()
	})
	if _, err := fmt.Fscanf(bufio.NewReader(out), "listening %s\n", &p.address); err != nil {
		t.Fatalf("%v: %s", err, p.log)
	}
	return p
}

// visitor is a browser at the service, without scripts: it keeps the cookies of
// the service by hand, since a jar of Go gives no Secure cookies to plain http,
// which browsers do on loopback addresses.
type visitor struct {
	person  *provider.Browser
	cookies map[string]string
}

func newVisitor(t *testing.T, name string) *visitor {
	t.Helper()
	return &visitor{provider.NewBrowser(t, name), make(map[string]string)}
}

// get makes a request as a page of the service's own does.
func (v *visitor) get(t *testing.T, address string, changes ...func(*http.Request)) (response *http.Response, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, change := range changes {
		change(r)
	}
	client := http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if response, err = client.Do(r); err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func (v *visitor) keep(response *http.Response) {
	for _, c := range response.Cookies() {
		if c.Value == "" {
			delete(v.cookies, c.Name)
			continue
		}
		v.cookies[c.Name] = c.Value
	}
}

func asNavigation(r *http.Request) {
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
}

// login goes through the whole login at a process of the service.
func (v *visitor) login(t *testing.T, s *signin, at *server) {
	t.Helper()
	response, body := v.get(t, at.address+"/login", asNavigation)
	if response.StatusCode != http.StatusSeeOther {
		t.Fatalf("login: %d %s", response.StatusCode, body)
	}
	v.keep(response)
	back := v.person.Visit(t, response.Header.Get("Location"), s.origin+"/callback")
	response, body = v.get(t, at.address+back.RequestURI(), asNavigation)
	v.keep(response)
	if response.StatusCode != http.StatusSeeOther || v.cookies["__Host-Http-signin"] == "" {
		t.Fatalf("callback: %d %s %v", response.StatusCode, body, v.cookies)
	}
}

// subject is who a process says is signed in, "" for nobody.
func (v *visitor) subject(t *testing.T, at *server, path string) string {
	t.Helper()
	response, body := v.get(t, at.address+path)
	if response.StatusCode == http.StatusUnauthorized {
		return ""
	}
	var said struct{ Subject, Sub string }
	if err := json.Unmarshal([]byte(body), &said); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", path, response.StatusCode, body)
	}
	return said.Subject + said.Sub
}

// expire waits until the provider itself takes none of its access tokens any
// more.
func (s *signin) expire(t *testing.T) {
	t.Helper()
	enginetest.Eventually(t, 10*time.Second, "the end of the access tokens", func() bool {
		for _, token := range s.provider.Issued(t) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.provider.Issuer+"/me", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return false
			}
		}
		return true
	})
}
