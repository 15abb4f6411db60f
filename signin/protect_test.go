// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"crypto/sha256"
	"encoding/base64"
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

// protected returns a site, and the handler that Protect returns for it.
func protected(t *testing.T, changes ...func(*signin.Config)) (*site, http.Handler) {
	s := newSite(t, changes...)
	mux := http.NewServeMux()
	mux.HandleFunc("/notes/", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprint(w, p.Subject)
	})
	return s, s.Protect(mux)
}

// TestProtect: one handler is the login and the application behind it.
func TestProtect(t *testing.T) {
	s, h := protected(t)
	w := s.through(h, http.MethodGet, "/notes/7?x=1")
	if w.Code != 303 || w.Header().Get("Location") != "/auth/login?return_to=%2Fnotes%2F7%3Fx%3D1" {
		t.Fatalf("GET without a session: %d to %q, want 303 to the login", w.Code, w.Header().Get("Location"))
	}
	w = s.through(h, http.MethodGet, w.Header().Get("Location"))
	w = s.through(h, http.MethodGet, "/auth/callback?"+s.Authorize(w.Header().Get("Location")).Encode())
	if w.Code != 303 || w.Header().Get("Location") != "/notes/7?x=1" {
		t.Fatalf("callback: %d to %q, want 303 back", w.Code, w.Header().Get("Location"))
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
	for site, status := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200} {
		if w := s.through(h, http.MethodGet, "/notes/7", header("Sec-Fetch-Site", site), header("Sec-Fetch-Dest", "iframe")); w.Code != status {
			t.Errorf("%s frame: status %d, want %d", site, w.Code, status)
		}
	}
	if w := s.through(h, http.MethodPost, "/auth/logout"); w.Code != 303 || w.Header().Get("Clear-Site-Data") == "" {
		t.Errorf("POST /auth/logout: %d %v", w.Code, w.Header())
	}
	framed, h := protected(t, func(c *signin.Config) { c.Session.AllowFraming = true })
	framed.login("")
	if w := framed.through(h, http.MethodGet, "/notes/7"); w.Header().Get("X-Frame-Options") != "" {
		t.Errorf("X-Frame-Options = %q with AllowFraming", w.Header().Get("X-Frame-Options"))
	}
}

// TestRefusalsOfTheGate: what a user sees is a page, and what a script gets is JSON.
func TestRefusalsOfTheGate(t *testing.T) {
	s, h := protected(t)
	s.login("")
	other := must(s.principal())
	other.Subject = "grace"
	own := func(c *signin.Config) {
		c.Page = func(_ *http.Request, p signin.Page) gatehouse.Body {
			if p.Status == 403 {
				return gatehouse.Body{} // the default
			}
			return gatehouse.Body{ContentType: "text/html; charset=utf-8", Content: []byte("own " + p.Title)}
		}
	}
	paged, hPaged := protected(t, own)
	down, hDown := protected(t)
	down.down("Get")
	ended := header("Cookie", sessionCookie+"="+strings.Repeat("A", 43))
	foreign, grace := header("Sec-Fetch-Site", "cross-site"), header(session.UserHeader, session.UserTag(other))
	escaped := func(r *http.Request) { r.URL = must(url.Parse("/notes/a%3Fb")) }
	from := func(page string) modify { return modify{ended, header("Referer", page)} }
	for name, test := range map[string]struct {
		site       *site
		handler    http.Handler
		method     string
		changes    modify
		status     int
		text, link string // no link in JSON
	}{
		"form after the session":     {s, h, "POST", modify{ended}, 401, "reload this page", `href="/auth/login" target="_blank"`},
		"form, page known":           {s, h, "POST", from("http://example.com/notes/7?edit=1"), 401, "reload this page", `return_to=%2Fnotes%2F7%3Fedit%3D1"`},
		"form, host in capitals":     {s, h, "POST", from("http://EXAMPLE.com/notes/7"), 401, "reload", `href="/auth/login?return_to=%2Fnotes%2F7"`},
		"form, page of another host": {s, h, "POST", from("http://evil.example/notes"), 401, "reload", `href="/auth/login"`},
		"form, malformed page":       {s, h, "POST", from("http://%zz"), 401, "reload", `href="/auth/login"`},
		"form, hostile page":         {s, h, "POST", from("http://example.com//evil.example/x"), 401, "reload", `href="/auth/login"`},
		"form of another site":       {s, h, "POST", modify{foreign}, 403, "Nothing was changed", `href="/"`},
		"page of another user":       {s, h, "POST", modify{grace}, 409, "Another user", `href="/"`},
		"frame without a session":    {s, h, "GET", modify{ended, header("Sec-Fetch-Dest", "iframe")}, 401, "signed in", `login?return_to=%2Fnotes%2F7"`},
		"frame, escaped path":        {s, h, "GET", modify{ended, header("Sec-Fetch-Dest", "iframe"), escaped}, 401, "signed in", `login?return_to=%2Fnotes%2Fa%253Fb"`},
		"script":                     {s, h, "POST", modify{ended, script}, 401, `{"error":"invalid_token"`, ""},
		"script, other user":         {s, h, "POST", modify{script, grace}, 409, `{"error":"user_changed"`, ""},
		"malformed cookies":          {s, h, "POST", modify{ended, twice}, 400, "does not understand", `href="/"`},
		"store down":                 {down, hDown, "GET", modify{ended}, 503, "at the moment", `href="/"`},
		"own page":                   {paged, hPaged, "POST", nil, 401, "own Your session has ended", "own "},
		"own page, not for 403":      {paged, hPaged, "POST", modify{ended, foreign}, 403, "<h1>This is not possible", `href="/"`},
	} {
		w := test.site.through(test.handler, test.method, "/notes/7", test.changes...)
		kind := map[bool]string{true: "application/json", false: "text/html; charset=utf-8"}[test.link == ""]
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || !strings.Contains(w.Body.String(), test.link) || w.Header().Get("Content-Type") != kind {
			t.Errorf("%s: %d %s %s, want %d with %q and %q", name, w.Code, w.Header().Get("Content-Type"), w.Body, test.status, test.text, test.link)
		}
		for _, directive := range []string{"default-src", "base-uri", "form-action", "frame-ancestors"} {
			csp := w.Header().Get("Content-Security-Policy")
			if strings.HasPrefix(test.link, "href") && !strings.Contains(csp, directive+" 'none'") {
				t.Errorf("%s: Content-Security-Policy %q, want %s 'none'", name, csp, directive)
			}
		}
		if _, style, ok := strings.Cut(w.Body.String(), "<style>"); ok {
			style, _, _ = strings.Cut(style, "</style>")
			hash := sha256.Sum256([]byte(style))
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'") {
				t.Errorf("%s: Content-Security-Policy %q, want the hash of the style", name, csp)
			}
		}
	}
}

// twice sends a second session cookie.
func twice(r *http.Request) { r.Header.Add("Cookie", sessionCookie+"=x") }

// TestPathPrefix: a prefix that the proxy keeps works. One that it removes is refused with
// words, and not by a redirect without an end.
func TestPathPrefix(t *testing.T) {
	s, h := protected(t, func(c *signin.Config) { c.RedirectURI, c.Home = origin+"/app/auth/callback", "/app/" })
	start := func(target string) url.Values {
		return s.Authorize(s.do(http.MethodGet, target).Header().Get("Location"))
	}
	w := s.through(h, http.MethodGet, "/app/notes/7")
	if w.Header().Get("Location") != "/app/auth/login?return_to=%2Fapp%2Fnotes%2F7" {
		t.Errorf("GET /app/notes/7 leads to %q, want the login with the prefix", w.Header().Get("Location"))
	}
	response := start(w.Header().Get("Location"))
	if w := s.do(http.MethodGet, "/app/auth/callback?"+response.Encode()); w.Header().Get("Location") != "/app/notes/7" {
		t.Errorf("callback leads to %q, want /app/notes/7", w.Header().Get("Location"))
	}
	s.jar = map[string]string{sessionCookie: strings.Repeat("A", 43)} // which is of no session
	response = start("/app/auth/login")
	s.events.take()
	for target, handler := range map[string]http.Handler{
		"/auth/login?return_to=/notes/7": h, "/auth/callback?" + response.Encode(): h, // whose path has lost its prefix
		"/auth/login": s, "/auth/callback": s, "/auth/logout": s, "/auth/backchannel-logout": s, "/login": s,
	} {
		w := s.through(handler, http.MethodGet, target)
		s.expect(target, w, 404, signin.ReasonPath)
		if !strings.Contains(w.Body.String(), "proxy") {
			t.Errorf("%s: page %s, want words about the proxy", target, w.Body)
		}
	}
	delete(s.jar, sessionCookie)
	s.expect("without a cookie", s.through(h, http.MethodGet, "/auth/login?return_to=/notes/7"), 404, signin.ReasonPath)
	// The application may have paths of these names, also with such parameters.
	check := func(handler http.Handler, when, target string, status int) {
		t.Helper()
		if w := s.through(handler, http.MethodGet, target); w.Code != status || strings.Contains(w.Body.String(), "proxy") {
			t.Errorf("GET %s %s: status %d, want %d of the application or the gate: %s", target, when, w.Code, status, w.Body)
		}
	}
	check(h, "of another flow", "/auth/callback?state=x", 303)
	check(h, "without a session", "/login", 303)
	check(s, "without a session", "/", 404)
	s.do(http.MethodGet, "/app/auth/callback?"+start("/app/auth/login").Encode())
	check(h, "with a session", "/auth/callback?state=x", 404)
	check(h, "with a session", "/auth/login?return_to=/notes/7", 404)
	s.down("Get")
	check(h, "without the store", "/auth/login?return_to=/notes/7", 503)
}

// TestFailedVerificationHasItsPage: to log in again does not help, so the page has no link
// to it. What the metadata show is found before the login.
func TestFailedVerificationHasItsPage(t *testing.T) {
	for name, test := range map[string]struct {
		claims     func(object)
		algorithms []string
		status     int
		reason     gatehouse.Reason
		ready      string // in the error of Ready, "" for none
	}{
		"clock ahead":  {func(c object) { c["iat"] = c["iat"].(int64) + 600 }, nil, 400, oauth.ReasonIDToken, ""},
		"clock behind": {func(c object) { c["exp"] = c["iat"].(int64) - 600 }, nil, 400, oauth.ReasonIDToken, ""},
		"algorithm":    {func(object) {}, []string{"RS256", "HS256"}, 503, signin.ReasonProvider, "id_token_signing_alg_values_supported"},
	} {
		s := newSite(t)
		s.Claims = test.claims
		if test.algorithms != nil {
			s.Metadata["id_token_signing_alg_values_supported"] = test.algorithms
		}
		if err := s.Ready(t.Context()); (err == nil) != (test.ready == "") || err != nil && !strings.Contains(err.Error(), test.ready) {
			t.Errorf("%s: Ready error = %v, want one that names %q", name, err, test.ready)
		}
		w := s.do(http.MethodGet, "/auth/login?return_to=/x")
		if w.Code == 303 {
			w = s.callback(s.Authorize(w.Header().Get("Location")))
		}
		s.expect(name, w, test.status, test.reason)
		if !strings.Contains(w.Body.String(), "could not be verified") || strings.Contains(w.Body.String(), "/auth/login") {
			t.Errorf("%s: page %s, want words about the verification and no link to the login", name, w.Body)
		}
	}
}
