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
		revoked string
	}{
		"form":                   {func(*http.Request) {}, "refresh-1", 303, true, "refresh-1"},
		"script":                 {script, "refresh-1", 200, false, "refresh-1"},
		"without refresh tokens": {func(*http.Request) {}, nil, 303, true, "access-1 access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(c *signin.Config) { c.PostLogoutRedirectURI = origin + "/" })
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
			if w.Header().Get("Clear-Site-Data") == "" || len(s.jar) != 0 || name == "script" && w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("logout: header %v, cookies %v", w.Header(), s.jar)
			}
			if got := s.revoked(); !slices.Equal(got, []string{test.revoked}) {
				t.Errorf("revoked %q, want %q", got, test.revoked)
			}
			if _, err := s.Sessions.Authenticate(stolen); err == nil {
				t.Error("the session is still valid")
			}
			// Without a session, the logout does the same.
			if w := s.do(http.MethodPost, "/auth/logout"); w.Code != 303 || s.revoked() != nil {
				t.Errorf("second logout: status %d, want 303 without a revocation", w.Code)
			}
		})
	}
}

// TestLogoutCompletesAfterCancel: the tokens are revoked even if the browser goes away. The
// authorization server may not wait for the response and may not send its token again.
func TestLogoutCompletesAfterCancel(t *testing.T) {
	for path, revoked := range map[string][]string{"/auth/logout": {"refresh-1"}, "/auth/backchannel-logout": nil} {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSite(t)
		s.login("")
		s.fault = func(string, string) error { cancel(); return nil }
		s.do(http.MethodPost, path, from(ctx), form(logoutToken(nil)))
		if _, err := s.principal(); err == nil || ctx.Err() == nil || !slices.Equal(s.revoked(), revoked) {
			t.Errorf("%s: session error = %v, want it to have ended, with %q revoked", path, err, revoked)
		}
	}
}

// TestLogoutRejects: another site signs no user out, and neither does a tab that still shows another user.
func TestLogoutRejects(t *testing.T) {
	s := newSite(t)
	s.login("")
	p := must(s.principal())
	other := p
	other.Subject = "grace"
	own, grace := header(session.UserHeader, session.UserTag(p)), session.UserTag(other)
	foreign := header("Sec-Fetch-Site", "cross-site")
	s.events.take()
	for name, test := range map[string]struct {
		changes modify
		status  int
		reason  gatehouse.Reason
		text    string
	}{
		"form of another site":   {modify{foreign}, 403, cookie.ReasonCrossSite, "still signed in"},
		"script of another site": {modify{foreign, script}, 403, cookie.ReasonCrossSite, `{"error":"access_denied"`},
		"header of another user": {modify{header(session.UserHeader, grace)}, 409, session.ReasonOtherUser, "Another user"},
		"field of another user":  {modify{form(session.UserField + "=" + grace)}, 409, session.ReasonOtherUser, "Another user"},
		"field of a longer user": {modify{form(session.UserField + "=" + session.UserTag(p) + "x")}, 409, session.ReasonOtherUser, "Another user"},
	} {
		w := s.do(http.MethodPost, "/auth/logout", test.changes...)
		s.expect(name, w, test.status, test.reason)
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
	if w := s.do(http.MethodPost, "/auth/logout", own, form(session.UserField+"="+session.UserTag(p))); w.Code != 303 {
		t.Errorf("logout of the own page: status %d, want 303", w.Code)
	}
}

// TestLogoutWithoutProvider: the session ends here even if the authorization
// server is down or has no end session endpoint.
func TestLogoutWithoutProvider(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*site)
		events []string
	}{
		"no endpoints":    {func(s *site) { delete(s.Metadata, "revocation_endpoint") }, []string{"session_ended"}},
		"revocation down": {func(s *site) { s.revoking = 503 }, []string{"session_ended", "signin_logout_incomplete"}},
	} {
		s := newSite(t, func(c *signin.Config) { c.Home = "/home" })
		delete(s.Metadata, "end_session_endpoint")
		test.change(s)
		s.login("")
		s.events.take()
		if w := s.do(http.MethodPost, "/auth/logout"); w.Code != 303 || w.Header().Get("Location") != "/home" || len(s.jar) != 0 {
			t.Errorf("%s: %d to %q with cookies %v, want 303 to /home", name, w.Code, w.Header().Get("Location"), s.jar)
		}
		if got := s.events.names(); !slices.Equal(got, test.events) {
			t.Errorf("%s: events %q, want %q", name, got, test.events)
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
		"closed":             {func(s *site) { _ = s.Close() }, "", true},
		"down":               {func(s *site) { s.Routes["/.well-known/openid-configuration"] = raw(503, "") }, "", true},
	} {
		s := newSite(t)
		test.change(s)
		if got, err := s.LogoutOrigin(t.Context()); got != test.want || errors.Is(err, oauth.ErrUnavailable) != test.fails {
			t.Errorf("%s: LogoutOrigin() = %q, %v, want %q, an error: %t", name, got, err, test.want, test.fails)
		}
	}
}

func logoutToken(changes object) string {
	return url.Values{"logout_token": {providertest.LogoutToken("logout+jwt", changes)}}.Encode()
}

// Covers ASVS 5.0 §7.6.1; OIDC Back-Channel Logout §2.7, §2.8; OIDC
// Back-Channel Logout §2.5.
func TestBackChannelLogout(t *testing.T) {
	const target, invalid, unavailable = "/auth/backchannel-logout", "invalid_request", "temporarily_unavailable"
	const reason = signin.ReasonLogoutToken
	s, noStore, noKeys := newSite(t), newSite(t), newSite(t)
	noStore.down("Get")
	noKeys.Routes["/jwks"] = raw(500, "")
	s.login("")
	s.events.take()
	good := logoutToken(nil)
	for name, test := range map[string]struct {
		site    *site
		changes modify
		code    string
		reason  gatehouse.Reason
	}{
		"empty":       {s, modify{form("")}, invalid, reason},
		"two tokens":  {s, modify{form(good + "&" + good)}, invalid, reason},
		"in query":    {s, modify{form(""), func(r *http.Request) { r.URL.RawQuery = good }}, invalid, reason},
		"JSON":        {s, modify{form(good), header("Content-Type", "application/json")}, invalid, reason},
		"multipart":   {s, modify{form(good), header("Content-Type", "multipart/form-data; boundary=x")}, invalid, reason},
		"too large":   {s, modify{form(good + "&x=" + strings.Repeat("x", 64<<10))}, invalid, reason},
		"an ID token": {s, modify{form("logout_token=" + s.IDToken("n"))}, invalid, reason},
		"encoding":    {s, modify{form(good + "&%zz")}, invalid, reason},
		"malformed":   {s, modify{form("logout_token=a.b.c")}, invalid, reason},
		"no store":    {noStore, modify{form(good)}, unavailable, session.ReasonStoreUnavailable},
		"no keys":     {noKeys, modify{form(good)}, unavailable, signin.ReasonUnavailable},
	} {
		w := test.site.do(http.MethodPost, target, test.changes...)
		test.site.expect(name, w, http.StatusBadRequest, test.reason)
		if w.Body.String() != `{"error":"`+test.code+`"}`+"\n" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v %s, want %s as JSON", name, w.Header(), w.Body, test.code)
		}
	}
	if w := s.do(http.MethodGet, target); w.Code != 405 || w.Header().Get("Allow") != "POST" || s.events.take() != nil {
		t.Errorf("GET: status %d, want 405 without an event", w.Code)
	}
	if w := s.do(http.MethodPost, target, form(logoutToken(object{"sid": "s2", "jti": "2", "sub": nil}))); w.Code != 200 {
		t.Errorf("another session: status %d, want 200", w.Code)
	}
	if _, err := s.principal(); err != nil {
		t.Errorf("session error before the logout = %v", err)
	}
	// A token in the query does not count.
	if w := s.do(http.MethodPost, target+"?logout_token=x", form(good)); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("status %d with body %q, want 200 without", w.Code, w.Body)
	}
	if _, err := s.principal(); err == nil {
		t.Error("the session is still valid")
	}
	s.login("") // a session with the same sid
	s.do(http.MethodPost, target, form(logoutToken(object{"jti": "3"})))
	if _, err := s.principal(); err == nil {
		t.Error("the second session is still valid after another logout token")
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
	if _, err := s.Sessions.Tokens(gatehouse.NewContext(t.Context(), p)); err == nil || !slices.Equal(s.revoked(), []string{"lost"}) {
		t.Errorf("Tokens error = %v, want one after the new refresh token was revoked", err)
	}
}
