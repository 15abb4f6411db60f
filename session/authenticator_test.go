// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
)

func TestPrincipal(t *testing.T) {
	a := newApp(t, session.Config{})
	l := person("ada")
	l.Principal.Roles, _ = gatehouse.NewRoles("editor", "site admin")
	l.Principal.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helpdesk"})
	l.Principal.Environment = "live"
	secret := a.login(t, l)
	got := a.principal(t, secret)
	if got.Method != session.Method || got.Kind != gatehouse.KindUser || got.Credential == "" || strings.Contains(secret, got.Credential) {
		t.Errorf("%+v", got)
	}
	if time.Until(got.Expires).Round(time.Minute) != 12*time.Hour {
		t.Errorf("ends at %v", got.Expires)
	}
	want := l.Principal
	if got.Subject != want.Subject || got.Issuer != want.Issuer || got.Tenant != want.Tenant || got.Environment != want.Environment ||
		got.Client != want.Client || got.Scopes != want.Scopes || got.Roles != want.Roles || !got.AuthTime.Equal(want.AuthTime) ||
		got.Claims != want.Claims || !slices.Equal(slices.Collect(got.Actors.All()), slices.Collect(want.Actors.All())) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	l.Principal.Kind = gatehouse.KindService
	if got := a.principal(t, a.login(t, l)); got.Kind != gatehouse.KindService {
		t.Errorf("a %s became a %s", gatehouse.KindService, got.Kind)
	}
}

// The handler behind the gate does not see the cookie, and no explicit
// credential stands beside it.
func TestBehindTheGate(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a.Manager}, Realm: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var seen *http.Request
	h := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
	r := request(http.MethodGet, "/", with(secret), header("X-Other", "stays"))
	r.Header.Add("Cookie", "theme=dark")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if seen == nil || strings.Contains(seen.Header.Get("Cookie"), secret) || !strings.Contains(strings.Join(seen.Header["Cookie"], ";"), "theme=dark") {
		t.Errorf("the handler sees %v", seen)
	}
	if w := a.do(http.MethodGet, "/", with(secret), header("Authorization", "Bearer a.b.c")); w.Code != http.StatusUnauthorized {
		t.Errorf("a token that nobody reads, beside a session: %d", w.Code)
	}
}

func TestRefusedCookies(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	padded := secret[:42] + string(secret[42]+1) // the last character has bits to spare
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		reason gatehouse.Reason
	}{
		"none":               {func(*http.Request) {}, 401, gatehouse.ReasonNoCredentials},
		"empty":              {with(""), 401, session.ReasonMalformed},
		"short":              {with(secret[:42]), 401, session.ReasonMalformed},
		"long":               {with(secret + "A"), 401, session.ReasonMalformed},
		"not base64url":      {with("+" + secret[1:]), 401, session.ReasonMalformed},
		"not canonical":      {with(padded), 401, session.ReasonMalformed},
		"the id":             {with(a.principal(t, secret).Credential), 401, session.ReasonUnknown},
		"nobody's":           {with(strings.Repeat("A", 43)), 401, session.ReasonUnknown},
		"twice":              {func(r *http.Request) { with(secret)(r); with(secret)(r) }, 400, cookie.ReasonDuplicate},
		"under another name": {header("Cookie", "session="+secret), 401, gatehouse.ReasonNoCredentials},
	} {
		w := a.do(http.MethodGet, "/", c.change)
		if w.Code != c.status || a.reason() != c.reason {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, a.reason(), c.status, c.reason)
		}
		if strings.Contains(w.Body.String()+w.Header().Get("Location"), secret[:42]) {
			t.Errorf("%s: the answer repeats the secret", name)
		}
	}
	a.status(t, secret, 200)
}

func TestCrossSite(t *testing.T) {
	a := newApp(t, session.Config{TrustedOrigins: []string{"https://app.example.com"}})
	secret := a.login(t, person("ada"))
	for name, c := range map[string]struct {
		method  string
		changes []func(*http.Request)
		status  int
	}{
		"a form of another site":     {"POST", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), navigation}, 403},
		"a fetch of another site":    {"GET", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		"a sibling's form":           {"POST", []func(*http.Request){header("Sec-Fetch-Site", "same-site"), header("Origin", "https://evil.example.com")}, 403},
		"nothing said":               {"POST", []func(*http.Request){header("Sec-Fetch-Site", "")}, 403},
		"a link on another site":     {"GET", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), navigation}, 200},
		"an own form":                {"POST", nil, 200},
		"an upgrade of another site": {"GET", []func(*http.Request){header("Upgrade", "websocket"), header("Origin", "https://evil.example"), header("Sec-Fetch-Site", "cross-site")}, 403},
		"the trusted page":           {"POST", []func(*http.Request){header("Sec-Fetch-Site", "same-site"), header("Origin", "https://app.example.com")}, 200},
	} {
		if w := a.do(c.method, "/", append(c.changes, with(secret))...); w.Code != c.status {
			t.Errorf("%s: %d, want %d", name, w.Code, c.status)
		} else if c.status == 403 && a.reason() != cookie.ReasonCrossSite {
			t.Errorf("%s: %s", name, a.reason())
		}
	}
	// It does not matter whether the cookie is any good.
	if w := a.do(http.MethodPost, "/", header("Sec-Fetch-Site", "cross-site"), with("bad")); w.Code != 403 {
		t.Errorf("a bad cookie across sites: %d", w.Code)
	}
	if got := a.store.count("Get"); got != 3 {
		t.Errorf("the store was asked %d times, for 3 requests that may ask", got)
	}
}

// TestInvalidCookieIsDeleted: the response to a navigation deletes it. That to a
// script does not: the browser may have another session by then.
func TestInvalidCookieIsDeleted(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	for name, c := range map[string]struct {
		changes []func(*http.Request)
		deleted bool
	}{
		"navigation":             {[]func(*http.Request){navigation, with(strings.Repeat("A", 43))}, true},
		"navigation, malformed":  {[]func(*http.Request){navigation, with("x")}, true},
		"script":                 {[]func(*http.Request){with(strings.Repeat("A", 43))}, false},
		"navigation, cross-site": {[]func(*http.Request){navigation, with("x"), header("Sec-Fetch-Site", "cross-site"), func(r *http.Request) { r.Method = "POST" }}, false},
		"valid":                  {[]func(*http.Request){navigation, with(secret)}, false},
		"no cookie":              {[]func(*http.Request){navigation}, false},
	} {
		w := a.do(http.MethodGet, "/", c.changes...)
		cookies := w.Result().Cookies()
		if deleted := len(cookies) == 1 && cookies[0].Name == cookieName && cookies[0].Value == "" && cookies[0].Expires.Unix() == 0; deleted != c.deleted || len(cookies) > 1 {
			t.Errorf("%s: Set-Cookie %q, want the cookie deleted: %t", name, w.Header()["Set-Cookie"], c.deleted)
		}
	}
}

func TestStoreDown(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	a.store.down()
	w := a.do(http.MethodGet, "/", with(secret), navigation)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if e := a.refused[0]; e.Decision != gatehouse.Unavailable || e.Reason != session.ReasonStoreUnavailable || !errors.Is(e.Cause, errDown) {
		t.Errorf("%+v", e)
	}
	a.store.up()
	a.status(t, secret, 200)
}

func TestStoreBroken(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	id := a.principal(t, secret).Credential
	for i, text := range []string{"", "{", `{"scope":"a  b"}`, `{"roles":[""]}`, `{"claims":[]}`, `{"tenant":1,"claims":{}}`} {
		if _, err := a.store.Swap(t.Context(), id, int64(i+1), session.Change{ID: id, Principal: text}); err != nil {
			t.Fatal(err)
		}
		a.status(t, secret, 503)
		if a.reason() != session.ReasonStoreUnavailable {
			t.Errorf("%q: reason %s", text, a.reason())
		}
	}
}

// A session ends after the idle time without a request, however often it was
// used before, and at its end however much it is used.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Idle: 10 * time.Minute, Absolute: time.Hour})
		used, idle := a.login(t, person("ada")), a.login(t, person("ada"))
		for range 11 {
			time.Sleep(5*time.Minute + 10*time.Second)
			a.status(t, used, 200)
		}
		a.status(t, idle, 401)
		if a.reason() != session.ReasonUnknown {
			t.Errorf("reason %s", a.reason())
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

func TestTouch(t *testing.T) {
	for name, c := range map[string]struct{ idle, every time.Duration }{
		"once a minute":         {30 * time.Minute, time.Minute},
		"a tenth of the idle":   {time.Minute, 6 * time.Second},
		"a tenth of the second": {time.Second, time.Second / 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, session.Config{Idle: c.idle})
				secret := a.login(t, person("ada"))
				for range 21 {
					a.status(t, secret, 200)
					time.Sleep(c.every / 4)
				}
				if got := a.store.count("Touch"); got != 5 {
					t.Errorf("written %d times in 5 intervals", got)
				}
				// A touch that fails is no reason to refuse, and moves nothing.
				a.store.down("Touch")
				time.Sleep(c.every)
				a.status(t, secret, 200)
			})
		})
	}
}

func TestCookie(t *testing.T) {
	for name, c := range map[string]struct {
		config session.Config
		want   string
	}{
		"default":    {session.Config{}, cookieName + "=*; Path=/; HttpOnly; Secure; SameSite=Lax"},
		"persistent": {session.Config{Persistent: true}, cookieName + "=*; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=43200"},
		"named":      {session.Config{Name: "app"}, "__Host-Http-app=*; Path=/; HttpOnly; Secure; SameSite=Lax"},
	} {
		a := newApp(t, c.config)
		w := httptest.NewRecorder()
		if err := a.Start(w, request(http.MethodPost, "/login"), person("ada")); err != nil {
			t.Fatal(err)
		}
		line := w.Header().Get("Set-Cookie")
		set, err := http.ParseSetCookie(line)
		if err != nil || len(set.Value) != 43 || strings.Replace(line, set.Value, "*", 1) != c.want {
			t.Errorf("%s: %s", name, line)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached", name)
		}
	}
}

// What was made of a record is not used for the next version of it.
func TestChangedPrincipal(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	p := a.principal(t, secret)
	record, err := a.store.Get(t.Context(), p.Credential)
	if err != nil {
		t.Fatal(err)
	}
	change := session.Change{ID: record.ID, Principal: strings.Replace(record.Principal, `"acme"`, `"other"`, 1)}
	if _, err := a.store.Swap(t.Context(), record.ID, record.Version, change); err != nil {
		t.Fatal(err)
	}
	if got := a.principal(t, secret).Tenant; got != "other" {
		t.Errorf("tenant %q", got)
	}
}

func TestManySessions(t *testing.T) {
	a := newApp(t, session.Config{})
	secrets := make(map[string]string)
	for i := range 9000 { // more than are remembered
		subject := "person-" + string(rune('a'+i%26)) + time.Duration(i).String()
		secrets[subject] = a.login(t, person(subject))
	}
	for range 2 {
		for subject, secret := range secrets {
			if got := a.principal(t, secret).Subject; got != subject {
				t.Fatalf("%s is %s", subject, got)
			}
		}
	}
}
