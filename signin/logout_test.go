// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

func TestLogout(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*http.Request)
		refresh any // in the token response
		status  int
		hint    bool
		revoked string // and its kind
	}{
		"form":                   {func(*http.Request) {}, "refresh-1", 303, true, "refresh-1 refresh_token"},
		"script":                 {script, "refresh-1", 200, false, "refresh-1 refresh_token"},
		"without refresh tokens": {func(*http.Request) {}, nil, 303, true, "access-1 access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(c *signin.Config) { c.PostLogoutRedirectURI = origin + "/" })
			var revoked []string
			s.Routes["/revoke"] = func(_ http.ResponseWriter, r *http.Request) {
				revoked = append(revoked, r.PostFormValue("token")+" "+r.PostFormValue("token_type_hint"))
			}
			s.Reply = object{"refresh_token": test.refresh}
			s.login("")
			stolen := s.request(http.MethodGet, "/")
			w := s.do(http.MethodPost, "/auth/logout", test.change)
			location := w.Header().Get("Location")
			if name == "script" {
				location = strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(w.Body.String(), `\u0026`, "&"), `{"logout_url":"`), "\"}\n")
			}
			q := must(url.Parse(location)).Query()
			if w.Code != test.status || !strings.HasPrefix(location, providertest.Issuer+"/end?") || q.Has("id_token_hint") != test.hint ||
				q.Get("post_logout_redirect_uri") != origin+"/" {
				t.Errorf("logout: %d to %s, want %d to the end session endpoint, with id_token_hint: %t", w.Code, location, test.status, test.hint)
			}
			if w.Header().Get("Clear-Site-Data") == "" || len(s.jar) != 0 {
				t.Errorf("logout: header %v, cookies %v", w.Header(), s.jar)
			}
			if !slices.Equal(revoked, []string{test.revoked}) {
				t.Errorf("revoked %q, want %q", revoked, test.revoked)
			}
			if _, err := s.Sessions.Authenticate(stolen); err == nil {
				t.Error("the session is still valid")
			}
			// Without a session, the logout does the same.
			if w := s.do(http.MethodPost, "/auth/logout"); w.Code != 303 || len(revoked) != 1 {
				t.Errorf("second logout: status %d with %d revocations, want 303 with 1", w.Code, len(revoked))
			}
		})
	}
}

// TestLogoutCompletesAfterCancel: the tokens are revoked even if the browser goes away.
func TestLogoutCompletesAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newSite(t, withFaults(func(string, string) error { cancel(); return nil }))
	revoked := 0
	s.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) { revoked++ }
	s.login("")
	s.do(http.MethodPost, "/auth/logout", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if _, err := s.principal(); err == nil || ctx.Err() == nil || revoked != 1 {
		t.Errorf("session error = %v with %d revocations, want it to have ended with 1", err, revoked)
	}
}

func TestLogoutRejects(t *testing.T) {
	s := newSite(t)
	s.login("")
	s.events.take()
	foreign := header("Sec-Fetch-Site", "cross-site")
	for name, test := range map[string]struct {
		changes []func(*http.Request)
		text    string
	}{
		"form of another site":   {[]func(*http.Request){foreign}, "still signed in"},
		"script of another site": {[]func(*http.Request){foreign, script}, `{"error":"access_denied"`},
	} {
		w := s.do(http.MethodPost, "/auth/logout", test.changes...)
		s.expect(name, w, http.StatusForbidden, cookie.ReasonCrossSite)
		if !strings.Contains(w.Body.String(), test.text) {
			t.Errorf("%s: body %s, want %q", name, w.Body, test.text)
		}
	}
	large := strings.NewReader(strings.Repeat("x", 1<<20))
	s.do(http.MethodPost, "/auth/logout", form(""), foreign, func(r *http.Request) { r.Body = io.NopCloser(large) })
	if read := 1<<20 - large.Len(); read > 65<<10 {
		t.Errorf("large form: %d bytes read, want at most 64 KB", read)
	}
	if w := s.do(http.MethodGet, "/auth/logout"); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: status %d, want 405", w.Code)
	}
	if _, err := s.principal(); err != nil {
		t.Errorf("session error = %v, want none", err)
	}
}

// TestLogoutWithoutProvider: the session ends here even if the authorization
// server is down or has no end session endpoint.
func TestLogoutWithoutProvider(t *testing.T) {
	for name, change := range map[string]func(*site){
		"no endpoints":    func(s *site) { delete(s.Metadata, "end_session_endpoint"); delete(s.Metadata, "revocation_endpoint") },
		"revocation down": func(s *site) { s.Routes["/revoke"] = raw(503, ""); delete(s.Metadata, "end_session_endpoint") },
	} {
		s := newSite(t, func(c *signin.Config) { c.Home = "/home" })
		change(s)
		s.login("")
		if w := s.do(http.MethodPost, "/auth/logout"); w.Code != 303 || w.Header().Get("Location") != "/home" || len(s.jar) != 0 {
			t.Errorf("%s: %d to %q with cookies %v, want 303 to /home", name, w.Code, w.Header().Get("Location"), s.jar)
		}
		want := []string{"session_started", "session_ended"}
		if name == "revocation down" {
			want = append(want, "signin_logout_incomplete")
		}
		if got := s.events.names(); !slices.Equal(got, want) {
			t.Errorf("%s: events %q, want %q", name, got, want)
		}
	}
}

// TestLogoutOrigin: pages with a form for the logout name the origin in form-action.
func TestLogoutOrigin(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*site)
		want   string
		fails  bool
	}{
		"that of the issuer": {func(*site) {}, providertest.Issuer, false},
		"another one":        {func(s *site) { s.Metadata["end_session_endpoint"] = "https://logout.example.com:8443/end?x=1" }, "https://logout.example.com:8443", false},
		"none":               {func(s *site) { delete(s.Metadata, "end_session_endpoint") }, "", false},
		"down":               {func(s *site) { s.Routes["/.well-known/openid-configuration"] = raw(503, "") }, "", true},
	} {
		s := newSite(t)
		test.change(s)
		if got, err := s.LogoutOrigin(t.Context()); got != test.want || errors.Is(err, oauth.ErrUnavailable) != test.fails {
			t.Errorf("%s: LogoutOrigin() = %q, %v, want %q, an error: %t", name, got, err, test.want, test.fails)
		}
	}
}

// form makes the request one with the body of a form.
func form(body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
}

func logoutToken(changes object) string {
	return url.Values{"logout_token": {providertest.LogoutToken("logout+jwt", changes)}}.Encode()
}

// Covers ASVS 5.0 §7.6.1; OIDC Back-Channel Logout §2.7, §2.8; OIDC
// Back-Channel Logout §2.5.
func TestBackChannelLogout(t *testing.T) {
	s := newSite(t)
	s.login("")
	s.events.take()
	good := logoutToken(nil)
	for name, changes := range map[string][]func(*http.Request){
		"empty":       {form("")},
		"two tokens":  {form(good + "&" + good)},
		"in query":    {form(""), func(r *http.Request) { r.URL.RawQuery = good }},
		"JSON":        {form(good), header("Content-Type", "application/json")},
		"multipart":   {form(good), header("Content-Type", "multipart/form-data; boundary=x")},
		"too large":   {form(good + "&x=" + strings.Repeat("x", 64<<10))},
		"an ID token": {form(url.Values{"logout_token": {s.IDToken("n")}}.Encode())},
		"malformed":   {form(url.Values{"logout_token": {"a.b.c"}}.Encode())},
	} {
		w := s.do(http.MethodPost, "/auth/backchannel-logout", changes...)
		s.expect(name, w, http.StatusBadRequest, signin.ReasonLogoutToken)
		if !strings.Contains(w.Body.String(), `"invalid_request"`) {
			t.Errorf("%s: body %s, want invalid_request", name, w.Body)
		}
	}
	if w := s.do(http.MethodGet, "/auth/backchannel-logout"); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: status %d, want 405", w.Code)
	}
	if w := s.do(http.MethodPost, "/auth/backchannel-logout", form(logoutToken(object{"sid": "s2", "jti": "2", "sub": nil}))); w.Code != 200 {
		t.Errorf("another session: status %d, want 200", w.Code)
	}
	if _, err := s.principal(); err != nil {
		t.Errorf("session error before the logout = %v", err)
	}
	if w := s.do(http.MethodPost, "/auth/backchannel-logout", form(good)); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("status %d with body %q, want 200 without", w.Code, w.Body)
	}
	if _, err := s.principal(); err == nil {
		t.Error("the session is still valid")
	}
}

// Covers OIDC Back-Channel Logout §2.8.
func TestBackChannelLogoutUnavailable(t *testing.T) {
	down := true
	for name, test := range map[string]struct {
		change func(*signin.Config)
		route  http.HandlerFunc
		reason gatehouse.Reason
	}{
		"store down":       {without(&down, "Get"), nil, session.ReasonStoreUnavailable},
		"keys unavailable": {func(*signin.Config) {}, raw(500, ""), signin.ReasonUnavailable},
	} {
		s := newSite(t, test.change)
		s.Routes["/jwks"] = test.route
		w := s.do(http.MethodPost, "/auth/backchannel-logout", form(logoutToken(nil)))
		s.expect(name, w, http.StatusBadRequest, test.reason)
		if !strings.Contains(w.Body.String(), `"temporarily_unavailable"`) {
			t.Errorf("%s: body %s, want temporarily_unavailable", name, w.Body)
		}
	}
}

// TestBackChannelLogoutCompletesAfterCancel: the authorization server may not wait
// for the response and may not send the token again.
func TestBackChannelLogoutCompletesAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newSite(t, withFaults(func(string, string) error { cancel(); return nil }))
	s.login("")
	s.do(http.MethodPost, "/auth/backchannel-logout", func(r *http.Request) { *r = *r.WithContext(ctx) }, form(logoutToken(nil)))
	if _, err := s.principal(); err == nil || ctx.Err() == nil {
		t.Errorf("session error = %v, want it to have ended", err)
	}
}

// TestLostTokensAreRevoked: a session ends while its tokens are refreshed.
func TestLostTokensAreRevoked(t *testing.T) {
	s := newSite(t)
	s.Reply = object{"expires_in": 0}
	s.login("")
	p := must(s.principal())
	s.Routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
		_ = s.store.Delete(r.Context(), p.Credential)
		raw(200, `{"access_token":"a","refresh_token":"lost","token_type":"Bearer"}`)(w, r)
	}
	var revoked string
	s.Routes["/revoke"] = func(_ http.ResponseWriter, r *http.Request) { revoked = r.PostFormValue("token") }
	if _, err := s.Sessions.Tokens(gatehouse.NewContext(t.Context(), p)); err == nil || revoked != "lost" {
		t.Errorf("Tokens error = %v, revoked %q, want an error and the new refresh token", err, revoked)
	}
}
