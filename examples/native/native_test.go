// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func newProvider(t *testing.T) *webtest.Provider {
	t.Helper()
	p := webtest.NewProvider(t)
	p.Public = true
	return p
}

// program is a running program.
type program struct {
	t        *testing.T
	provider *webtest.Provider
	address  string // of the login
	back     *url.URL
	output   *terminal
	cancel   context.CancelFunc
	ended    chan error
}

// start runs the program until it shows the URL of the login.
func start(t *testing.T, provider *webtest.Provider, flags ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	p := &program{
		t: t, provider: provider, output: &terminal{address: make(chan string, 1)}, cancel: cancel, ended: make(chan error, 1),
	}
	flags = append([]string{"-issuer", provider.URL, "-client-id", webtest.ClientID, "-scope", "openid email", "-no-browser"}, flags...)
	go func() { p.ended <- run(ctx, flags, p.output, p.output) }()
	select {
	case p.address = <-p.output.address:
	case err := <-p.ended:
		t.Fatalf("run = %v before it shows a URL\n%s", err, p.output)
	}
	p.back = must(url.Parse(p.query().Get("redirect_uri")))
	return p
}

func (p *program) query() url.Values { return must(url.Parse(p.address)).Query() }

// callback returns the URL of the callback with params.
func (p *program) callback(params url.Values) string {
	back := *p.back
	back.RawQuery = params.Encode()
	return back.String()
}

type response struct {
	status int
	header http.Header
	body   string
}

// browse sends a request and follows redirects.
func (p *program) browse(method, address string, change ...func(*http.Request)) response {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response{got.StatusCode, got.Header, string(body)}
}

// end waits for the program to end. Its port must be closed, and its output must
// contain no token.
func (p *program) end() error {
	p.t.Helper()
	err := <-p.ended
	if connection, err := net.Dial("tcp", p.back.Host); err == nil {
		connection.Close()
		p.t.Error("the port is open after the program has ended")
	}
	output := fmt.Sprint(p.output, err)
	for _, token := range p.provider.Issued() {
		if strings.Contains(output, token) {
			p.t.Errorf("the output contains a token: %s", output)
		}
	}
	return err
}

// revoked reports whether exactly the refresh token was revoked.
func revoked(p *webtest.Provider) bool {
	tokens := p.Revoked()
	return len(tokens) == 1 && strings.HasPrefix(tokens[0], "refresh-") && slices.Contains(p.Issued(), tokens[0])
}

var shown = regexp.MustCompile(`(?m)^  (http\S+)$`)

// terminal keeps the output of a program and sends the URL in it to address.
type terminal struct {
	webtest.Log
	address chan string
	once    sync.Once
}

func (o *terminal) Write(b []byte) (int, error) {
	n, err := o.Log.Write(b)
	if match := shown.FindStringSubmatch(o.String()); match != nil {
		o.once.Do(func() { o.address <- match[1] })
	}
	return n, err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Covers RFC 8252 §6, §8.3 (port, localhost), §8.5, §8.10 (unique); RFC 9700
// §2.1.1 (public), §4.2.4, §4.3.2; ASVS 5.0 §14.3.2.
func TestSignIn(t *testing.T) {
	provider := newProvider(t)
	p := start(t, provider)
	if got := p.back.Scheme + "://" + p.back.Hostname() + p.back.Path; got != "http://127.0.0.1/callback" {
		t.Errorf("redirect_uri = %s, want http://127.0.0.1/callback with a port", p.back)
	}
	page := p.browse(http.MethodGet, p.address)
	if page.status != http.StatusOK || !strings.Contains(page.body, "You are signed in") || !strings.Contains(page.body, "close this page") {
		t.Errorf("callback = %+v, want the page You are signed in", page)
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := page.header.Get(name); got != want {
			t.Errorf("callback: %s = %q, want %q", name, got, want)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(page.body, "<script") {
		t.Errorf("callback: Content-Security-Policy = %q, want no scripts", policy)
	}
	for _, secret := range append(provider.Issued(), p.query().Get("state"), "code", "u1", "ada@example.com", "127.0.0.1") {
		if strings.Contains(page.body, secret) {
			t.Errorf("callback: the page contains %s", secret)
		}
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	want := "signed in as Ada Lovelace (ada@example.com)\nsubject u1\nissuer " + provider.URL + "\nscopes email openid\n"
	if got := p.output.String(); !strings.HasSuffix(got, want) {
		t.Errorf("output = %q, want %q at the end", got, want)
	}
	if !revoked(provider) {
		t.Errorf("revoked = %q, want the refresh token", provider.Revoked())
	}
}

// TestForeignRequestsAreRejected sends what other programs and web pages can send.
// The login continues.
//
// Covers RFC 8252 §8.3 (localhost), §8.9, §8.10 (match); RFC 9700 §4.2.4.
func TestForeignRequestsAreRejected(t *testing.T) {
	provider := newProvider(t)
	p := start(t, provider)
	state := p.query().Get("state")
	params := func(states ...string) string {
		return p.callback(url.Values{"code": {"x"}, "state": states, "iss": {provider.URL}})
	}
	host := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	root, same := "http://"+p.back.Host, func(*http.Request) {}
	for name, test := range map[string]struct {
		method, address string
		status          int
		change          func(*http.Request)
	}{
		"favicon":            {"GET", root + "/favicon.ico", 404, same},
		"another path":       {"GET", strings.Replace(params(state), "/callback", "/", 1), 404, same},
		"path below":         {"GET", strings.Replace(params(state), "/callback", "/callback/x", 1), 404, same},
		"no parameters":      {"GET", p.back.String(), 400, same},
		"state forged":       {"GET", params(strings.Repeat("A", 43)), 400, same},
		"state missing":      {"GET", params(), 400, same},
		"state twice":        {"GET", params(state, state), 400, same},
		"error, state wrong": {"GET", p.callback(url.Values{"error": {"access_denied"}, "state": {"x"}, "iss": {provider.URL}}), 400, same},
		"malformed query":    {"GET", params(state) + "&x=%zz", 400, same},
		"POST":               {"POST", params(state), 405, same},
		"HEAD":               {"HEAD", params(state), 405, same},
		"another host":       {"GET", params(state), 421, host("evil.example")},
		"another port":       {"GET", params(state), 421, host("127.0.0.1")},
		"localhost":          {"GET", params(state), 421, host("localhost:" + p.back.Port())},
	} {
		page := p.browse(test.method, test.address, test.change)
		if page.status != test.status || test.method != "HEAD" && !strings.Contains(page.body, "not the response") {
			t.Errorf("%s: %s = %+v, want %d", name, test.method, page, test.status)
		}
		if page.header.Get("Referrer-Policy") != "no-referrer" || page.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: header = %v, want no-referrer and no-store", name, page.header)
		}
	}
	if n := provider.Redeemed(); n != 0 {
		t.Errorf("token requests = %d, want 0", n)
	}
	if page := p.browse(http.MethodGet, p.address); page.status != http.StatusOK {
		t.Errorf("the login = %+v, want 200", page)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// hold returns a provider whose token endpoint waits for release after it has sent
// to asked.
func hold(t *testing.T) (provider *webtest.Provider, asked, release chan struct{}) {
	t.Helper()
	provider = newProvider(t)
	asked, release = make(chan struct{}), make(chan struct{})
	provider.Before = func(r *http.Request) {
		if r.URL.Path == "/token" {
			close(asked)
			<-release
		}
	}
	return provider, asked, release
}

// Covers RFC 8252 §8.9.
func TestSecondResponseIsRejected(t *testing.T) {
	provider, asked, release := hold(t)
	p := start(t, provider)
	address := provider.Authorize(p.address).String()
	first := make(chan response)
	go func() { first <- p.browse(http.MethodGet, address) }()
	<-asked
	if page := p.browse(http.MethodGet, address); page.status != http.StatusBadRequest || !strings.Contains(page.body, "not the response") {
		t.Errorf("second response = %+v, want 400", page)
	}
	close(release)
	if page := <-first; page.status != http.StatusOK {
		t.Errorf("first response = %+v, want 200", page)
	}
	if err := p.end(); err != nil || provider.Redeemed() != 1 {
		t.Errorf("run = %v with %d token requests, want 1", err, provider.Redeemed())
	}
}

func TestClosedBrowserDoesNotCancelLogin(t *testing.T) {
	provider, asked, release := hold(t)
	p := start(t, provider)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, provider.Authorize(p.address).String(), http.NoBody)
		if err == nil {
			_, err = (&http.Client{}).Do(r)
		}
		gone <- err
	}()
	<-asked
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("browser: %v, want %v", err, context.Canceled)
	}
	close(release)
	if err := p.end(); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}

// TestInvalidResponseEndsLogin: a response with the state of the login ends it. The
// code is sent only if the parameters before it are valid.
//
// Covers RFC 8252 §8.3 (port).
func TestInvalidResponseEndsLogin(t *testing.T) {
	type change = func(p *webtest.Provider, q url.Values)
	set := func(name string, values ...string) change {
		return func(_ *webtest.Provider, q url.Values) { q[name] = values }
	}
	route := func(path string, h http.HandlerFunc) change {
		return func(p *webtest.Provider, _ url.Values) { p.Routes[path] = h }
	}
	body := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, text)
		}
	}
	forged := must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.RS256, Private: must(rsa.GenerateKey(rand.Reader, 2048))}))
	for name, test := range map[string]struct {
		change  change
		status  int
		want    string // in the error
		redeems int
		issued  bool // there are tokens, which are revoked
	}{
		"another iss":         {set("iss", "https://evil.example"), 400, "iss", 0, false},
		"iss missing":         {set("iss"), 400, "iss", 0, false},
		"access denied":       {set("error", "access_denied"), 403, "access_denied", 0, false},
		"unknown error":       {set("error", "\x1b[2J<script>"), 400, "no registered error code", 0, false},
		"server error":        {set("error", "server_error"), 503, "server_error", 0, false},
		"code missing":        {set("code"), 400, "code", 0, false},
		"code forged":         {set("code", "x"), 400, "invalid_grant", 1, false},
		"code injected":       {inject(t), 400, "invalid_grant", 1, false},
		"ID token forged":     {route("/jwks", forged.ServeHTTP), 400, "could not be completed", 1, true},
		"token endpoint down": {route("/token", status(503)), 503, "503", 0, false},
		"userinfo of another": {route("/userinfo", body("application/json", `{"sub":"eve"}`)), 200, "another subject", 1, true},
		"userinfo no sub":     {route("/userinfo", body("application/json", `{}`)), 200, "another subject", 1, true},
		"userinfo rejects":    {route("/userinfo", status(401)), 200, "status 401", 1, true},
		"userinfo redirects":  {route("/userinfo", http.RedirectHandler("/jwks", http.StatusFound).ServeHTTP), 200, "status 302", 1, true},
		"userinfo JWT":        {route("/userinfo", body("application/jwt", "")), 200, "number of segments", 1, true},
		"userinfo cut off":    {route("/userinfo", body("application/json", `{"sub":`)), 200, "not a JSON object", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t)
			p := start(t, provider)
			q := provider.Authorize(p.address).Query()
			test.change(provider, q)
			page := p.browse(http.MethodGet, p.callback(q))
			if page.status != test.status || !strings.Contains(page.body, "close this page") || strings.Contains(page.body, "evil") {
				t.Errorf("callback = %+v, want %d", page, test.status)
			}
			if refused := strings.Contains(page.body, "was refused"); refused != (test.status == http.StatusForbidden) {
				t.Errorf("callback = %s, want \"was refused\" only for 403", page.body)
			}
			err := p.end()
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "evil.example") || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("run = %v, want an error with %q", err, test.want)
			}
			if strings.Contains(p.output.String(), "signed in as") || provider.Redeemed() != test.redeems || test.issued != revoked(provider) {
				t.Errorf("%d token requests, revoked %q, output %s", provider.Redeemed(), provider.Revoked(), p.output)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// inject puts the code of another login into the response.
func inject(t *testing.T) func(*webtest.Provider, url.Values) {
	return func(provider *webtest.Provider, q url.Values) {
		other := start(t, provider)
		q.Set("code", provider.Authorize(other.address).Query().Get("code"))
		other.cancel()
		_ = other.end()
	}
}

// Covers RFC 8252 §8.3 (port).
func TestInterruptAndTimeout(t *testing.T) {
	provider := newProvider(t)
	p := start(t, provider)
	p.cancel()
	if err := p.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted before the login: run = %v, want %v", err, context.Canceled)
	}

	provider.Routes["/userinfo"] = func(_ http.ResponseWriter, r *http.Request) {
		p.cancel()
		<-r.Context().Done()
	}
	p = start(t, provider)
	p.browse(http.MethodGet, p.address)
	if err := p.end(); !errors.Is(err, context.Canceled) || !revoked(provider) {
		t.Errorf("interrupted after the login: run = %v, revoked %q, want %v and the refresh token", err, provider.Revoked(), context.Canceled)
	}

	silent := newProvider(t)
	silent.Routes["/.well-known/openid-configuration"] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	var output terminal
	err := run(t.Context(), []string{"-issuer", silent.URL, "-client-id", webtest.ClientID, "-timeout", "50ms"}, &output, &output)
	if err == nil || !strings.Contains(err.Error(), "no login within 50ms") {
		t.Errorf("provider does not respond: run = %v, want the timeout", err)
	}

	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	client := must(oauth.New(oauth.Config{Issuer: provider.URL, ClientID: webtest.ClientID, Auth: oauth.Public}))
	t.Cleanup(func() { _ = client.Close() })
	_, err = signIn(ctx, client, redirect{path: "/"}, must(gatehouse.ParseScopes("openid")), func(string) { cancel(late) })
	if !errors.Is(err, late) {
		t.Errorf("user does not respond: signIn = %v, want %v", err, late)
	}
}

func TestOutput(t *testing.T) {
	for name, test := range map[string]struct {
		flags        []string
		change       func(*webtest.Provider)
		want, absent string
	}{
		"revocation fails": {nil, func(p *webtest.Provider) { p.Routes["/revoke"] = status(503) }, "tokens are not revoked", "\x1b"},
		"escape sequences": {nil, func(p *webtest.Provider) { p.Claims["name"] = "Ada\x1b[2J\nissuer https://evil.example" }, "signed in as Ada", "\x1b"},
		"injected lines":   {nil, func(p *webtest.Provider) { p.Claims["name"] = "Ada\nissuer https://evil.example" }, "signed in as Ada", "\nissuer https"},
		"another path":     {[]string{"-path", "/oauth/back"}, func(*webtest.Provider) {}, "signed in as Ada", "not revoked"},
		"few endpoints": {nil, func(p *webtest.Provider) {
			delete(p.Metadata, "userinfo_endpoint")
			delete(p.Metadata, "revocation_endpoint")
		}, "signed in as u1\n", "not revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t)
			test.change(provider)
			p := start(t, provider, test.flags...)
			if len(test.flags) > 0 && p.back.Path != test.flags[1] {
				t.Errorf("redirect_uri = %s, want path %s", p.back, test.flags[1])
			}
			if page := p.browse(http.MethodGet, p.address); page.status != http.StatusOK {
				t.Errorf("callback = %+v, want 200", page)
			}
			if err := p.end(); err != nil {
				t.Errorf("run = %v, want nil", err)
			}
			if got := p.output.String(); !strings.Contains(got, test.want) || strings.Contains(got, test.absent) {
				t.Errorf("output = %q, want %q and not %q", got, test.want, test.absent)
			}
		})
	}
}

// TestStopSendsPendingResponse: the browser gets a response in progress; one that
// does not end does not block the program.
func TestStopSendsPendingResponse(t *testing.T) {
	for name, arrives := range map[string]bool{"ends": true, "does not end": false} {
		began, release := make(chan struct{}), make(chan struct{})
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(began)
			select {
			case <-release:
				show(w, http.StatusOK, pageDone)
			case <-r.Context().Done():
			}
		})}
		if arrives {
			server.RegisterOnShutdown(func() { close(release) })
		}
		listener := must(listen(t.Context(), 0, "127.0.0.1"))
		go func() { _ = server.Serve(listener) }()
		arrived := make(chan bool)
		go func() {
			response, err := http.Get("http://" + listener.Addr().String())
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			arrived <- err == nil
		}()
		<-began
		stop(t.Context(), server)
		if got := <-arrived; got != arrives {
			t.Errorf("%s: arrived = %v, want %v", name, got, arrives)
		}
	}
}

func TestFlags(t *testing.T) {
	const issuer, client = "-issuer=https://as.example.com", "-client-id=x"
	taken := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	defer taken.Close()
	for _, test := range []struct {
		want string
		args []string
	}{
		{"-issuer and -client-id: required", []string{issuer}},
		{"-scope: ", []string{issuer, client, "-scope", "a  b"}},
		{"-scope: openid is required", []string{issuer, client, "-scope", "email"}},
		{"-path: not a path", []string{issuer, client, "-path", "callback"}},
		{"-path: not a path", []string{issuer, client, "-path", "//evil.example/"}},
		{"-path: not a path", []string{issuer, client, "-path", "/x?y"}},
		{"-port: 65536 is not a port", []string{issuer, client, "-port", "65536"}},
		{"-port: -1 is not a port", []string{issuer, client, "-port", "-1"}},
		{"-timeout: must be positive", []string{issuer, client, "-timeout", "0s"}},
		{`"x" is not a flag`, []string{issuer, client, "x"}},
		{"flag provided but not defined", []string{"-secret=x"}},
		{"plain http is for loopback", []string{"-issuer=http://as.example.com", client}},
		{"address already in use", []string{issuer, client, "-port", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)}},
		{"unavailable", []string{"-issuer=http://127.0.0.1:1", client}},
	} {
		var output terminal
		if err := run(t.Context(), test.args, &output, &output); err == nil || strings.Count(err.Error(), test.want) != 1 {
			t.Errorf("run(%q) = %v, want %q", test.args, err, test.want)
		}
	}
	var output terminal
	if err := run(t.Context(), []string{"-h"}, &output, &output); err != nil || !strings.Contains(output.String(), "-no-browser") {
		t.Errorf("run(-h) = %v, %s, want the flags", err, &output)
	}
}

// Covers RFC 8252 §7.3.
func TestListenOnLoopback(t *testing.T) {
	listener, err := listen(t.Context(), 0, "192.0.2.1", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		t.Errorf("listen = %s, want a loopback address", listener.Addr())
	}
	if listener, err := listen(t.Context(), 0, "192.0.2.1"); err == nil {
		t.Errorf("listen(192.0.2.1) = %s, want an error", listener.Addr())
	}
}

// Covers RFC 8252 §5.
func TestOpener(t *testing.T) {
	for system, want := range map[string]string{"darwin": "open", "windows": "rundll32", "linux": "xdg-open", "freebsd": "xdg-open"} {
		for _, variable := range []string{"DISPLAY", "WAYLAND_DISPLAY"} {
			environment := map[string]string{variable: ":0"}
			if command := opener(system, func(name string) string { return environment[name] }); len(command) == 0 || command[0] != want {
				t.Errorf("opener(%s, %s) = %q, want %s", system, variable, command, want)
			}
		}
	}
	if command := opener("linux", func(string) string { return "" }); command != nil {
		t.Errorf("opener without a display = %q, want nil", command)
	}
}

func TestOpenBrowserPassesOneArgument(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED, needs another system: rundll32 is found without the PATH")
	}
	t.Setenv("DISPLAY", ":0")
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if openBrowser("https://as.example.com/") {
		t.Error("openBrowser without a command = true")
	}
	// The command is this binary: see TestMain.
	if err := os.Symlink(must(os.Executable()), filepath.Join(dir, opener(runtime.GOOS, os.Getenv)[0])); err != nil {
		t.Fatal(err)
	}
	listener := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	defer listener.Close()
	t.Setenv(reportAddress, listener.Addr().String())
	const address = "https://as.example.com/auth?a=b&c=$(id)&d='e'"
	if !openBrowser(address) {
		t.Fatal("openBrowser = false")
	}
	connection := must(listener.Accept())
	defer connection.Close()
	if got, err := io.ReadAll(connection); err != nil || string(got) != fmt.Sprintf("%q", []string{address}) {
		t.Errorf("arguments = %s, %v, want %q", got, err, address)
	}
}

// reportAddress is the environment variable with the address to which this binary
// sends its arguments when it replaces the command that opens a browser.
const reportAddress = "NATIVE_TEST_REPORT_ADDRESS"

func TestMain(m *testing.M) {
	if address := os.Getenv(reportAddress); address != "" {
		connection := must(net.Dial("tcp", address))
		must(fmt.Fprintf(connection, "%q", os.Args[1:]))
		connection.Close()
		return
	}
	os.Exit(m.Run())
}

// Covers RFC 6749 §10.14.
func TestDisplay(t *testing.T) {
	for text, want := range map[string]string{
		"Ada": "Ada", "Zoë Ω": "Zoë Ω", "a\x1b[31mb\nc\u202ed": "a\ufffd[31mb\ufffdc\ufffdd", strings.Repeat("x", 300): strings.Repeat("x", 200) + "…",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
	for want, u := range map[string]user{
		"Ada (ada@example.com)": {"u1", "Ada", "ada@example.com"}, "Ada": {"u1", "Ada", ""}, "ada@example.com": {"u1", "", "ada@example.com"}, "u1": {"u1", "", ""},
	} {
		if got := u.displayName(); got != want {
			t.Errorf("displayName(%+v) = %q, want %q", u, got, want)
		}
	}
}
