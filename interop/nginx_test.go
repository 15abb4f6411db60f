// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/program"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// startNginx runs nginx with the content of its http block until the test ends, and
// waits until it listens at the address.
func startNginx(t *testing.T, address, block string) {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		binary = "/usr/sbin/nginx"
		if _, err := os.Stat(binary); err != nil {
			enginetest.Missing(t, "nginx", "apt-get install nginx-light")
		}
	}
	dir := t.TempDir()
	var config strings.Builder
	config.WriteString("daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {}\nhttp {\naccess_log off;\n")
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&config, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	file := writeFile(t, dir, "nginx.conf", config.String()+block+"}\n")
	p := program.Start(t, binary, os.Environ(), "-p", dir, "-c", file)
	enginetest.Eventually(t, time.Minute, "nginx listens", func() bool {
		select {
		case <-p.Ended:
			t.Fatalf("nginx ended: %v: %s", p.Err, &p.Errors)
		default:
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// forwardAuth is examples/forwardauth behind nginx with its nginx.conf, in front of an
// application that says which request it got.
type forwardAuth struct {
	origin   string
	provider *provider.Provider
	server   *program.Program
}

func startForwardAuth(t *testing.T) *forwardAuth {
	t.Helper()
	enginetest.Slow(t)
	front, back := freeAddress(t), freeAddress(t)
	f := &forwardAuth{origin: "http://" + front}
	f.provider = ownProvider(t, provider.Options{
		Host: "localhost", Scopes: []string{"email"},
		Clients: []provider.Client{{ID: "notes", Secret: clientSecret, RedirectURIs: []string{f.origin + "/auth/callback"}}},
	})
	f.server = startApp(t, buildExample(t, "forwardauth"), map[string]any{
		"addr": back, "public_origin": f.origin, "proxies": []string{"127.0.0.1/32"}, "issuer": f.provider.Issuer, "client_id": "notes",
		"client_secret": "env:CLIENT_SECRET", "scopes": []string{"email"}, "cookie_keys": []string{"env:COOKIE_KEY"},
	})
	f.server.Prints(t, &f.server.Out, `listening (\S+)\n`)
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		body := must(io.ReadAll(r.Body))
		fmt.Fprintf(w, `<!DOCTYPE html><title>app</title><pre id="got">%s %s
subject %q
email %q
cookie %q
authorization %q
body %q</pre><form method="post" action="/write"><input name="a" value="b"><button id="write">Write</button></form>
<form method="post" action="/auth/logout"><button id="signout">Sign out</button></form>`, r.Method, r.RequestURI,
			r.Header["X-Auth-Subject"], r.Header["X-Auth-Email"], r.Header.Get("Cookie"), r.Header["Authorization"], body)
	}))
	t.Cleanup(application.Close)
	block := must(os.ReadFile(filepath.Join("..", "examples", "forwardauth", "nginx.conf")))
	startNginx(t, front, strings.NewReplacer(
		"127.0.0.1:8080", front, "127.0.0.1:4180", back, "127.0.0.1:3000", application.Listener.Addr().String(),
	).Replace(string(block)))
	return f
}

// forwardAuthInBrowser signs in at an application without a login, behind nginx.
func forwardAuthInBrowser(t *testing.T, page *browser.Page) {
	f := startForwardAuth(t)
	const path = "/report?a=b%26c&d=e"
	lands(t, "signed out: "+path, page.Visit(t, f.origin+path), 0, f.provider.Issuer+"/interaction/…")
	a := &app{service: &service{provider: f.provider}}
	lands(t, "the login", a.consent(t, page, "ada"), http.StatusOK, f.origin+path)
	want := func(line string) {
		t.Helper()
		says(t, page, "#got", line)
	}
	want("GET " + path)
	want(`subject ["ada"]`)
	if got := page.Text(t, "#got"); strings.Contains(got, "__Host-Http-forwardauth") {
		t.Errorf("the application gets the session: %s", got)
	}
	page.Run(t, `document.cookie = 'own=1'`)
	page.Run(t, `document.cookie = 'X__Host-Http-forwardauth=1; path=/report'`) // comes first, and looks alike
	page.Visit(t, f.origin+path)
	want(`cookie "X__Host-Http-forwardauth=1; own=1`)
	// The headers of the client are replaced, and the method counts.
	got := page.Run(t, `fetch('/script', {method: 'PUT', body: 'text', headers: {'X-Auth-Subject': 'admin', 'X-Auth-Email': 'admin@example.com', 'X-Forwarded-Method': 'GET', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Uri': '/x'}}).then((r) => r.text())`)
	for _, line := range []string{`PUT /script`, `subject [\\\"ada\\\"]`, `email []`, `body \\\"text\\\"`} {
		if !strings.Contains(got, strings.ReplaceAll(line, `\\\"`, `\"`)) {
			t.Errorf("the application gets %s of a script, want %s", got, line)
		}
	}
	lands(t, "a form", page.Submit(t, "#write"), http.StatusOK, f.origin+"/write")
	want(`body "a=b"`)
	// A page of the same site, with whose requests the browser sends the cookie.
	sibling := strings.Replace(attacker(t).URL, "localhost", "127.0.0.1", 1)
	page.Visit(t, sibling+"/?action="+f.origin+"/write")
	lands(t, "a form of another origin", page.Submit(t, "button"), http.StatusForbidden, "")
	page.Visit(t, sibling)
	page.Run(t, fmt.Sprintf(`new Promise((done) => document.body.append(Object.assign(document.createElement('iframe'), {src: %q, onload: done}))).then(() => {})`, f.origin+"/"))
	for _, frame := range page.Frames(t) {
		if strings.Contains(frame.Text, "ada") || !strings.Contains(frame.Text, "403") {
			t.Errorf("a frame of another origin shows %+v, want 403", frame)
		}
	}
	page.Visit(t, f.origin+path)
	page.Submit(t, "#signout")
	// Scripts get 401, and forms too.
	person := page.Tab(t)
	lands(t, "/_verify", person.Visit(t, f.origin+"/_verify"), http.StatusNotFound, "")
	yields(t, person, `fetch('/script', {headers: {'X-Auth-Subject': 'admin'}}).then((r) => [r.status, r.redirected])`, "[401,false]")
	// A failure is 503.
	_ = f.server.Process.Kill()
	<-f.server.Ended
	lands(t, "without the server", person.Visit(t, f.origin+path), http.StatusServiceUnavailable, "")
}
