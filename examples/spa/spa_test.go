// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

type object = webtest.Object

// site is the running application.
type site struct {
	t        *testing.T
	provider *webtest.Provider
	log      *webtest.Log
	page     string // the origin of the page
	backend  string // the origin of the backend
}

// open runs the application. When the test ends, its log must contain no token.
func open(t *testing.T, p *webtest.Provider) *site {
	t.Helper()
	backend, page := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	s := &site{
		t: t, provider: p, log: new(webtest.Log),
		backend: "http://" + backend.Listener.Addr().String(), page: "http://" + page.Listener.Addr().String(),
	}
	config, err := readConfig(webtest.Configure(t, s.backend, p.URL, object{"app_addr": "127.0.0.1:0", "app_origin": s.page}))
	if err != nil {
		t.Fatal(err)
	}
	app, err := newApp(config, slog.New(slog.NewJSONHandler(s.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := app.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	backend.Config.Handler, page.Config.Handler = app.backend, app.page
	backend.Start()
	page.Start()
	t.Cleanup(func() {
		backend.Close()
		page.Close()
		app.close()
		p.CheckLog(t, s.log)
	})
	return s
}

// browser returns a browser with a session.
func (s *site) browser() *webtest.Browser {
	s.t.Helper()
	b := webtest.NewBrowser(s.t)
	if page := b.Go(s.backend + "/login?return_to=/api/me"); page.Status != 200 || page.URL != s.page+"/" {
		s.t.Fatalf("GET /login = %v at %s, want the page", page, page.URL)
	}
	return b
}

// fetch sends a request as the script of the page, which must be able to read the
// response.
func (s *site) fetch(b *webtest.Browser, method, path string) webtest.Page {
	s.t.Helper()
	return s.readable(b.Fetch(method, s.backend+path, s.page))
}

// readable checks that the browser lets the script of the page read a response.
func (s *site) readable(a webtest.Page) webtest.Page {
	s.t.Helper()
	h := a.Header
	if h.Get("Access-Control-Allow-Origin") != s.page || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
		s.t.Errorf("%s = %v %v, want CORS headers for the page", a.URL, a, h)
	}
	return a
}

// navigate sends a navigation to the backend.
func (s *site) navigate(b *webtest.Browser, method, address, from string) webtest.Page {
	s.t.Helper()
	return b.Do(webtest.Request{Method: method, URL: address, From: from, Navigation: true})
}

func TestPage(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	page := webtest.NewBrowser(t).Go(s.page + "/")
	for _, part := range []string{`content="` + s.backend + `"`, `href="` + s.backend + `/login"`, `action="` + s.backend + `/logout"`} {
		if !strings.Contains(page.Body, part) {
			t.Errorf("page = %v, want %s in it", page, part)
		}
	}
	if a := s.fetch(webtest.NewBrowser(t), "GET", "/api/me"); a.Status != 401 || a.JSON(t)["error"] != "missing_credentials" {
		t.Errorf("GET /api/me without a session = %v, want 401", a)
	}
	b := s.browser()
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 200 || a.JSON(t)["subject"] != "u1" || a.JSON(t)["name"] != "Ada Lovelace" {
		t.Errorf("GET /api/me = %v, want u1", a)
	}
	note := s.readable(b.Do(webtest.Request{
		Method: "POST", URL: s.backend + "/api/note", From: s.page, Type: "application/json", Body: `{"note":"milk"}`,
	}))
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; note.Status != 200 || got != "milk" {
		t.Errorf("POST /api/note = %v, then the note is %v, want milk", note, got)
	}
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 200 || a.JSON(t)["email"] != "ada@example.com" {
		t.Errorf("GET /api/upstream = %v, want the claims", a)
	}
	for _, token := range p.Issued() {
		if strings.Contains(b.Seen(), token) {
			t.Errorf("the browser has received the token %s", token)
		}
	}
}

func TestLogout(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	form := func(b *webtest.Browser) string {
		a := s.navigate(b, "POST", s.backend+"/logout", s.page)
		if a.Status != 303 {
			t.Errorf("POST /logout by the form = %v, want 303", a)
		}
		return a.Header.Get("Location")
	}
	script := func(b *webtest.Browser) string {
		at, _ := s.fetch(b, "POST", "/logout").JSON(t)["logout_url"].(string)
		return at
	}
	for name, test := range map[string]struct {
		logout func(*webtest.Browser) string
		hint   bool // only a navigation gets the ID token
	}{"form": {form, true}, "script": {script, false}} {
		b, before := s.browser(), len(p.Revoked())
		at, err := url.Parse(test.logout(b))
		if err != nil || !strings.HasPrefix(at.String(), p.URL+"/end?") || at.Query().Has("id_token_hint") != test.hint ||
			at.Query().Get("post_logout_redirect_uri") != s.backend+"/" {
			t.Errorf("logout by the %s leads to %v, want the provider, id_token_hint %v", name, at, test.hint)
		}
		if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 || len(b.Cookies()) != 0 || len(p.Revoked()) != before+1 {
			t.Errorf("GET /api/me after the logout by the %s = %v, cookies %v, revoked %v, want 401", name, a, b.Cookies(), p.Revoked())
		}
		if page := b.Go(s.backend + "/"); page.URL != s.page+"/" {
			t.Errorf("post_logout_redirect_uri leads to %s, want the page", page.URL)
		}
	}
}

func TestPreflight(t *testing.T) {
	s := open(t, webtest.NewProvider(t))
	preflight := func(from string) webtest.Page {
		return webtest.NewBrowser(t).Do(webtest.Request{Method: "OPTIONS", URL: s.backend + "/api/note", From: from, Header: http.Header{
			"Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type"},
		}})
	}
	a := s.readable(preflight(s.page))
	if a.Status != 204 || a.Header.Get("Access-Control-Allow-Methods") != "GET, POST" || a.Header.Get("Access-Control-Allow-Headers") != "Content-Type, Session-User" {
		t.Errorf("preflight of the page = %v %v, want 204", a, a.Header)
	}
	if a := preflight("https://evil.example"); a.Status == 204 || a.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("preflight of another origin = %v %v, want no CORS headers", a, a.Header)
	}
}

// TestOtherOriginsAreRejected: other origins read and change nothing, also those
// that resemble the configured one.
func TestOtherOriginsAreRejected(t *testing.T) {
	s := open(t, webtest.NewProvider(t))
	b := s.browser()
	port := s.page[strings.LastIndex(s.page, ":"):]
	for _, from := range []string{
		"https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1" + port, "http://127.0.0.1", s.page + ".evil.example",
		"http://localhost" + port, s.page + "/", strings.ToUpper(s.page),
	} {
		for _, request := range []webtest.Request{
			{Method: "GET", URL: "/api/me"},
			{Method: "POST", URL: "/api/note", Type: "text/plain", Body: "theirs"},
			{Method: "POST", URL: "/api/note", Type: "text/plain", Body: "theirs", Navigation: true},
			{Method: "POST", URL: "/logout"},
			{Method: "POST", URL: "/logout", Navigation: true},
		} {
			request.URL, request.From = s.backend+request.URL, from
			a := b.Do(request)
			// 401: cross-site requests have no cookie. 403: same-site ones have it.
			if a.Status != 403 && a.Status != 401 || a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Vary") != "Origin" ||
				len(a.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s %s from %s = %v %v, want 401 or 403", request.Method, request.URL, from, a, a.Header)
			}
		}
	}
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != "" {
		t.Errorf("note = %v, want none", got)
	}
}

// TestCallback: the callback redirects to the page and nowhere else, with a word for
// the problem.
func TestCallback(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	begin := func(b *webtest.Browser) *url.URL {
		t.Helper()
		login := s.navigate(b, "GET", s.backend+"/login?return_to="+url.QueryEscape("https://evil.example/"), s.page)
		return p.Authorize(login.Header.Get("Location"))
	}
	arrive := func(what string, b *webtest.Browser, address *url.URL, want string) {
		t.Helper()
		if page := s.navigate(b, "GET", address.String(), p.URL); page.Status != 303 || page.Header.Get("Location") != s.page+want {
			t.Errorf("%s = %v, want a redirect to the page with %s", what, page, want)
		}
	}
	b, other := webtest.NewBrowser(t), webtest.NewBrowser(t)
	address := begin(b)
	arrive("callback in another browser", other, address, "/?problem=incomplete")
	arrive("callback", b, address, "/")
	arrive("callback again (back button)", b, address, "/")
	if n := p.Redeemed(); n != 1 {
		t.Errorf("token requests = %d, want 1", n)
	}
	refused := begin(other)
	q := refused.Query()
	q.Del("code")
	q.Set("error", "access_denied")
	refused.RawQuery = q.Encode()
	arrive("access denied", other, refused, "/?problem=refused")
	failing := begin(other)
	p.Change(func() {
		p.Routes["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	})
	arrive("token endpoint down", other, failing, "/?problem=unavailable")
	if a := s.fetch(other, "GET", "/callback"); a.Status != 400 || a.JSON(t)["error"] == nil {
		t.Errorf("callback by a script = %v, want 400 as JSON", a)
	}
	if a := s.fetch(other, "GET", "/login"); a.Status != 401 || len(other.Cookies()) != 0 {
		t.Errorf("login by a script = %v, cookies %v, want 401 and none", a, other.Cookies())
	}
}

// TestProviderUnavailable: sessions work while the provider is down, and a failed
// login leads back to the page.
func TestProviderUnavailable(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Metadata["pushed_authorization_request_endpoint"] = p.URL + "/par"
	s := open(t, p)
	b := webtest.NewBrowser(t)
	p.Routes["/par"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	page := s.navigate(b, "GET", s.backend+"/login", s.page)
	if page.Status != 303 || page.Header.Get("Location") != s.page+"/?problem=unavailable" || len(b.Cookies()) != 0 {
		t.Errorf("GET /login = %v, want a redirect to the page with problem=unavailable", page)
	}
	if !strings.Contains(s.log.String(), "pushed authorization request") {
		t.Error("the log does not contain the cause")
	}
	p.Change(func() { delete(p.Metadata, "pushed_authorization_request_endpoint") })
	s = open(t, p)
	b = s.browser()
	p.Close()
	if page := b.Go(s.page + "/"); page.Status != 200 {
		t.Errorf("GET / of the page = %v, want 200", page)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 200 {
		t.Errorf("GET /api/me = %v, want 200", a)
	}
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("GET /api/upstream = %v, want 503", a)
	}
	if out := s.navigate(b, "POST", s.backend+"/logout", s.page); out.Status != 303 || len(b.Cookies()) != 0 {
		t.Errorf("POST /logout = %v, cookies %v, want 303 and none", out, b.Cookies())
	}
}

func TestHeaders(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Metadata["end_session_endpoint"] = "http://127.0.0.2:1/end"
	s := open(t, p)
	for address, policy := range map[string]string{
		s.page + "/":       "script-src 'self'; style-src 'self'; img-src data:; connect-src " + s.backend + "; form-action 'self' " + s.backend + " " + p.URL + " http://127.0.0.2:1;",
		s.page + "/app.js": "script-src 'self';", s.page + "/style.css": "script-src 'self';", s.page + "/none": "script-src 'self';",
		s.backend + "/healthz": "form-action 'none'", s.backend + "/none": "form-action 'none'", s.backend + "/logout": "form-action 'none'",
	} {
		page := webtest.NewBrowser(t).Fetch("GET", address, s.page)
		h := page.Header
		got := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(got, "default-src 'none'; ") || !strings.Contains(got, policy) || !strings.Contains(got, "frame-ancestors 'none'") ||
			h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" {
			t.Errorf("GET %s = %v %v, want the policy %s", address, page, h, policy)
		}
	}
}
