// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// protected returns a site whose handler is that of Protect.
func protected(t *testing.T, changes ...func(*signin.Config)) (*site, http.Handler) {
	s := newSite(t, changes...)
	mux := http.NewServeMux()
	mux.HandleFunc("/notes/", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprint(w, p.Subject)
	})
	return s, s.Protect(mux)
}

func (s *site) through(h http.Handler, method, target string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, s.request(method, target, changes...))
	return w
}

// TestProtect: one handler is the login and the application behind it.
func TestProtect(t *testing.T) {
	s, h := protected(t)
	w := s.through(h, http.MethodGet, "/notes/7?x=1")
	if w.Code != 303 || w.Header().Get("Location") != "/auth/login?return_to=%2Fnotes%2F7%3Fx%3D1" {
		t.Fatalf("GET without a session: %d to %q, want 303 to the login", w.Code, w.Header().Get("Location"))
	}
	w = s.through(h, http.MethodGet, w.Header().Get("Location"))
	for _, c := range w.Result().Cookies() {
		s.jar[c.Name] = c.Value
	}
	w = s.through(h, http.MethodGet, "/auth/callback?"+s.Authorize(w.Header().Get("Location")).Encode())
	if w.Code != 303 || w.Header().Get("Location") != "/notes/7?x=1" {
		t.Fatalf("callback: %d to %q, want 303 back", w.Code, w.Header().Get("Location"))
	}
	for _, c := range w.Result().Cookies() {
		s.jar[c.Name] = c.Value
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r := s.request(method, "/notes/7", header("Referer", "http://example.com/notes/7"))
		w = httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 || w.Body.String() != "alice" || w.Header().Get("X-Frame-Options") != "SAMEORIGIN" || r.Pattern != "/notes/" {
			t.Errorf("%s with a session: %d %s %v, pattern %q", method, w.Code, w.Body, w.Header(), r.Pattern)
		}
	}
	if w := s.through(h, http.MethodPost, "/auth/backchannel-logout", form("")); w.Code != 400 {
		t.Errorf("back-channel logout without a token: status %d, want 400", w.Code)
	}
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"framed by another site": {func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Dest", "iframe")
		}, 403},
		"framed by a sibling": {func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "same-site")
			r.Header.Set("Sec-Fetch-Dest", "iframe")
		}, 403},
		"framed by itself": {header("Sec-Fetch-Dest", "iframe"), 200},
	} {
		if w := s.through(h, http.MethodGet, "/notes/7", test.change); w.Code != test.status {
			t.Errorf("%s: status %d, want %d", name, w.Code, test.status)
		}
	}
	if w := s.through(h, http.MethodPost, "/auth/logout"); w.Code != 303 || w.Header().Get("Clear-Site-Data") == "" {
		t.Errorf("POST /auth/logout: %d %v", w.Code, w.Header())
	}
	framed, h2 := protected(t, func(c *signin.Config) { c.Session.AllowFraming = true })
	framed.login("")
	if w := framed.through(h2, http.MethodGet, "/notes/7"); w.Header().Get("X-Frame-Options") != "" {
		t.Errorf("X-Frame-Options = %q with AllowFraming", w.Header().Get("X-Frame-Options"))
	}
}

// TestRefusalsOfTheGate: what a user sees is a page, and what a script gets is JSON.
func TestRefusalsOfTheGate(t *testing.T) {
	s, h := protected(t)
	s.login("")
	p := must(s.principal())
	other := p
	other.Subject = "grace"
	ended := func(r *http.Request) { r.Header.Set("Cookie", sessionCookie+"="+strings.Repeat("A", 43)) }
	for name, test := range map[string]struct {
		method  string
		changes []func(*http.Request)
		status  int
		text    string
		link    string
	}{
		"form after the session": {"POST", []func(*http.Request){ended}, 401, "reload this page", `href="/auth/login" target="_blank"`},
		"form, page known": {
			"POST",
			[]func(*http.Request){ended, header("Referer", "http://example.com/notes/7?edit=1")},
			401, "reload this page", `href="/auth/login?return_to=%2Fnotes%2F7%3Fedit%3D1"`,
		},
		"form, host in capitals": {
			"POST", []func(*http.Request){ended, header("Referer", "http://EXAMPLE.com/notes/7")}, 401, "reload", `href="/auth/login?return_to=%2Fnotes%2F7"`,
		},
		"form, page of another host": {"POST", []func(*http.Request){ended, header("Referer", "http://evil.example/notes")}, 401, "reload", `href="/auth/login"`},
		"form, hostile page":         {"POST", []func(*http.Request){ended, header("Referer", "http://example.com//evil.example/x")}, 401, "reload", `href="/auth/login"`},
		"form of another site":       {"POST", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403, "Nothing was changed", `href="/"`},
		"page of another user":       {"POST", []func(*http.Request){header(session.UserHeader, session.UserTag(other))}, 409, "Another user", `href="/"`},
		"frame without a session":    {"GET", []func(*http.Request){ended, header("Sec-Fetch-Dest", "iframe")}, 401, "signed in", `href="/auth/login?return_to=%2Fnotes%2F7"`},
		"script":                     {"POST", []func(*http.Request){ended, script}, 401, `{"error":"invalid_token"`, ""},
		"script, other user":         {"POST", []func(*http.Request){script, header(session.UserHeader, session.UserTag(other))}, 409, `{"error":"user_changed"`, ""},
		"malformed cookies":          {"POST", []func(*http.Request){func(r *http.Request) { r.Header.Add("Cookie", sessionCookie+"=x") }}, 400, "does not understand", `href="/"`},
	} {
		w := s.through(h, test.method, "/notes/7", test.changes...)
		kind := map[bool]string{true: "application/json", false: "text/html; charset=utf-8"}[test.link == ""]
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || !strings.Contains(w.Body.String(), test.link) || w.Header().Get("Content-Type") != kind {
			t.Errorf("%s: %d %s %s, want %d with %q and %q", name, w.Code, w.Header().Get("Content-Type"), w.Body, test.status, test.text, test.link)
		}
		for _, directive := range []string{"default-src", "base-uri", "form-action", "frame-ancestors"} {
			if csp := w.Header().Get("Content-Security-Policy"); test.link != "" && !strings.Contains(csp, directive+" 'none'") {
				t.Errorf("%s: Content-Security-Policy %q, want %s 'none'", name, csp, directive)
			}
		}
	}
	failing := true
	down, h2 := protected(t, without(&failing, "Get"))
	down.jar[sessionCookie] = strings.Repeat("A", 43)
	if w := down.through(h2, http.MethodGet, "/notes/7"); w.Code != 503 || !strings.Contains(w.Body.String(), "at the moment") {
		t.Errorf("store down: %d %s", w.Code, w.Body)
	}
	own, h3 := protected(t, func(c *signin.Config) {
		c.Page = func(_ *http.Request, p signin.Page) gatehouse.Body {
			if p.Status == 403 {
				return gatehouse.Body{} // the default
			}
			return gatehouse.Body{ContentType: "text/html", Content: []byte("own " + p.Title)}
		}
	})
	if w := own.through(h3, http.MethodPost, "/notes/7"); w.Body.String() != "own Your session has ended" {
		t.Errorf("own page: %s", w.Body)
	}
	own.jar[sessionCookie] = strings.Repeat("A", 43)
	if w := own.through(h3, http.MethodPost, "/notes/7", header("Sec-Fetch-Site", "cross-site")); !strings.Contains(w.Body.String(), "<h1>This is not possible") {
		t.Errorf("own page for 403: %s, want the default", w.Body)
	}
}

// TestPathPrefix: a prefix that the proxy keeps works. One that it removes is refused with
// words, and not by a redirect without an end.
func TestPathPrefix(t *testing.T) {
	prefixed := func(c *signin.Config) { c.RedirectURI, c.Home = origin+"/app/auth/callback", "/app/" }
	var down bool
	s, h := protected(t, prefixed, without(&down, "Get"))
	w := s.through(h, http.MethodGet, "/app/notes/7")
	if w.Header().Get("Location") != "/app/auth/login?return_to=%2Fapp%2Fnotes%2F7" {
		t.Errorf("GET /app/notes/7 leads to %q, want the login with the prefix", w.Header().Get("Location"))
	}
	sent := s.do(http.MethodGet, w.Header().Get("Location")).Header().Get("Location")
	if w := s.do(http.MethodGet, "/app/auth/callback?"+s.Authorize(sent).Encode()); w.Header().Get("Location") != "/app/notes/7" {
		t.Errorf("callback leads to %q, want /app/notes/7", w.Header().Get("Location"))
	}
	s.jar = make(map[string]string)
	s.events.take()
	for _, test := range []struct {
		target  string
		handler http.Handler
	}{
		{"/auth/login?return_to=/notes/7", h},
		{"/auth/login", s},
		{"/auth/callback", s},
		{"/auth/logout", s},
		{"/login", s},
	} {
		w := s.through(test.handler, http.MethodGet, test.target)
		s.expect(test.target, w, 404, signin.ReasonPath)
		if !strings.Contains(w.Body.String(), "proxy") {
			t.Errorf("%s: page %s, want words about the proxy", test.target, w.Body)
		}
	}
	// A login whose callback has lost its prefix.
	response := s.Authorize(s.do(http.MethodGet, "/app/auth/login").Header().Get("Location"))
	s.events.take()
	s.expect("callback without the prefix", s.through(h, http.MethodGet, "/auth/callback?"+response.Encode()), 404, signin.ReasonPath)
	// The application may have paths of these names, also with such parameters.
	if w := s.through(h, http.MethodGet, "/auth/callback?state=x"); w.Code != 303 {
		t.Errorf("GET /auth/callback of another flow: status %d, want 303 to the login", w.Code)
	}
	s.do(http.MethodGet, "/app/auth/callback?"+s.Authorize(s.do(http.MethodGet, "/app/auth/login").Header().Get("Location")).Encode())
	for _, target := range []string{"/auth/callback?state=x", "/auth/login?return_to=/notes/7"} {
		if w := s.through(h, http.MethodGet, target); w.Code != 404 || strings.Contains(w.Body.String(), "proxy") {
			t.Errorf("GET %s with a session: status %d, want the 404 of the application: %s", target, w.Code, w.Body)
		}
	}
	down = true
	if w := s.through(h, http.MethodGet, "/auth/login?return_to=/notes/7"); w.Code != 503 {
		t.Errorf("GET /auth/login without the store: status %d, want 503", w.Code)
	}
	down = false
	delete(s.jar, sessionCookie)
	if w := s.through(h, http.MethodGet, "/login"); w.Code != 303 {
		t.Errorf("GET /login: status %d, want 303 to the login", w.Code)
	}
	if w := s.through(s, http.MethodGet, "/"); w.Code != 404 || w.Header().Get("Content-Type") == "text/html; charset=utf-8" {
		t.Errorf("GET /: %d %v, want a plain 404", w.Code, w.Header())
	}
}

// TestFailedVerificationHasItsPage: to log in again does not help, so the page has no link
// to it. What the metadata show is found before the login.
func TestFailedVerificationHasItsPage(t *testing.T) {
	noLogin := func(w *httptest.ResponseRecorder) bool {
		return strings.Contains(w.Body.String(), "could not be verified") && !strings.Contains(w.Body.String(), "/auth/login")
	}
	for name, claims := range map[string]func(object){
		"clock ahead":  func(c object) { c["iat"] = c["iat"].(int64) + 600 },
		"clock behind": func(c object) { c["exp"] = c["iat"].(int64) - 600 },
	} {
		s := newSite(t)
		s.Claims = claims
		w := s.login("")
		s.expect(name, w, 400, oauth.ReasonIDToken)
		if !noLogin(w) {
			t.Errorf("%s: page %s", name, w.Body)
		}
	}
	s := newSite(t)
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready error = %v, want none", err)
	}
	s = newSite(t)
	s.Metadata["id_token_signing_alg_values_supported"] = []string{"RS256", "HS256"}
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "id_token_signing_alg_values_supported") {
		t.Errorf("Ready error = %v, want one that names the algorithms", err)
	}
	w := s.do(http.MethodGet, "/auth/login?"+url.Values{"return_to": {"/x"}}.Encode())
	s.expect("algorithm", w, 503, signin.ReasonProvider)
	if !noLogin(w) {
		t.Errorf("algorithm: page %s", w.Body)
	}
}
