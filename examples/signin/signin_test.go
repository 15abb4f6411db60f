// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// TestSignIn goes the way of a person, from a page that needs them signed in.
func TestSignIn(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := webtest.NewBrowser(t)
	if page := b.Go(s.URL + "/"); page.Status != 200 || !strings.Contains(page.Body, `id="signin"`) {
		t.Errorf("the page: %v", page)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 || a.JSON(t)["error"] != "missing_credentials" || a.Header.Get("Location") != "" {
		t.Errorf("signed out, by a script: %v", a)
	}
	page := b.Go(s.URL + "/api/me?a=b%26c")
	if page.Status != 200 || page.URL != s.URL+"/api/me?a=b%26c" {
		t.Fatalf("signed out, by a person: %v at %s", page, page.URL)
	}
	me := page.JSON(t)
	want := object{"subject": "u1", "issuer": p.URL, "client": webtest.ClientID, "method": "session", "name": "Ada Lovelace", "email": "ada@example.com"}
	for name, value := range want {
		if me[name] != value {
			t.Errorf("me: %s is %v, want %v", name, me[name], value)
		}
	}
	for _, name := range []string{"session", "expires", "auth_time"} {
		if text, _ := me[name].(string); text == "" {
			t.Errorf("me: no %s in %s", name, page.Body)
		}
	}
	if scopes, _ := me["scopes"].([]any); !slices.Equal(scopes, []any{"email", "openid"}) {
		t.Errorf("me: scopes %v", me["scopes"])
	}
	if names := b.Cookies(); !slices.Equal(names, []string{"__Host-Http-signin"}) {
		t.Errorf("cookies %v", names)
	}
	s.holdsNoToken(b)
}

// holdsNoToken says that nothing of a token has come to the browser.
func (s *site) holdsNoToken(b *webtest.Browser) {
	s.t.Helper()
	given := s.provider.Issued()
	if len(given) == 0 {
		s.t.Error("there were no tokens")
	}
	for _, token := range given {
		if strings.Contains(b.Seen(), token) {
			s.t.Errorf("a token has come to the browser: %s", token)
		}
	}
}

func TestReturnTo(t *testing.T) {
	s := open(t, webtest.NewProvider(t), nil)
	for asked, want := range map[string]string{
		"/api/note": "/api/note", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/", "": "/",
	} {
		page := webtest.NewBrowser(t).Go(s.URL + "/login?return_to=" + url.QueryEscape(asked))
		if page.URL != s.URL+want {
			t.Errorf("%q leads to %s", asked, page.URL)
		}
	}
	if !strings.Contains(s.log.String(), "return_to") {
		t.Error("nothing in the log")
	}
}

// TestHeaders holds for every kind of answer.
func TestHeaders(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	for path, status := range map[string]int{
		"/": 200, "/app.js": 200, "/style.css": 200, "/healthz": 200, "/api/me": 200, "/api/nothing": 404, "/nothing": 404,
		"/login": 303, "/callback": 303, "/logout": 405, "/backchannel-logout": 405,
	} {
		page := b.Do(webtest.Request{Method: "GET", URL: s.URL + path, Navigation: true})
		h := page.Header
		policy := h.Get("Content-Security-Policy")
		if page.Status != status || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(policy, "default-src 'none'; script-src 'self';") || !strings.Contains(policy, "frame-ancestors 'none'") ||
			!strings.Contains(policy, "form-action 'self' "+p.URL+";") || h.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v %v", path, page, h)
		}
	}
}

// callbackFor returns an address to which the provider sends a browser back.
func (s *site) callbackFor(b *webtest.Browser) string {
	s.t.Helper()
	login := b.Do(webtest.Request{Method: "GET", URL: s.URL + "/login", Navigation: true})
	back := b.Do(webtest.Request{Method: "GET", URL: login.Header.Get("Location"), Navigation: true, From: s.URL})
	return back.Header.Get("Location")
}

func TestCallback(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	arrive := func(b *webtest.Browser, address string) webtest.Page {
		t.Helper()
		return b.Do(webtest.Request{Method: "GET", URL: address, Navigation: true, From: p.URL})
	}
	failed := func(what string, page webtest.Page, status int) {
		t.Helper()
		if page.Status != status || !strings.Contains(page.Body, `href="/login"`) || page.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", what, page)
		}
		for _, detail := range []string{"state", "cookie", "login_", "iss", p.URL} {
			if strings.Contains(page.Body, detail) {
				t.Errorf("%s: the page says %q", what, detail)
			}
		}
	}

	b := webtest.NewBrowser(t)
	address := s.callbackFor(b)
	failed("of another browser", arrive(webtest.NewBrowser(t), address), 400)
	failed("forged", arrive(b, s.URL+"/callback?code=a&state=b&iss="+url.QueryEscape(p.URL)), 400)
	failed("empty", arrive(b, s.URL+"/callback"), 400)
	if n := p.Redeemed(); n != 0 {
		t.Fatalf("%d codes were redeemed", n)
	}
	if page := arrive(b, address); page.Status != 303 || page.Header.Get("Location") != "/" {
		t.Fatalf("the login: %v", page)
	}
	if page := arrive(b, address); page.Status != 303 || page.Header.Get("Location") != "/" {
		t.Errorf("the back button while signed in: %v", page)
	}
	if n := p.Redeemed(); n != 1 {
		t.Errorf("%d codes were redeemed", n)
	}
	failed("the same by somebody else", arrive(webtest.NewBrowser(t), address), 400)
	// What is wrong with a login of its own is said, also where there is a session.
	mixed := s.callbackFor(b)
	failed("another issuer", arrive(b, strings.Replace(mixed, "iss="+url.QueryEscape(p.URL), "iss=https%3A%2F%2Fother.example", 1)), 400)

	refused := webtest.NewBrowser(t)
	at, err := url.Parse(s.callbackFor(refused))
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	q.Del("code")
	q.Set("error", "access_denied")
	q.Set("error_description", "cookie <script>")
	at.RawQuery = q.Encode()
	failed("refused", arrive(refused, at.String()), 403)
	if a := refused.Do(webtest.Request{Method: "GET", URL: s.URL + "/callback", From: s.URL}); a.Status != 400 || a.JSON(t)["error"] == nil {
		t.Errorf("by a script: %v", a)
	}
	if a := s.fetch(refused, "GET", "/login"); a.Status != 401 || len(refused.Cookies()) != 0 {
		t.Errorf("a login by a script: %v %v", a, refused.Cookies())
	}
}

// TestNewSession holds that a login ends the session that the browser had.
func TestNewSession(t *testing.T) {
	s := open(t, webtest.NewProvider(t), nil)
	b := s.browser()
	old := b.Copy()
	b.Go(s.URL + "/login")
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 200 {
		t.Errorf("the new one: %v", a)
	}
	if a := s.fetch(old, "GET", "/api/me"); a.Status != 401 {
		t.Errorf("the old one: %v", a)
	}
}

// TestProviderDown holds that the application lives while the provider does not.
func TestProviderDown(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	const metadata = "/.well-known/openid-configuration"
	p.Change(func() {
		p.Routes[metadata] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	})
	b := webtest.NewBrowser(t)
	if page := b.Go(s.URL + "/"); page.Status != 200 {
		t.Errorf("the page: %v", page)
	}
	if page := b.Go(s.URL + "/login"); page.Status != 503 || page.Header.Get("Retry-After") == "" || !strings.Contains(page.Body, `href="/login"`) {
		t.Errorf("login: %v", page)
	}
	p.Change(func() { delete(p.Routes, metadata) })
	if page := b.Go(s.URL + "/login"); page.Status != 200 || page.URL != s.URL+"/" {
		t.Errorf("login afterwards: %v", page)
	}
}

// TestLoginRefused holds that a person gets a page of the app where the provider
// refuses to begin a login, and that the log says what is to be done.
func TestLoginRefused(t *testing.T) {
	p := webtest.NewProvider(t)
	for code, hint := range map[string]string{
		"invalid_request": "is the RedirectURI registered for this client?",
		"invalid_client":  "are Config.ClientID, Secret and Auth those that are registered?",
	} {
		p.Change(func() {
			p.Metadata["pushed_authorization_request_endpoint"] = p.URL + "/par"
			p.Routes["/par"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error":"` + code + `","error_description":"detail"}`))
			}
		})
		s := open(t, p, nil)
		b := webtest.NewBrowser(t)
		page := b.Go(s.URL + "/login")
		if page.Status != 503 || page.Header.Get("Content-Type") != "text/html; charset=utf-8" || page.Header.Get("Retry-After") == "" ||
			!strings.HasPrefix(page.Body, "<!DOCTYPE html>") || !strings.HasSuffix(page.Body, "</html>\n") ||
			!strings.Contains(page.Body, `href="/login"`) || strings.Contains(page.Body, "detail") || len(b.Cookies()) != 0 {
			t.Errorf("%s: %v %v", code, page, page.Header)
		}
		if !strings.Contains(s.log.String(), code) || !strings.Contains(s.log.String(), hint) || strings.Contains(s.log.String(), "detail") {
			t.Errorf("%s: the log says %s", code, s.log)
		}
		if a := s.fetch(b, "GET", "/login"); a.Status != 401 || a.JSON(t)["error"] == nil {
			t.Errorf("by a script: %v", a)
		}
	}
}
