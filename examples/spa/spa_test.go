// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// TestPage goes the way of a person: the page, the login, a note, the logout.
func TestPage(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	b := webtest.NewBrowser(t)
	page := b.Go(s.page + "/")
	for _, part := range []string{`content="` + s.backend + `"`, `href="` + s.backend + `/login"`, `action="` + s.backend + `/logout"`} {
		if !strings.Contains(page.Body, part) {
			t.Errorf("no %s in the page: %v", part, page)
		}
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 || a.JSON(t)["error"] != "missing_credentials" {
		t.Errorf("signed out: %v", a)
	}
	if page := b.Go(s.backend + "/login?return_to=/api/me"); page.Status != 200 || page.URL != s.page+"/" {
		t.Fatalf("login: %v at %s", page, page.URL)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 200 || a.JSON(t)["subject"] != "u1" || a.JSON(t)["name"] != "Ada Lovelace" {
		t.Errorf("signed in: %v", a)
	}
	note := b.Do(webtest.Request{
		Method: "POST", URL: s.backend + "/api/note", From: s.page, Type: "application/json", Body: `{"note":"milk"}`,
	})
	s.readable("a note", note)
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; note.Status != 200 || got != "milk" {
		t.Errorf("a note: %v, and then %v", note, got)
	}
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 200 || a.JSON(t)["email"] != "ada@example.com" {
		t.Errorf("upstream: %v", a)
	}
	for _, token := range p.Issued() {
		if strings.Contains(b.Seen(), token) {
			t.Errorf("a token has come to the browser: %s", token)
		}
	}

	form := webtest.Request{Method: "POST", URL: s.backend + "/logout", From: s.page, Navigation: true}
	out := b.Do(form)
	at, err := url.Parse(out.Header.Get("Location"))
	if err != nil || out.Status != 303 || !strings.HasPrefix(at.String(), p.URL+"/end?") || at.Query().Get("id_token_hint") == "" ||
		at.Query().Get("post_logout_redirect_uri") != s.backend+"/" {
		t.Errorf("logout: %v", out)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 || len(b.Cookies()) != 0 || len(p.Revoked()) != 1 {
		t.Errorf("signed out: %v, cookies %v, revoked %v", a, b.Cookies(), p.Revoked())
	}
	if page := b.Go(s.backend + "/"); page.URL != s.page+"/" {
		t.Errorf("from the provider the way leads to %s", page.URL)
	}
}

// TestScriptGetsNoToken holds for the logout too.
func TestScriptGetsNoToken(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	b := s.browser()
	a := s.fetch(b, "POST", "/logout")
	at, _ := a.JSON(t)["logout_url"].(string)
	if a.Status != 200 || !strings.HasPrefix(at, p.URL+"/end?") || strings.Contains(at, "id_token_hint") {
		t.Errorf("logout: %v", a)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 {
		t.Errorf("signed out: %v", a)
	}
}

// TestPreflight holds that a script may send JSON, and that it needs no cookie to
// ask.
func TestPreflight(t *testing.T) {
	s := open(t, webtest.NewProvider(t))
	ask := func(from string) webtest.Page {
		return webtest.NewBrowser(t).Do(webtest.Request{Method: "OPTIONS", URL: s.backend + "/api/note", From: from, Header: http.Header{
			"Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type"},
		}})
	}
	a := ask(s.page)
	s.readable("a preflight", a)
	if a.Status != 204 || a.Header.Get("Access-Control-Allow-Methods") != "GET, POST" || a.Header.Get("Access-Control-Allow-Headers") != "Content-Type" {
		t.Errorf("%v %v", a, a.Header)
	}
	if a := ask("https://evil.example"); a.Status == 204 || a.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("of another origin: %v %v", a, a.Header)
	}
}

// TestOtherOrigins holds that the page of nobody else reads or changes anything,
// however much its origin looks like the right one.
func TestOtherOrigins(t *testing.T) {
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
			// Cookies do not come from other sites, and are refused from this one.
			if a.Status != 403 && a.Status != 401 || a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Vary") != "Origin" ||
				len(a.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s %s from %s: %v %v", request.Method, request.URL, from, a, a.Header)
			}
		}
	}
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != "" {
		t.Errorf("the note is %v", got)
	}
}

// TestCallback holds that the way back from a login leads to the page and nowhere
// else, with no detail of what went wrong.
func TestCallback(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	begin := func(b *webtest.Browser, path string) *url.URL {
		t.Helper()
		login := b.Do(webtest.Request{Method: "GET", URL: s.backend + path, Navigation: true, From: s.page})
		back := b.Do(webtest.Request{Method: "GET", URL: login.Header.Get("Location"), Navigation: true, From: s.backend})
		u, err := url.Parse(back.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	arrive := func(b *webtest.Browser, address *url.URL, want string) {
		t.Helper()
		page := b.Do(webtest.Request{Method: "GET", URL: address.String(), Navigation: true, From: p.URL})
		if page.Status != 303 || page.Header.Get("Location") != want {
			t.Errorf("%v, want %s", page, want)
		}
	}
	b := webtest.NewBrowser(t)
	address := begin(b, "/login?return_to="+url.QueryEscape("https://evil.example/"))
	arrive(webtest.NewBrowser(t), address, s.page+"/?problem=incomplete")
	arrive(b, address, s.page+"/")
	arrive(b, address, s.page+"/") // the back button
	if n := p.Redeemed(); n != 1 {
		t.Errorf("%d codes were redeemed", n)
	}
	other := webtest.NewBrowser(t)
	refused := begin(other, "/login")
	q := refused.Query()
	q.Del("code")
	q.Set("error", "access_denied")
	refused.RawQuery = q.Encode()
	arrive(other, refused, s.page+"/?problem=refused")

	failing := begin(other, "/login")
	p.Change(func() {
		p.Routes["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	})
	arrive(other, failing, s.page+"/?problem=unavailable")
	if a := other.Fetch("GET", s.backend+"/callback", s.page); a.Status != 400 || a.JSON(t)["error"] == nil {
		t.Errorf("by a script: %v", a)
	}
	if a := other.Fetch("GET", s.backend+"/login", s.page); a.Status != 401 || len(other.Cookies()) != 0 {
		t.Errorf("a login by a script: %v", a)
	}
}

// TestProviderDown holds that the application lives while the provider does not.
func TestProviderDown(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	b := s.browser()
	p.Close()
	if page := b.Go(s.page + "/"); page.Status != 200 {
		t.Errorf("the page: %v", page)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 200 {
		t.Errorf("who is signed in: %v", a)
	}
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("upstream: %v", a)
	}
	if out := b.Do(webtest.Request{Method: "POST", URL: s.backend + "/logout", From: s.page, Navigation: true}); out.Status != 303 || len(b.Cookies()) != 0 {
		t.Errorf("logout: %v", out)
	}
}

// TestLoginRefused holds that the way leads back to the page where the provider
// refuses to begin a login, and that the log says what is to be done.
func TestLoginRefused(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Change(func() {
		p.Metadata["pushed_authorization_request_endpoint"] = p.URL + "/par"
		p.Routes["/par"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	})
	s := open(t, p)
	b := webtest.NewBrowser(t)
	page := b.Do(webtest.Request{Method: "GET", URL: s.backend + "/login", Navigation: true, From: s.page})
	if page.Status != 303 || page.Header.Get("Location") != s.page+"/?problem=unavailable" || page.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
		strings.Contains(page.Body, "Sign-in") || len(b.Cookies()) != 0 {
		t.Errorf("login: %v", page)
	}
	if !strings.Contains(s.log.String(), "pushed authorization request") {
		t.Errorf("the log says %s", s.log)
	}
}

func TestHeaders(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p)
	b := webtest.NewBrowser(t)
	for address, policy := range map[string]string{
		s.page + "/":       "script-src 'self'; style-src 'self'; img-src data:; connect-src " + s.backend + "; form-action 'self' " + s.backend + " " + p.URL + ";",
		s.page + "/app.js": "script-src 'self';", s.page + "/style.css": "script-src 'self';", s.page + "/none": "script-src 'self';",
		s.backend + "/healthz": "form-action 'none'", s.backend + "/none": "form-action 'none'", s.backend + "/logout": "form-action 'none'",
	} {
		page := b.Fetch("GET", address, s.page)
		h := page.Header
		got := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(got, "default-src 'none'; ") || !strings.Contains(got, policy) || !strings.Contains(got, "frame-ancestors 'none'") ||
			h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v %v", address, page, h)
		}
	}
}
