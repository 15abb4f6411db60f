// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/program"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// cli is the registration of examples/native. The port of the redirect URI is
// variable, RFC 8252 §7.3.
var cli = provider.Client{ID: "cli", RedirectURIs: []string{"http://127.0.0.1/callback"}}

func startCLIProvider(t *testing.T) *provider.Provider {
	t.Helper()
	return ownProvider(t, provider.Options{Clients: []provider.Client{cli, machine}, Scopes: []string{"email"}})
}

// native is a run of examples/native.
type native struct {
	*program.Program
	t        *testing.T
	provider *provider.Provider
	address  string   // of the login, as the program prints it
	back     *url.URL // the callback, once the provider has redirected to it
}

func startNative(t *testing.T, binary string, p *provider.Provider, environment ...string) *native {
	t.Helper()
	n := &native{t: t, provider: p, Program: program.Start(t, binary, append([]string{"HOME=" + t.TempDir()}, environment...),
		"-issuer", p.Issuer, "-client-id", cli.ID, "-scope", "openid email")}
	n.address = n.Prints(t, &n.Errors, `(?m)^  (http\S+)\n`)
	return n
}

// login goes through the provider's pages up to the callback.
func (n *native) login(name string) *native {
	n.t.Helper()
	// The request is pushed, so the port is unknown until then.
	n.back = provider.NewBrowser(n.t, name).VisitUntil(n.t, n.address, func(next *url.URL) bool {
		return next.Hostname() == "127.0.0.1" && next.Path == "/callback"
	})
	return n
}

// open requests an address of the program.
func (n *native) open(address string) (status int, body string) {
	n.t.Helper()
	response, body := send(n.t, http.DefaultClient, address, http.Header{})
	if response.Header.Get("Referrer-Policy") != "no-referrer" || response.Header.Get("Cache-Control") != "no-store" {
		n.t.Errorf("%s: header %v, want no-referrer and no-store", address, response.Header)
	}
	return response.StatusCode, body
}

// end waits until the program ends and reports whether it succeeded. Its port is
// then closed, it has printed no token, and no token is active.
func (n *native) end() (success bool) {
	n.t.Helper()
	<-n.Ended
	if connection, err := net.Dial("tcp", n.back.Host); err == nil {
		connection.Close()
		n.t.Error("the port is open after the end")
	}
	if n.Err != nil && n.Out.String() != "" {
		n.t.Errorf("the program failed and printed %s", &n.Out)
	}
	issued := n.provider.Issued(n.t)
	for _, token := range issued {
		if printed := n.Out.String() + n.Errors.String(); strings.Contains(printed, token) {
			n.t.Errorf("a token is printed: %s", printed)
		}
	}
	if got := active(n.t, n.provider, issued); got != 0 {
		n.t.Errorf("%d tokens are active after the end, want 0", got)
	}
	return n.Err == nil
}

// TestNative signs in with examples/native. No other program on the machine can
// end or take over the login.
//
// Covers RFC 8252 §6, §7.3, §8.3 (port), §8.9; RFC 9126 §4 (parameters); RFC
// 9207 §2.4 (mismatch).
func TestNative(t *testing.T) {
	enginetest.Slow(t)
	p := startCLIProvider(t)
	binary := buildExample(t, "native")
	var rejected atomic.Int64
	reject := func(n *native, what, address string, want int) {
		t.Helper()
		if status, body := n.open(address); status != want || !strings.Contains(body, "close this page") {
			t.Errorf("%s: %d %s, want %d", what, status, body, want)
		}
		rejected.Add(1)
	}

	n := startNative(t, binary, p).login("ada")
	// The request is pushed (RFC 9126): its parameters are neither in the browser
	// nor in the list of processes.
	if q := must(url.Parse(n.address)).Query(); len(q) != 2 || q.Get("client_id") != cli.ID || !strings.HasPrefix(q.Get("request_uri"), "urn:") {
		t.Errorf("the program prints %s, want client_id and request_uri only", n.address)
	}
	if status, _ := n.open("http://" + n.back.Host + "/favicon.ico"); status != http.StatusNotFound {
		t.Errorf("GET /favicon.ico: %d, want 404", status)
	}
	eve := startNative(t, binary, p).login("eve")
	callback := "http://" + n.back.Host + "/callback?"
	for what, address := range map[string]string{
		"state forged":                with(n.back, "state", strings.Repeat("A", 43)),
		"no state":                    with(n.back, "state"),
		"state twice":                 n.back.String() + "&state=" + n.back.Query().Get("state"),
		"error with another state":    callback + "error=access_denied&state=x",
		"callback of another program": callback + eve.back.RawQuery,
	} {
		reject(n, what, address, http.StatusBadRequest)
	}
	if status, body := n.open(n.back.String()); status != http.StatusOK || !strings.Contains(body, "You are signed in") {
		t.Errorf("the callback: %d %s, want 200", status, body)
	}
	if want := "signed in as ada@example.com\nsubject ada\nissuer " + p.Issuer + "\nscopes email openid\n"; !n.end() || n.Out.String() != want {
		t.Errorf("the program prints %s%s, want %s", &n.Out, &n.Errors, want)
	}
	if issued := p.Issued(t); len(issued) != 3 {
		t.Errorf("the provider issued %d tokens, want 3", len(issued))
	}
	if _, err := http.Get(n.back.String()); err == nil {
		t.Error("a replayed callback is answered")
	}

	// A callback with the right state that is invalid ends the login.
	for what, test := range map[string]struct {
		change func(back *url.URL) string
		status int
		prints string
	}{
		"iss of another server": {func(back *url.URL) string { return with(back, "iss", "https://evil.example") }, 400, "iss: differs from Config.Issuer"},
		"no iss":                {func(back *url.URL) string { return with(back, "iss") }, 400, "iss: missing"},
		"denied":                {func(back *url.URL) string { return with(back, "error", "access_denied") }, 403, "access_denied"},
		"code injected":         {func(back *url.URL) string { return with(back, "code", eve.back.Query().Get("code")) }, 400, "invalid_grant"},
		"code forged":           {func(back *url.URL) string { return with(back, "code", "x") }, 400, "invalid_grant"},
	} {
		n := startNative(t, binary, p).login("ada")
		reject(n, what, test.change(n.back), test.status)
		if n.end() || !strings.Contains(n.Errors.String(), test.prints) || strings.Contains(n.Errors.String(), "evil.example") {
			t.Errorf("%s: the program prints %s, want %q", what, &n.Errors, test.prints)
		}
	}

	// Ctrl-C.
	if err := eve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if eve.end() || !strings.Contains(eve.Errors.String(), "interrupt") {
		t.Errorf("interrupted, the program prints %s", &eve.Errors)
	}
	report(t, &rejected)
}

// nativeInBrowser: the program opens the browser, in which a person signs in and
// another one cancels.
func nativeInBrowser(t *testing.T, page *browser.Page) {
	p := startCLIProvider(t)
	binary := buildExample(t, "native")

	// A fake xdg-open writes the address to a pipe.
	dir := t.TempDir()
	opened := filepath.Join(dir, "opened")
	if out, err := exec.Command("mkfifo", opened).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" > '"+opened+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	start := func() *native {
		t.Helper()
		n := startNative(t, binary, p, "PATH="+dir, "DISPLAY=:0")
		if address, err := os.ReadFile(opened); err != nil || string(address) != n.address+"\n" {
			t.Fatalf("xdg-open is called with %q, %v, want %s", address, err, n.address)
		}
		page.Visit(t, n.address)
		return n
	}

	n := start()
	enter(t, page, "ada")
	at := page.Submit(t, "button[type=submit]")
	n.back = must(url.Parse(at.URL))
	if at.Status != http.StatusOK || n.back.Hostname() != "127.0.0.1" || n.back.Path != "/callback" || page.Text(t, "h1") != "You are signed in" {
		t.Fatalf("the login ends at %+v: %s", at, page.Text(t, "body"))
	}
	page.Screenshot(t, filepath.Join(t.ArtifactDir(), "native.png"))
	if !n.end() || !strings.HasPrefix(n.Out.String(), "signed in as ada@example.com\nsubject ada\n") {
		t.Errorf("the program prints %s%s", &n.Out, &n.Errors)
	}
	seen := page.Run(t, "[document.documentElement.outerHTML, document.cookie, localStorage.length, sessionStorage.length].join()")
	if !strings.HasSuffix(seen, `,,0,0"`) {
		t.Errorf("the page keeps %s, want no cookies and empty stores", seen)
	}
	for _, token := range p.Issued(t) {
		if strings.Contains(seen+n.back.String(), token) {
			t.Error("the page or its address contains a token")
		}
	}
	for _, c := range page.Cookies(t) {
		if c.Path == "/callback" || strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("the program has set the cookie %+v", c)
		}
	}
	n = start()
	at = page.Submit(t, "a[href$='/abort']")
	n.back = must(url.Parse(at.URL))
	if at.Status != http.StatusForbidden || page.Text(t, "h1") != "The sign-in was refused" {
		t.Fatalf("cancel leads to %+v: %s, want 403", at, page.Text(t, "body"))
	}
	if n.end() || !strings.Contains(n.Errors.String(), "access_denied") {
		t.Errorf("the program prints %s, want access_denied", &n.Errors)
	}
}
