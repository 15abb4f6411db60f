// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

func newSessions(t *testing.T, client *oauth.Client, store session.Store) *session.Manager {
	t.Helper()
	sessions := must(session.New(session.Config{Store: store, Keys: cookieKeys(), Refresh: client.RefreshSession}))
	t.Cleanup(func() { _ = sessions.Close() })
	return sessions
}

// loggedIn logs in and returns a request of the session that begins with it.
func (a *app) loggedIn(sessions *session.Manager) *http.Request {
	a.t.Helper()
	result, err := a.callback(a.authorize(a.start("/login")))
	if err != nil {
		a.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := sessions.Start(w, a.request("/callback"), result.Session()); err != nil {
		a.t.Fatal(err)
	}
	r := a.request("/")
	r.AddCookie(w.Result().Cookies()[0])
	return r
}

func TestSession(t *testing.T) {
	a := newApp(t)
	a.reply = object{"expires_in": 0}
	client := newClient(t, a.config())
	sessions := newSessions(t, client, session.NewMemory(0))
	proof, err := sessions.Authenticate(a.loggedIn(sessions))
	if err != nil {
		t.Fatal(err)
	}
	p := *proof.Principal
	var claims struct {
		SessionID string `json:"sid"`
	}
	if err := p.Claims.Decode(&claims); err != nil || claims.SessionID != "s1" {
		t.Errorf("claims %s, %v", p.Claims, err)
	}
	if p.Kind != gatehouse.KindUser || p.Subject != "alice" || p.Issuer != issuer || p.Client != clientID ||
		p.Scopes != scopes("openid reports:read") || p.AuthTime.IsZero() || p.Method != gatehouse.MethodSession {
		t.Errorf("%+v", p)
	}
	ctx := gatehouse.NewContext(t.Context(), p)
	a.reply = nil
	if tokens, err := sessions.Tokens(ctx); err != nil || string(tokens.Refresh.Reveal()) != "refresh-2" || tokens.ID.Len() == 0 {
		t.Errorf("%v, %v", tokens, err)
	}
}

func TestRefreshSession(t *testing.T) {
	for name, c := range map[string]struct {
		route     http.HandlerFunc
		signedOut bool
	}{
		"the login is over": {raw(400, `{"error":"invalid_grant"}`), true},
		"another error":     {raw(400, `{"error":"invalid_request"}`), false},
		"the client is bad": {raw(401, `{"error":"invalid_client"}`), false},
		"down":              {raw(503, ""), false},
		// Whoever answers like this has not looked at the token, and to have the
		// person log in again would not help.
		"down, in the words of one that is not":        {raw(503, `{"error":"invalid_grant"}`), false},
		"overloaded, in the words of one that is not":  {raw(429, `{"error":"invalid_grant"}`), false},
		"a page that has to be gone through, likewise": {raw(302, `{"error":"invalid_grant"}`), false},
		"no answer to that":                            {raw(200, `{}`), false},
	} {
		s := newServer(t)
		s.routes["/token"] = c.route
		client := newClient(t, s.config())
		_, err := client.RefreshSession(t.Context(), session.Tokens{Access: secret("a"), Refresh: secret("r")})
		if err == nil || errors.Is(err, session.ErrSignedOut) != c.signedOut {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func logoutToken(sid string) string {
	now := time.Now().Unix()
	return string(must(ring().SignJWT("logout+jwt", object{
		"iss": issuer, "aud": clientID, "iat": now, "exp": now + 60, "jti": sid, "sid": sid,
		"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}},
	})).Reveal())
}

func TestBackChannelLogout(t *testing.T) {
	a := newApp(t)
	sessions := newSessions(t, newClient(t, a.config()), session.NewMemory(0))
	handler := a.login.BackChannelLogout(sessions)
	alice := a.loggedIn(sessions)
	a.told.reasons()
	post := func(body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/backchannel-logout", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, f := range change {
			f(r)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Error("the answer may be cached")
		}
		return w
	}
	form := func(token string) string { return url.Values{"logout_token": {token}}.Encode() }
	good := form(logoutToken("s1"))
	for name, w := range map[string]*httptest.ResponseRecorder{
		"nothing":         post(""),
		"two":             post(good + "&" + good),
		"in the query":    post("", func(r *http.Request) { r.URL.RawQuery = good }),
		"JSON":            post(good, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
		"multipart":       post(good, func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }),
		"too large":       post(good + "&x=" + strings.Repeat("x", 64<<10)),
		"an ID token":     post(form(a.idToken("n"))),
		"no token at all": post(form("a.b.c")),
	} {
		if w.Code != 400 || !strings.Contains(w.Body.String(), `"invalid_request"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for _, reason := range a.told.reasons() {
		if reason != gatehouse.ReasonLogoutToken {
			t.Errorf("reason %s", reason)
		}
	}
	if w := post(good, func(r *http.Request) { r.Method = http.MethodGet }); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", w.Code)
	}
	if w := post(form(logoutToken("s2"))); w.Code != 200 {
		t.Errorf("of another session: %d", w.Code)
	}
	if _, err := sessions.Authenticate(alice); err != nil {
		t.Errorf("before the logout: %v", err)
	}
	if w := post(good); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	_, err := sessions.Authenticate(alice)
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != gatehouse.ReasonSessionUnknown {
		t.Errorf("after the logout: %v", err)
	}
}

// downStore is a store that does not answer.
type downStore struct{ session.Store }

func (downStore) Get(context.Context, string) (session.Record, error) {
	return session.Record{}, errors.New("down")
}

func TestBackChannelLogoutFails(t *testing.T) {
	a := newApp(t)
	sessions := newSessions(t, newClient(t, a.config()), downStore{})
	post := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(url.Values{"logout_token": {logoutToken("s1")}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		a.login.BackChannelLogout(sessions).ServeHTTP(w, r)
		return w
	}
	if w := post(); w.Code != 400 || !strings.Contains(w.Body.String(), "temporarily_unavailable") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := a.told.reasons(); len(got) != 1 || got[0] != gatehouse.ReasonSessionStoreUnavailable {
		t.Errorf("reasons %v", got)
	}
	down := newApp(t)
	down.routes["/jwks"] = raw(500, "")
	a.login = down.login
	if w := post(); w.Code != 400 || !strings.Contains(w.Body.String(), "temporarily_unavailable") {
		t.Errorf("no keys: %d %s", w.Code, w.Body)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	a.login.BackChannelLogout(nil)
}

// hangUp is a store whose caller is left by their own caller at the first question.
type hangUp struct {
	session.Store
	hangUp context.CancelFunc
}

func (h hangUp) Get(ctx context.Context, id string) (session.Record, error) {
	h.hangUp()
	return h.Store.Get(ctx, id)
}

// TestBackChannelLogoutInAHurry: a server that does not wait for the answer has
// said all the same that the login is over, and will perhaps not say it again.
func TestBackChannelLogoutInAHurry(t *testing.T) {
	a := newApp(t)
	client, store := newClient(t, a.config()), session.NewMemory(0)
	sessions := newSessions(t, client, store)
	alice := a.loggedIn(sessions)
	ctx, cancel := context.WithCancel(t.Context())
	handler := a.login.BackChannelLogout(newSessions(t, client, hangUp{store, cancel}))
	body := url.Values{"logout_token": {logoutToken("s1")}}.Encode()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/backchannel-logout", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if _, err := sessions.Authenticate(alice); err == nil || ctx.Err() == nil {
		t.Errorf("still signed in: %v", err)
	}
}
