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

func TestSignIn(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := webtest.NewBrowser(t)
	if page := b.Go(s.URL + "/"); page.Status != 200 || !strings.Contains(page.Body, `id="signin"`) {
		t.Errorf("GET / = %v, want the page", page)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 || a.JSON(t)["error"] != "missing_credentials" || a.Header.Get("Location") != "" {
		t.Errorf("GET /api/me by a script = %v, want 401", a)
	}
	page := b.Go(s.URL + "/api/me?a=b%26c")
	if page.Status != 200 || page.URL != s.URL+"/api/me?a=b%26c" {
		t.Fatalf("GET /api/me by a navigation = %v at %s, want a login and the same URL", page, page.URL)
	}
	me := page.JSON(t)
	for name, want := range map[string]any{
		"subject": "u1", "issuer": p.URL, "client": webtest.ClientID, "method": "session", "name": "Ada Lovelace", "email": "ada@example.com",
	} {
		if me[name] != want {
			t.Errorf("me: %s = %v, want %v", name, me[name], want)
		}
	}
	for _, name := range []string{"session", "expires", "auth_time"} {
		if text, _ := me[name].(string); text == "" {
			t.Errorf("me = %s, want a member %s", page.Body, name)
		}
	}
	if scopes, _ := me["scopes"].([]any); !slices.Equal(scopes, []any{"email", "openid"}) {
		t.Errorf("me: scopes = %v, want email and openid", me["scopes"])
	}
	if names := b.Cookies(); !slices.Equal(names, []string{"__Host-Http-signin"}) {
		t.Errorf("cookies = %v, want the session only", names)
	}
	s.wantNoToken(b)
	if page := webtest.NewBrowser(t).Go(s.URL + "/login?return_to=https://evil.example/"); page.Status != 200 || page.URL != s.URL+"/" {
		t.Errorf("a return_to of another site leads to %s, want /", page.URL)
	}
	s.wantLog("return_to")
}

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
			t.Errorf("GET %s = %v %v, want %d and the headers of secure", path, page, h, status)
		}
	}
}

// TestLogoutOnAnotherOrigin: the page lets its form lead to the end_session_endpoint.
func TestLogoutOnAnotherOrigin(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Metadata["end_session_endpoint"] = "http://127.0.0.2:1/end"
	s := open(t, p, nil)
	policy := webtest.NewBrowser(t).Go(s.URL + "/").Header.Get("Content-Security-Policy")
	if want := "form-action 'self' " + p.URL + " http://127.0.0.2:1;"; !strings.Contains(policy, want) {
		t.Errorf("GET /: policy %q, want %q", policy, want)
	}
}

// TestCallbackErrors: a failed callback shows an error page, or JSON to a script, and
// sends no code. Package signin tests what fails.
func TestCallbackErrors(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b, other := webtest.NewBrowser(t), webtest.NewBrowser(t)
	begin := func(b *webtest.Browser) *url.URL {
		login := b.Do(webtest.Request{Method: "GET", URL: s.URL + "/login", Navigation: true})
		return p.Authorize(login.Header.Get("Location"))
	}
	address, denied := begin(b), begin(other)
	denied.RawQuery = url.Values{
		"state": denied.Query()["state"], "iss": {p.URL}, "error": {"access_denied"}, "error_description": {"cookie <script>"},
	}.Encode()
	for _, test := range []struct {
		name    string
		browser *webtest.Browser
		address string
		status  int
	}{
		{"callback in another browser", webtest.NewBrowser(t), address.String(), 400},
		{"callback without parameters", b, s.URL + "/callback", 400},
		{"access denied", other, denied.String(), 403},
		{"callback", b, address.String(), 303},
		{"callback again (back button)", b, address.String(), 303},
		{"used callback in another browser", webtest.NewBrowser(t), address.String(), 400},
	} {
		page := test.browser.Do(webtest.Request{Method: "GET", URL: test.address, Navigation: true, From: p.URL})
		switch {
		case page.Status != test.status:
			t.Errorf("%s = %v, want %d", test.name, page, test.status)
		case test.status == 303 && page.Header.Get("Location") != "/":
			t.Errorf("%s = %v, want a redirect to /", test.name, page)
		case test.status != 303 && (!strings.Contains(page.Body, `href="/login"`) || page.Header.Get("Content-Type") != "text/html; charset=utf-8"):
			t.Errorf("%s = %v, want an error page", test.name, page)
		}
		for _, detail := range []string{"state", "cookie", "signin_", "oauth", "iss", p.URL, "<script"} {
			if strings.Contains(page.Body, detail) {
				t.Errorf("%s: the page contains %q", test.name, detail)
			}
		}
	}
	if n := p.Redeemed(); n != 1 {
		t.Errorf("token requests = %d, want 1", n)
	}
	s.want(other, "GET", "/callback", 400, "invalid_request")
	s.want(other, "GET", "/login", 401, "missing_credentials")
	if len(other.Cookies()) != 0 {
		t.Errorf("cookies = %v, want none", other.Cookies())
	}
}

// TestProviderUnavailable: the page works while the provider is down or rejects the
// login, the login shows an error page, and the log has the cause.
func TestProviderUnavailable(t *testing.T) {
	const metadata = "/.well-known/openid-configuration"
	par := func(code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"` + code + `","error_description":"detail"}`))
		}
	}
	for name, test := range map[string]struct {
		path  string
		route http.HandlerFunc
		log   string
	}{
		"down":            {metadata, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "503"},
		"invalid request": {"/par", par("invalid_request"), "invalid_request"},
		"invalid client":  {"/par", par("invalid_client"), "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			p := webtest.NewProvider(t)
			p.Metadata["pushed_authorization_request_endpoint"] = p.URL + "/par"
			p.Routes[test.path] = test.route
			s := open(t, p, nil)
			b := webtest.NewBrowser(t)
			if page := b.Go(s.URL + "/"); page.Status != 200 {
				t.Errorf("GET / = %v, want 200", page)
			}
			page := b.Go(s.URL + "/login")
			if page.Status != 503 || page.Header.Get("Content-Type") != "text/html; charset=utf-8" || page.Header.Get("Retry-After") == "" ||
				!strings.HasPrefix(page.Body, "<!DOCTYPE html>") || !strings.HasSuffix(page.Body, "</html>\n") ||
				!strings.Contains(page.Body, `href="/login"`) || strings.Contains(page.Body, "detail") || len(b.Cookies()) != 0 {
				t.Errorf("GET /login = %v %v, want an error page with 503 and no cookies", page, page.Header)
			}
			if s.wantLog(test.log); strings.Contains(s.log.String(), "detail") {
				t.Error("the log contains text from the provider")
			}
			p.Change(func() {
				delete(p.Routes, test.path)
				delete(p.Metadata, "pushed_authorization_request_endpoint")
			})
			if page := b.Go(open(t, p, nil).URL + "/login"); page.Status != 200 {
				t.Errorf("GET /login when the provider works = %v, want 200", page)
			}
		})
	}
}

func TestLogout(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	for n, script := range []bool{false, true} {
		b := s.browser()
		stolen := b.Copy()
		page := s.logout(b.Copy(), "https://evil.example")
		if page.Status != 403 || len(page.Header["Set-Cookie"]) != 0 || !strings.Contains(page.Body, "still signed in") {
			t.Errorf("logout form of another site = %v, want 403", page)
		}
		if a := b.Fetch("POST", s.URL+"/logout", "http://127.0.0.1:1"); a.Status != 403 || a.JSON(t)["error"] != "access_denied" {
			t.Errorf("logout fetch of another site = %v, want 403 access_denied", a)
		}
		s.want(b, "GET", "/api/me", 200, nil)
		var location string
		status := 303
		if script {
			status, page = 200, s.fetch(b, "POST", "/logout")
			location, _ = page.JSON(t)["logout_url"].(string)
		} else {
			page = s.logout(b, s.URL)
			location = page.Header.Get("Location")
		}
		at, err := url.Parse(location)
		if err != nil || page.Status != status || !strings.HasPrefix(at.String(), p.URL+"/end?") {
			t.Fatalf("POST /logout = %v, want %d with the provider", page, status)
		}
		q := at.Query()
		// A script gets no token.
		if q.Get("client_id") != webtest.ClientID || q.Get("post_logout_redirect_uri") != s.URL+"/" ||
			slices.Contains(p.Issued(), q.Get("id_token_hint")) == script {
			t.Errorf("logout request = %v, want client_id, post_logout_redirect_uri, and id_token_hint only for a form", q)
		}
		if page.Header.Get("Clear-Site-Data") == "" || page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("POST /logout: header = %v, want Clear-Site-Data and no-store", page.Header)
		}
		if revoked := p.Revoked(); len(revoked) != n+1 || !strings.HasPrefix(revoked[n], "refresh-") || !slices.Contains(p.Issued(), revoked[n]) {
			t.Errorf("revoked = %v, want the refresh token", revoked)
		}
		s.wantSignedOut(b)
		s.want(stolen, "GET", "/api/me", 401, "invalid_token")
		if page := s.logout(b, s.URL); page.Status != 303 || len(p.Revoked()) != n+1 {
			t.Errorf("POST /logout without a session = %v, want 303", page)
		}
		if script {
			s.wantNoToken(b)
		}
	}
}

func TestBackChannelLogout(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	ada, ada2 := s.browser(), s.browser()
	p.Change(func() { p.Subject = "u2" })
	other := s.browser()
	send := func(token string) webtest.Page {
		return webtest.NewBrowser(t).Do(webtest.Request{
			Method: "POST", URL: s.URL + "/backchannel-logout", Type: "application/x-www-form-urlencoded",
			Body: url.Values{"logout_token": {token}}.Encode(),
		})
	}
	if a := send("a.b.c"); a.Status != 400 {
		t.Errorf("invalid logout token = %v, want 400", a)
	}
	s.want(ada, "GET", "/api/me", 200, nil)
	if a := send(p.LogoutToken(t, "u1")); a.Status != 200 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("logout token = %v, want 200", a)
	}
	s.want(ada, "GET", "/api/me", 401, "invalid_token")
	s.want(ada2, "GET", "/api/me", 401, "invalid_token")
	s.want(other, "GET", "/api/me", 200, nil)
	s.wantLog("session_ended_all")
}
