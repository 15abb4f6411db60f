// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/provider"
)

// cli is the example app as it is registered: the port is not part of it, RFC
// 8252 section 7.3.
var cli = provider.Client{ID: "cli", RedirectURIs: []string{"http://127.0.0.1/callback"}}

// buildNative builds the example app.
func buildNative(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "native")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = filepath.Join("..", "examples", "native")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// native is the example app under way.
type native struct {
	t        *testing.T
	provider *provider.Provider
	address  string   // of the login, as it is shown
	back     *url.URL // the callback, once the browser has been sent there

	process       *os.Process
	out, problems *screen
	ended         chan error
}

func startNative(t *testing.T, binary string, p *provider.Provider, environment ...string) *native {
	t.Helper()
	n := &native{t: t, provider: p, out: new(screen), problems: &screen{address: make(chan string, 1)}, ended: make(chan error, 1)}
	cmd := exec.Command(binary, "-issuer", p.Issuer, "-client-id", cli.ID, "-scope", "openid email")
	cmd.Stdout, cmd.Stderr = n.out, n.problems
	cmd.Env = append([]string{"HOME=" + t.TempDir()}, environment...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.process = cmd.Process
	go func() { n.ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = n.process.Kill() })
	select {
	case n.address = <-n.problems.address:
	case err := <-n.ended:
		t.Fatalf("%v: %s", err, n.problems)
	}
	return n
}

// login goes through the pages of the provider, up to the callback.
func (n *native) login(name string) *native {
	n.t.Helper()
	// The port is not to be seen before: the request was pushed.
	n.back = provider.NewBrowser(n.t, name).VisitUntil(n.t, n.address, func(next *url.URL) bool {
		return next.Hostname() == "127.0.0.1" && next.Path == "/callback"
	})
	return n
}

// with returns the callback with another value of a parameter, or none.
func (n *native) with(name string, values ...string) string {
	q := n.back.Query()
	if q[name] = values; len(values) == 0 {
		q.Del(name)
	}
	back := *n.back
	back.RawQuery = q.Encode()
	return back.String()
}

// open does what a browser does that is sent to the program.
func (n *native) open(address string) (status int, body string) {
	n.t.Helper()
	response, err := http.Get(address)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	if response.Header.Get("Referrer-Policy") != "no-referrer" || response.Header.Get("Cache-Control") != "no-store" {
		n.t.Errorf("%s: %v", address, response.Header)
	}
	return response.StatusCode, string(text)
}

// end waits for the program to end. Its port is closed then, it has printed no
// token that the provider has given, and none of them is good any more.
func (n *native) end() (good bool) {
	n.t.Helper()
	err := <-n.ended
	if connection, err := net.Dial("tcp", n.back.Host); err == nil {
		connection.Close()
		n.t.Error("the port is still open")
	}
	printed := n.out.String() + n.problems.String()
	if err != nil && n.out.String() != "" {
		n.t.Errorf("it has failed and says %s", n.out)
	}
	asker := newClient(n.t, oauthConfig(n.provider, machine))
	for _, token := range n.provider.Issued(n.t) {
		if strings.Contains(printed, token) {
			n.t.Errorf("a token is printed: %s", printed)
		}
		if strings.HasPrefix(token, "eyJ") { // the ID token
			continue
		}
		said, err := asker.Introspect(n.t.Context(), gatehouse.NewSecret([]byte(token)), "")
		if err != nil || said.Active {
			n.t.Errorf("a token is good after the program has ended: %v, %v", said, err)
		}
	}
	return err == nil
}

// screen keeps what a program prints, and finds the address of the login in it.
type screen struct {
	address chan string // nil if there is none

	mu    sync.Mutex
	text  bytes.Buffer
	found bool
}

var shownAddress = regexp.MustCompile(`(?m)^  (http\S+)$`)

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if match := shownAddress.FindSubmatch(s.text.Bytes()); match != nil && s.address != nil && !s.found {
		s.found = true
		s.address <- string(match[1])
	}
	return len(b), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestNative: the program logs somebody in at the provider, which lets the port
// be free for a native client, and nobody else on the machine can end or take
// over the login.
func TestNative(t *testing.T) {
	t.Parallel()
	p := provider.Start(t, provider.Options{Clients: []provider.Client{cli, machine}, Scopes: []string{"email"}})
	binary := buildNative(t)
	var refused atomic.Int64
	refuse := func(n *native, what, address string, want int) {
		t.Helper()
		if status, body := n.open(address); status != want || !strings.Contains(body, "close this page") {
			t.Errorf("%s: %d %s", what, status, body)
		}
		refused.Add(1)
	}

	n := startNative(t, binary, p).login("ada")
	// The provider takes pushed requests: what passes through the browser, and
	// through the list of processes, says nothing.
	if q := must(url.Parse(n.address)).Query(); len(q) != 2 || q.Get("client_id") != cli.ID || !strings.HasPrefix(q.Get("request_uri"), "urn:") {
		t.Errorf("sent to %s", n.address)
	}
	if status, _ := n.open("http://" + n.back.Host + "/favicon.ico"); status != http.StatusNotFound {
		t.Errorf("favicon: %d", status)
	}
	refuse(n, "state forged", n.with("state", strings.Repeat("A", 43)), http.StatusBadRequest)
	refuse(n, "no state", n.with("state"), http.StatusBadRequest)
	refuse(n, "state twice", n.back.String()+"&state="+n.back.Query().Get("state"), http.StatusBadRequest)
	refuse(n, "an error with another state", "http://"+n.back.Host+"/callback?error=access_denied&state=x", http.StatusBadRequest)
	eve := startNative(t, binary, p).login("eve")
	refuse(n, "the callback of somebody else", "http://"+n.back.Host+"/callback?"+eve.back.RawQuery, http.StatusBadRequest)
	if status, body := n.open(n.back.String()); status != http.StatusOK || !strings.Contains(body, "You are signed in") {
		t.Errorf("the right one: %d %s", status, body)
	}
	if !n.end() || n.out.String() != "signed in as ada@example.com\nsubject ada\nissuer "+p.Issuer+"\nscopes email openid\n" {
		t.Errorf("it says %s%s", n.out, n.problems)
	}
	if issued := p.Issued(t); len(issued) != 3 {
		t.Errorf("%d tokens were given", len(issued))
	}
	if _, err := http.Get(n.back.String()); err == nil {
		t.Error("a replayed callback is answered")
	}

	// What carries the right state and is not good ends the login.
	for what, test := range map[string]struct {
		change func(n *native) string
		status int
		says   string
	}{
		"iss of another server": {func(n *native) string { return n.with("iss", "https://evil.example") }, 400, "iss is that of another issuer"},
		"no iss":                {func(n *native) string { return n.with("iss") }, 400, "there is no iss"},
		"denied":                {func(n *native) string { return n.with("error", "access_denied") }, 403, "access_denied"},
		"code injected":         {func(n *native) string { return n.with("code", eve.back.Query().Get("code")) }, 400, "invalid_grant"},
		"code forged":           {func(n *native) string { return n.with("code", "x") }, 400, "invalid_grant"},
	} {
		n := startNative(t, binary, p).login("ada")
		refuse(n, what, test.change(n), test.status)
		if n.end() || !strings.Contains(n.problems.String(), test.says) || strings.Contains(n.problems.String(), "evil.example") {
			t.Errorf("%s: it says %s", what, n.problems)
		}
	}

	// Ctrl-C.
	if err := eve.process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if eve.end() || !strings.Contains(eve.problems.String(), "interrupt") {
		t.Errorf("interrupted: it says %s", eve.problems)
	}
	report(t, &refused)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestNativeInBrowser: the program opens the browser, in which a person signs in,
// and another one does not want to.
func TestNativeInBrowser(t *testing.T) {
	page := browser.Start(t)
	p := provider.Start(t, provider.Options{Clients: []provider.Client{cli, machine}, Scopes: []string{"email"}})
	binary := buildNative(t)

	// In the place of xdg-open, something that tells which address it was given.
	dir := t.TempDir()
	opened := filepath.Join(dir, "opened")
	if out, err := exec.Command("mkfifo", opened).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" > '"+opened+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	start := func() *native {
		t.Helper()
		n := startNative(t, binary, p, "PATH="+dir, "DISPLAY=:0")
		if address, err := os.ReadFile(opened); err != nil || string(address) != n.address+"\n" {
			t.Fatalf("opened %q, %v, want %s", address, err, n.address)
		}
		return n
	}

	n := start()
	page.Visit(t, n.address)
	page.Fill(t, "input[name=login]", "ada")
	page.Fill(t, "input[name=password]", "any")
	page.Submit(t, "button[type=submit]")
	at := page.Submit(t, "button[type=submit]")
	n.back = must(url.Parse(at.URL))
	if at.Status != http.StatusOK || n.back.Hostname() != "127.0.0.1" || n.back.Path != "/callback" || page.Text(t, "h1") != "You are signed in" {
		t.Fatalf("signing in led to %+v: %s", at, page.Text(t, "body"))
	}
	page.Screenshot(t, filepath.Join(t.ArtifactDir(), "native.png"))
	if !n.end() || !strings.HasPrefix(n.out.String(), "signed in as ada@example.com\nsubject ada\n") {
		t.Errorf("it says %s%s", n.out, n.problems)
	}
	seen := page.Run(t, "[document.documentElement.outerHTML, document.cookie, localStorage.length, sessionStorage.length].join()")
	if !strings.HasSuffix(seen, `,,0,0"`) {
		t.Errorf("the page keeps %s", seen)
	}
	for _, token := range p.Issued(t) {
		if strings.Contains(seen+n.back.String(), token) {
			t.Error("a token is in the page or in its address")
		}
	}
	for _, c := range page.Cookies(t) {
		if c.Path == "/callback" || strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("the program has set the cookie %+v", c)
		}
	}
	n = start()
	page.Visit(t, n.address)
	at = page.Submit(t, "a[href$='/abort']")
	n.back = must(url.Parse(at.URL))
	if at.Status != http.StatusForbidden || page.Text(t, "h1") != "The sign-in was refused" {
		t.Fatalf("cancelling led to %+v: %s", at, page.Text(t, "body"))
	}
	if n.end() || !strings.Contains(n.problems.String(), "the sign-in was refused: oauth: the authorization endpoint refuses: access_denied") {
		t.Errorf("it says %s", n.problems)
	}
}
