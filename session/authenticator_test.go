// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
)

func TestPrincipalRoundTrip(t *testing.T) {
	a := newApp(t, session.Config{})
	for _, kind := range []gatehouse.Kind{"", gatehouse.KindService} {
		l := person("ada")
		l.Principal.Roles, _ = gatehouse.NewRoles("editor", "site admin")
		l.Principal.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helpdesk"})
		l.Principal.Environment, l.Principal.Kind = "live", kind
		want := l.Principal
		l.Principal.AuthTime = want.AuthTime.Add(time.Second - 1).In(time.FixedZone("", 3600))
		secret := a.login(t, l)
		got := a.principal(t, secret)
		if got.Credential == "" || strings.Contains(secret, got.Credential) {
			t.Errorf("Credential = %q with the secret %q", got.Credential, secret)
		}
		if time.Until(got.Expires).Round(time.Minute) != 12*time.Hour {
			t.Errorf("Expires = %v, want in 12 h", got.Expires)
		}
		if kind == "" {
			want.Kind = gatehouse.KindUser
		}
		want.Method, want.Credential, want.Expires = session.Method, got.Credential, got.Expires
		if got != want {
			t.Errorf("principal (-want +got):\n%s", cmp.Diff(want.LogValue().String(), got.LogValue().String()))
		}
	}
}

// TestGateRemovesCookie: the handler does not see the cookie, and a session does
// not count beside an explicit credential.
//
// Covers ASVS 5.0 §10.1.1.
func TestGateRemovesCookie(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a.Manager}, Realm: "test"}))
	var seen string
	h := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = strings.Join(r.Header["Cookie"], ";") }))
	r := request(http.MethodGet, "/", with(secret))
	r.Header.Add("Cookie", "theme=dark")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if strings.Contains(seen, secret) || !strings.Contains(seen, "theme=dark") {
		t.Errorf("the handler sees the cookies %q, want theme=dark only", seen)
	}
	if w := a.do(http.MethodGet, "/", with(secret), header("Authorization", "Bearer a.b.c")); w.Code != http.StatusUnauthorized {
		t.Errorf("GET / with an unknown token and a session: status %d, want 401", w.Code)
	}
}

// Covers ASVS 5.0 §7.2.1.
func TestInvalidCookies(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		reason gatehouse.Reason
	}{
		"none":          {func(*http.Request) {}, 401, gatehouse.ReasonNoCredentials},
		"empty":         {with(""), 401, session.ReasonMalformed},
		"short":         {with(secret[:42]), 401, session.ReasonMalformed},
		"long":          {with(secret + "A"), 401, session.ReasonMalformed},
		"not base64url": {with("+" + secret[1:]), 401, session.ReasonMalformed},
		"not canonical": {with(secret[:42] + string(secret[42]+1)), 401, session.ReasonMalformed}, // the last character has spare bits
		"the ID":        {with(a.principal(t, secret).Credential), 401, session.ReasonUnknown},
		"unknown":       {with(strings.Repeat("A", 43)), 401, session.ReasonUnknown},
		"twice":         {func(r *http.Request) { with(secret)(r); with(secret)(r) }, 400, cookie.ReasonDuplicate},
		"another name":  {header("Cookie", "session="+secret), 401, gatehouse.ReasonNoCredentials},
	} {
		w := a.do(http.MethodGet, "/", c.change)
		if w.Code != c.status || a.reason() != c.reason {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, a.reason(), c.status, c.reason)
		}
		if strings.Contains(w.Body.String()+w.Header().Get("Location"), secret[:42]) {
			t.Errorf("%s: the response contains the secret", name)
		}
	}
	a.status(t, secret, 200)
}

// TestInvalidCookieIsDeleted: the response to a navigation deletes it. That to a
// script does not: the browser may have another session by then.
func TestInvalidCookieIsDeleted(t *testing.T) {
	a := newApp(t, session.Config{})
	secret, unknown := a.login(t, person("ada")), strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		changes []func(*http.Request)
		deleted bool
	}{
		"navigation":            {[]func(*http.Request){navigation, with(unknown)}, true},
		"navigation, malformed": {[]func(*http.Request){navigation, with("x")}, true},
		"script":                {[]func(*http.Request){with(unknown)}, false},
		"cross-site":            {[]func(*http.Request){with("x"), header("Sec-Fetch-Site", "cross-site")}, false},
		"navigation, twice":     {[]func(*http.Request){navigation, with(secret), with(secret)}, false},
		"valid":                 {[]func(*http.Request){navigation, with(secret)}, false},
		"no cookie":             {[]func(*http.Request){navigation}, false},
	} {
		cookies := a.do(http.MethodGet, "/", c.changes...).Result().Cookies()
		deleted := len(cookies) == 1 && cookies[0].Name == cookieName && cookies[0].Value == "" && cookies[0].Expires.Unix() == 0
		if deleted != c.deleted || len(cookies) > 1 {
			t.Errorf("%s: Set-Cookie %v, want the cookie deleted: %t", name, cookies, c.deleted)
		}
	}
	// The responses before have not changed the error that all share.
	if cookies := a.do(http.MethodGet, "/", with("x")).Result().Cookies(); len(cookies) > 0 {
		t.Errorf("script, malformed: Set-Cookie %v, want none", cookies)
	}
}

// TestCSRF: cross-site requests are rejected whether the session is valid or not,
// without a call of the store.
//
// Covers RFC 10017 §6.1.3.3.
func TestCSRF(t *testing.T) {
	a := newApp(t, session.Config{TrustedOrigins: []string{"https://app.example.com"}})
	secret := a.login(t, person("ada"))
	foreign, sibling := header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Site", "same-site")
	for name, c := range map[string]struct {
		method  string
		changes []func(*http.Request)
		status  int
	}{
		"form of another site":    {"POST", []func(*http.Request){foreign, navigation}, 403},
		"fetch of another site":   {"GET", []func(*http.Request){foreign}, 403},
		"form of a sibling":       {"POST", []func(*http.Request){sibling, header("Origin", "https://evil.example.com")}, 403},
		"no headers":              {"POST", []func(*http.Request){header("Sec-Fetch-Site", "")}, 403},
		"upgrade of another site": {"GET", []func(*http.Request){header("Upgrade", "websocket"), header("Origin", "https://evil.example"), foreign}, 403},
		"link on another site":    {"GET", []func(*http.Request){foreign, navigation}, 200},
		"own form":                {"POST", nil, 200},
		"trusted origin":          {"POST", []func(*http.Request){sibling, header("Origin", "https://app.example.com")}, 200},
	} {
		if w := a.do(c.method, "/", append(c.changes, with(secret))...); w.Code != c.status || c.status == 403 && a.reason() != cookie.ReasonCrossSite {
			t.Errorf("%s: %d %s, want %d", name, w.Code, a.reason(), c.status)
		}
	}
	if w := a.do(http.MethodPost, "/", foreign, with("bad")); w.Code != 403 {
		t.Errorf("cross-site request with a malformed cookie: status %d, want 403", w.Code)
	}
	if w := a.do(http.MethodPost, "/", foreign); w.Code != 401 {
		t.Errorf("cross-site request without a cookie: status %d, want 401", w.Code)
	}
	if got := a.store.count("Get"); got != 3 {
		t.Errorf("%d calls of Get, want one for each of the 3 accepted requests", got)
	}
}

func TestStoreUnavailable(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	a.store.down()
	w := a.do(http.MethodGet, "/", with(secret), navigation)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
		t.Errorf("GET /: %d %v, want 503 with Retry-After and no redirect", w.Code, w.Header())
	}
	if e := a.refused[0]; e.Decision != gatehouse.Unavailable || e.Reason != session.ReasonStoreUnavailable || !errors.Is(e.Cause, errDown) {
		t.Errorf("event %+v, want %s", e, session.ReasonStoreUnavailable)
	}
	a.store.up()
	a.status(t, secret, 200)

	// A malformed record fails closed too.
	id := a.principal(t, secret).Credential
	for _, text := range []string{
		"", "{", "{}", `{"principal":null}`, `{"principal":{"scope":"a  b"}}`, `{"principal":{"roles":[""]}}`, `{"principal":{"claims":[]}}`,
		`{"principal":{"tenant":1,"claims":{}}}`, `{"principal":{},"data":[]}`,
	} {
		a.force(t, id, func(c *session.Change) { c.Principal = text })
		a.status(t, secret, 503)
		if a.reason() != session.ReasonStoreUnavailable {
			t.Errorf("principal %q: reason %s, want %s", text, a.reason(), session.ReasonStoreUnavailable)
		}
	}
	// A changed record is decoded again.
	a.force(t, id, func(c *session.Change) { c.Principal = `{"principal":{"tenant":"other"}}` })
	if got := a.principal(t, secret).Tenant; got != "other" {
		t.Errorf("Tenant = %q after the change, want other", got)
	}
}

// Covers ASVS 5.0 §7.3.1, §7.3.2.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Idle: 10 * time.Minute, Absolute: time.Hour})
		used, idle := a.login(t, person("ada")), a.login(t, person("ada"))
		for range 11 {
			time.Sleep(5*time.Minute + 10*time.Second)
			a.status(t, used, 200)
		}
		a.status(t, idle, 401)
		if a.reason() != session.ReasonUnknown {
			t.Errorf("reason %s, want %s", a.reason(), session.ReasonUnknown)
		}
		time.Sleep(3*time.Minute + 10*time.Second - time.Microsecond)
		a.status(t, used, 200) // the last microsecond of the hour
		time.Sleep(time.Microsecond)
		a.status(t, used, 401)

		edge := a.login(t, person("ada"))
		time.Sleep(10*time.Minute - time.Microsecond)
		a.status(t, edge, 200)
		time.Sleep(10 * time.Minute)
		a.status(t, edge, 401)
	})
}

func TestTouchInterval(t *testing.T) {
	for idle, every := range map[time.Duration]time.Duration{
		30 * time.Minute: time.Minute, time.Minute: 6 * time.Second, time.Second: time.Second / 10,
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newApp(t, session.Config{Idle: idle})
			secret := a.login(t, person("ada"))
			for range 21 {
				a.status(t, secret, 200)
				time.Sleep(every / 4)
			}
			if got := a.store.count("Touch"); got != 5 {
				t.Errorf("idle %v: %d calls of Touch in 5 intervals of %v, want 5", idle, got, every)
			}
			a.store.down("Touch") // which does not fail the request
			time.Sleep(every)
			a.status(t, secret, 200)
		})
	}
}

// Covers RFC 10017 §6.1, §6.1.3.2 (Lax); ASVS 5.0 §7.2.3.
func TestCookieAttributes(t *testing.T) {
	for want, config := range map[string]session.Config{
		cookieName + "=*; Path=/; HttpOnly; Secure; SameSite=Lax":                {},
		cookieName + "=*; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=43200": {Persistent: true},
		"__Host-Http-app=*; Path=/; HttpOnly; Secure; SameSite=Lax":              {Name: "app"},
	} {
		w := httptest.NewRecorder()
		succeeds(t, newApp(t, config).Start(w, request(http.MethodPost, "/login"), person("ada")))
		line := w.Header().Get("Set-Cookie")
		set, err := http.ParseSetCookie(line)
		if err != nil || len(set.Value) != 43 || strings.Replace(line, set.Value, "*", 1) != want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("Set-Cookie: %s, want %s; header %v", line, want, w.Header())
		}
	}
}

// TestNamesSeparateSessions: managers with different names on one store do not
// accept each other's sessions; those with one name do.
func TestNamesSeparateSessions(t *testing.T) {
	store := session.NewMemory(0)
	public, same := newApp(t, session.Config{Store: store}), newApp(t, session.Config{Store: store})
	admin := newApp(t, session.Config{Store: store, Name: "admin", Idle: time.Minute})
	secret := public.login(t, person("mallory"))
	moved := request(http.MethodGet, "/", header("Cookie", "__Host-Http-admin="+secret))
	if proof, err := admin.Authenticate(moved); err == nil {
		t.Errorf("Authenticate with the session of another name = %+v, want an error", proof.Principal())
	}
	same.status(t, secret, 200)
}

func TestFraming(t *testing.T) {
	for allowed, want := range map[bool]bool{false: true, true: false} {
		a := newApp(t, session.Config{AllowFraming: allowed, TrustedOrigins: []string{"https://app.example.com"}})
		r := request(http.MethodGet, "/", with(a.login(t, person("ada"))), navigation, header("Sec-Fetch-Site", "same-site"), header("Sec-Fetch-Dest", "iframe"))
		if _, err := a.Authenticate(r); (err != nil) != want {
			t.Errorf("AllowFraming %t: Authenticate error = %v, want one: %t", allowed, err, want)
		}
	}
}
