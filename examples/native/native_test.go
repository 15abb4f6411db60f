// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func TestSignIn(t *testing.T) {
	s := newServer(t)
	p := s.start()
	if p.back.Hostname() != "127.0.0.1" || p.back.Path != "/callback" || p.back.Scheme != "http" {
		t.Errorf("comes back to %s", p.back)
	}
	page := p.browse(http.MethodGet, p.address)
	if page.status != http.StatusOK || !strings.Contains(page.body, "You are signed in") || !strings.Contains(page.body, "close this page") {
		t.Errorf("the browser sees %+v", page)
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := page.header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(page.body, "<script") {
		t.Errorf("policy %q", policy)
	}
	for _, secret := range append(s.secrets(), p.state(), "code", "u1", "ada@example.com", "127.0.0.1") {
		if strings.Contains(page.body, secret) {
			t.Errorf("%s is in the page", secret)
		}
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	want := "signed in as Ada Lovelace (ada@example.com)\nsubject u1\nissuer " + s.URL + "\nscopes email openid\n"
	if got := p.output.String(); !strings.HasSuffix(got, want) {
		t.Errorf("printed %q", got)
	}
	if !slices.Equal(s.revoked, []string{refresh}) {
		t.Errorf("withdrawn: %q", s.revoked)
	}
}

// TestStrangers: whatever others on the machine send, the login goes on.
func TestStrangers(t *testing.T) {
	s := newServer(t)
	p := s.start()
	good := url.Values{"code": {"x"}, "state": {p.state()}, "iss": {s.URL}}
	without := func(name string, instead ...string) url.Values {
		q := url.Values{"code": good["code"], "state": good["state"], "iss": good["iss"]}
		if q[name] = instead; len(instead) == 0 {
			q.Del(name)
		}
		return q
	}
	root := "http://" + p.back.Host
	for name, test := range map[string]struct {
		method, address string
		status          int
		change          func(*http.Request)
	}{
		"favicon":               {"GET", root + "/favicon.ico", 404, nil},
		"another path":          {"GET", root + "/?" + good.Encode(), 404, nil},
		"path below":            {"GET", p.back.String() + "/x?" + good.Encode(), 404, nil},
		"nothing":               {"GET", p.back.String(), 400, nil},
		"state forged":          {"GET", p.callback(without("state", strings.Repeat("A", 43))), 400, nil},
		"state missing":         {"GET", p.callback(without("state")), 400, nil},
		"state twice":           {"GET", p.callback(without("state", p.state(), p.state())), 400, nil},
		"error, state forged":   {"GET", p.callback(url.Values{"error": {"access_denied"}, "state": {"x"}, "iss": {s.URL}}), 400, nil},
		"malformed":             {"GET", p.callback(good) + "&x=%zz", 400, nil},
		"POST":                  {"POST", p.callback(good), 405, nil},
		"HEAD":                  {"HEAD", p.callback(good), 405, nil},
		"another name of ours":  {"GET", p.callback(good), 421, func(r *http.Request) { r.Host = "evil.example" }},
		"another port of ours":  {"GET", p.callback(good), 421, func(r *http.Request) { r.Host = "127.0.0.1" }},
		"localhost, which DNS ": {"GET", p.callback(good), 421, func(r *http.Request) { r.Host = "localhost:" + p.back.Port() }},
	} {
		change := test.change
		if change == nil {
			change = func(*http.Request) {}
		}
		page := p.browse(test.method, test.address, change)
		if page.status != test.status || test.method != "HEAD" && !strings.Contains(page.body, "not the answer") {
			t.Errorf("%s: %+v", name, page)
		}
		if page.header.Get("Referrer-Policy") != "no-referrer" || page.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, page.header)
		}
	}
	if s.redeems != 0 {
		t.Errorf("%d codes were sent", s.redeems)
	}
	if page := p.browse(http.MethodGet, p.address); page.status != http.StatusOK {
		t.Errorf("the right one: %+v", page)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestReplay: the second answer is refused even while the first is looked at, and
// does not end the login.
func TestReplay(t *testing.T) {
	s := newServer(t)
	asked, release := make(chan struct{}), make(chan struct{})
	s.routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		s.token(w, r)
	}
	p := s.start()
	address := s.authorize(must(url.Parse(p.address)).Query())
	first := make(chan seen)
	go func() { first <- p.browse(http.MethodGet, address) }()
	<-asked
	if page := p.browse(http.MethodGet, address); page.status != http.StatusBadRequest || !strings.Contains(page.body, "not the answer") {
		t.Errorf("the second: %+v", page)
	}
	close(release)
	if page := <-first; page.status != http.StatusOK {
		t.Errorf("the first: %+v", page)
	}
	if err := p.end(); err != nil || s.redeems != 1 {
		t.Errorf("%v, %d codes were sent", err, s.redeems)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestBrowserGone: a browser that has gone before the end takes nothing along.
func TestBrowserGone(t *testing.T) {
	s := newServer(t)
	asked, release := make(chan struct{}), make(chan struct{})
	s.routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		s.token(w, r)
	}
	p := s.start()
	address := s.authorize(must(url.Parse(p.address)).Query())
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err == nil {
			_, err = (&http.Client{}).Do(r)
		}
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	<-asked
	cancel()
	<-gone
	close(release)
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestEnds: an answer of this login that is not good ends it, for its own reason,
// and the code goes nowhere unless all before it was good.
func TestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(s *server, q url.Values)
		status  int
		says    string // the program
		redeems int
		signed  bool // in at the server, so that there is something to withdraw
	}{
		"iss of another":   {func(_ *server, q url.Values) { q.Set("iss", "https://evil.example") }, 400, "the iss is that of another issuer", 0, false},
		"iss missing":      {func(_ *server, q url.Values) { q.Del("iss") }, 400, "there is no iss", 0, false},
		"denied":           {func(_ *server, q url.Values) { q.Set("error", "access_denied") }, 403, "the sign-in was refused: oauth: the authorization endpoint refuses: access_denied", 0, false},
		"an error":         {func(_ *server, q url.Values) { q.Set("error", "\x1b[2J<script>") }, 400, "no known error code", 0, false},
		"server in need":   {func(_ *server, q url.Values) { q.Set("error", "server_error") }, 503, "server_error", 0, false},
		"no code":          {func(_ *server, q url.Values) { q.Del("code") }, 400, "there is no code", 0, false},
		"code forged":      {func(_ *server, q url.Values) { q.Set("code", "x") }, 400, "invalid_grant", 1, false},
		"code injected":    {inject, 400, "invalid_grant", 1, false},
		"ID token forged":  {func(s *server, _ url.Values) { s.keys = other(s.t); s.routes["/jwks"] = published }, 400, "could not be completed", 1, false},
		"server down":      {func(s *server, _ url.Values) { s.routes["/token"] = status(503) }, 503, "(HTTP status 503)", 0, false},
		"userinfo another": {func(s *server, _ url.Values) { s.userinfo["sub"] = "eve" }, 200, "about somebody else", 1, true},
		"userinfo nobody":  {func(s *server, _ url.Values) { delete(s.userinfo, "sub") }, 200, "about somebody else", 1, true},
		"userinfo refuses": {func(s *server, _ url.Values) { s.routes["/userinfo"] = status(401) }, 200, "status 401", 1, true},
		"userinfo moves": {func(s *server, _ url.Values) {
			s.routes["/userinfo"] = http.RedirectHandler("/jwks", http.StatusFound).ServeHTTP
		}, 200, "status 302", 1, true},
		"userinfo a JWT": {func(s *server, _ url.Values) {
			s.routes["/userinfo"] = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "application/jwt") }
		}, 200, "is not JSON", 1, true},
		"userinfo broken": {func(s *server, _ url.Values) {
			s.routes["/userinfo"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"sub":`))
			}
		}, 200, "cannot be read", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			p := s.start()
			back := must(url.Parse(s.authorize(must(url.Parse(p.address)).Query())))
			q := back.Query()
			test.change(s, q)
			page := p.browse(http.MethodGet, p.callback(q))
			if page.status != test.status || !strings.Contains(page.body, "close this page") || strings.Contains(page.body, "evil") {
				t.Errorf("the browser sees %+v", page)
			}
			if refused := strings.Contains(page.body, "was refused"); refused != (test.status == http.StatusForbidden) {
				t.Errorf("the browser sees %s", page.body)
			}
			if err := p.end(); err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "evil.example") {
				t.Errorf("the program says %v", err)
			}
			if strings.Contains(p.output.String(), "signed in as") || s.redeems != test.redeems || test.signed != (len(s.revoked) == 1) {
				t.Errorf("%d codes were sent, withdrawn %q, printed %s", s.redeems, s.revoked, p.output)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func published(w http.ResponseWriter, r *http.Request) { must(signing()).ServeHTTP(w, r) }

// inject puts the code of somebody else's login into this one.
func inject(s *server, q url.Values) {
	theirs := s.start()
	back := must(url.Parse(s.authorize(must(url.Parse(theirs.address)).Query())))
	q.Set("code", back.Query().Get("code"))
	theirs.cancel()
	_ = theirs.end()
}

// TestGiveUp: nobody comes, or the person has had enough.
func TestGiveUp(t *testing.T) {
	s := newServer(t)
	p := s.start()
	p.cancel()
	if err := p.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	// In the middle of the last request: what is there by then is withdrawn.
	s.routes["/userinfo"] = func(_ http.ResponseWriter, r *http.Request) {
		p.cancel()
		<-r.Context().Done()
	}
	p = s.start()
	p.browse(http.MethodGet, p.address)
	if err := p.end(); !errors.Is(err, context.Canceled) || !slices.Equal(s.revoked, []string{refresh}) {
		t.Errorf("interrupted late: %v, withdrawn %q", err, s.revoked)
	}
	// Too late, before anything could be shown and afterwards.
	silent := newServer(t)
	silent.routes["/.well-known/openid-configuration"] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	var output terminal
	err := run(t.Context(), []string{"-issuer", silent.URL, "-client-id", clientID, "-timeout", "50ms"}, &output, &output)
	if err == nil || !strings.Contains(err.Error(), "nobody has signed in within 50ms") {
		t.Errorf("a silent server: %v", err)
	}
	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	client := must(oauth.New(oauth.Config{Issuer: s.URL, ClientID: clientID, Auth: oauth.Public}))
	t.Cleanup(func() { _ = client.Close() })
	_, err = signIn(ctx, client, redirect{path: "/"}, must(gatehouse.ParseScopes("openid")), func(string) { cancel(late) })
	if !errors.Is(err, late) {
		t.Errorf("afterwards: %v", err)
	}
}

// TestNotWithdrawn: the person is told what is still good.
func TestNotWithdrawn(t *testing.T) {
	s := newServer(t)
	s.routes["/revoke"] = status(503)
	p := s.start()
	p.browse(http.MethodGet, p.address)
	if err := p.end(); err != nil || !strings.Contains(p.output.String(), "could not be withdrawn") {
		t.Errorf("%v, printed %s", err, p.output)
	}
}

// TestEscapes: what the server says does not reach the terminal as commands.
func TestEscapes(t *testing.T) {
	s := newServer(t)
	s.userinfo["name"] = "Ada\x1b[2J\nissuer https://evil.example"
	p := s.start()
	p.browse(http.MethodGet, p.address)
	if err := p.end(); err != nil || strings.Contains(p.output.String(), "\x1b") || strings.Contains(p.output.String(), "\nissuer https") {
		t.Errorf("%v, printed %q", err, p.output)
	}
}

// TestStop: the browser still gets the page that it waits for, and one that never
// takes it holds nobody up.
func TestStop(t *testing.T) {
	for name, test := range map[string]struct{ taken, arrives bool }{"taken": {true, true}, "not taken": {false, false}} {
		began, release := make(chan struct{}), make(chan struct{})
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(began)
			select {
			case <-release:
				show(w, http.StatusOK, pageDone)
			case <-r.Context().Done():
			}
		})}
		if test.taken {
			server.RegisterOnShutdown(func() { close(release) })
		}
		listener := must(listen(t.Context(), 0, "127.0.0.1"))
		go func() { _ = server.Serve(listener) }()
		arrived := make(chan bool)
		go func() {
			r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), http.NoBody))
			response, err := (&http.Client{}).Do(r)
			if err == nil {
				response.Body.Close()
			}
			arrived <- err == nil
		}()
		<-began
		stop(t.Context(), server)
		if got := <-arrived; got != test.arrives {
			t.Errorf("%s: arrived: %v", name, got)
		}
	}
}

// TestPath: the redirect URI is as it is registered, but for the port.
func TestPath(t *testing.T) {
	s := newServer(t)
	p := s.start("-path", "/oauth/back")
	if page := p.browse(http.MethodGet, p.address); p.back.Path != "/oauth/back" || page.status != http.StatusOK {
		t.Errorf("comes back to %s: %+v", p.back, page)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestFewEndpoints: a server without userinfo and revocation does as well.
func TestFewEndpoints(t *testing.T) {
	s := newServer(t)
	delete(s.metadata, "userinfo_endpoint")
	delete(s.metadata, "revocation_endpoint")
	p := s.start()
	p.browse(http.MethodGet, p.address)
	if err := p.end(); err != nil || !strings.Contains(p.output.String(), "signed in as u1\n") || strings.Contains(p.output.String(), "withdrawn") {
		t.Errorf("%v, printed %s", err, p.output)
	}
}

func TestFlags(t *testing.T) {
	const issuer, client = "-issuer=https://as.example.com", "-client-id=x"
	for want, args := range map[string][]string{
		"-issuer and -client-id: required":    {issuer},
		"-scope: ":                            {issuer, client, "-scope", "a  b"},
		"-scope: without openid":              {issuer, client, "-scope", "email"},
		"-path: not a path":                   {issuer, client, "-path", "callback"},
		"-path: not a path ":                  {issuer, client, "-path", "//evil.example/"},
		"-path: not a path  ":                 {issuer, client, "-path", "/x?y"},
		"-port: 99999 is no port":             {issuer, client, "-port", "99999"},
		"-port: 65536 is no port":             {issuer, client, "-port", "65536"},
		"-port: -1 is no port":                {issuer, client, "-port", "-1"},
		"-timeout: must be":                   {issuer, client, "-timeout", "0s"},
		`"x" is not a flag`:                   {issuer, client, "x"},
		"flag provided but not defined":       {"-secret=x"},
		"plain http is for loopback":          {"-issuer=http://as.example.com", client},
		"address already in use":              {issuer, client, "-port", taken(t)},
		"the authorization server is unavail": {"-issuer=http://127.0.0.1:1", client},
	} {
		var output terminal
		if err := run(t.Context(), args, &output, &output); err == nil || strings.Count(err.Error(), strings.TrimSpace(want)) != 1 {
			t.Errorf("%q: %v", args, err)
		}
	}
	var output terminal
	if err := run(t.Context(), []string{"-h"}, &output, &output); err != nil || !strings.Contains(output.String(), "-no-browser") {
		t.Errorf("%v, %s", err, &output)
	}
}

// taken is a port at which somebody listens.
func taken(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// TestListen: on a loopback address of whatever kind there is, and on no other.
func TestListen(t *testing.T) {
	listener, err := listen(t.Context(), 0, "192.0.2.1", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		t.Errorf("listens on %s", listener.Addr())
	}
	if listener, err := listen(t.Context(), 0, "192.0.2.1"); err == nil {
		t.Errorf("listens on %s", listener.Addr())
	}
}

func TestOpener(t *testing.T) {
	for system, want := range map[string]string{"darwin": "open", "windows": "rundll32", "linux": "xdg-open", "freebsd": "xdg-open"} {
		for _, variable := range []string{"DISPLAY", "WAYLAND_DISPLAY"} {
			command := opener(system, func(name string) string {
				if name == variable {
					return ":0"
				}
				return ""
			})
			if len(command) == 0 || command[0] != want {
				t.Errorf("%s: %q", system, command)
			}
		}
	}
	if command := opener("linux", func(string) string { return "" }); command != nil {
		t.Errorf("without a display: %q", command)
	}
}

// TestOpenBrowser: the address reaches the command whole, and as one argument.
func TestOpenBrowser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED, needs another system: rundll32 is found without the PATH")
	}
	t.Setenv("DISPLAY", ":0")
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if openBrowser("https://as.example.com/") {
		t.Error("opened by nothing")
	}
	// The command is this binary: see TestMain.
	if err := os.Symlink(must(os.Executable()), filepath.Join(dir, opener(runtime.GOOS, os.Getenv)[0])); err != nil {
		t.Fatal(err)
	}
	listener := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	defer listener.Close()
	t.Setenv(tellOpened, listener.Addr().String())
	const address = "https://as.example.com/auth?a=b&c=$(id)&d='e'"
	if !openBrowser(address) {
		t.Fatal("not opened")
	}
	connection := must(listener.Accept())
	defer connection.Close()
	if got, err := io.ReadAll(connection); err != nil || string(got) != fmt.Sprintf("%q", []string{address}) {
		t.Errorf("opened with %s, %v", got, err)
	}
}

// tellOpened names the variable with the address to which this binary, where it
// stands in for the command that opens a browser, tells its arguments.
const tellOpened = "NATIVE_TEST_TELL_OPENED"

func TestMain(m *testing.M) {
	if address := os.Getenv(tellOpened); address != "" {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			_, err = fmt.Fprintf(connection, "%q", os.Args[1:])
			connection.Close()
		}
		if err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"Ada": "Ada", "Zoë Ω": "Zoë Ω", "a\x1b[31mb\nc\u202ed": "a\ufffd[31mb\ufffdc\ufffdd", strings.Repeat("x", 300): strings.Repeat("x", 200) + "…",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
	for want, p := range map[string]person{
		"Ada (ada@example.com)": {"u1", "Ada", "ada@example.com"}, "Ada": {"u1", "Ada", ""}, "ada@example.com": {"u1", "", "ada@example.com"}, "u1": {"u1", "", ""},
	} {
		if got := p.called(); got != want {
			t.Errorf("%+v is called %q", p, got)
		}
	}
}
