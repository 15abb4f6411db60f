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
	if got.Method != gatehouse.MethodSession || got.Kind != gatehouse.KindUser || got.Credential == "" || strings.Contains(secret, got.Credential) {
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
	if _, err := a.Authenticate(request(http.MethodGet, "/", with(secret), header("Authorization", "Bearer a.b.c"))); !errors.Is(err, gatehouse.ErrNoCredentials) {
		t.Errorf("beside a token: %v", err)
	}
	if w := a.do(http.MethodGet, "/", with(secret), header("Authorization", "Bearer a.b.c")); w.Code != http.StatusUnauthorized {
		t.Errorf("a token that nobody reads, beside a session: %d", w.Code)
	}
}

func TestRefusedCookies(t *testing.T) {
	a := newApp(t, session.Config{Login: "/login"})
	secret := a.login(t, person("ada"))
	padded := secret[:42] + string(secret[42]+1) // the last character has bits to spare
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		reason gatehouse.Reason
	}{
		"none":               {func(*http.Request) {}, 401, gatehouse.ReasonNoCredentials},
		"empty":              {with(""), 401, gatehouse.ReasonCookieMalformed},
		"short":              {with(secret[:42]), 401, gatehouse.ReasonCookieMalformed},
		"long":               {with(secret + "A"), 401, gatehouse.ReasonCookieMalformed},
		"not base64url":      {with("+" + secret[1:]), 401, gatehouse.ReasonCookieMalformed},
		"not canonical":      {with(padded), 401, gatehouse.ReasonCookieMalformed},
		"the id":             {with(a.principal(t, secret).Credential), 401, gatehouse.ReasonSessionUnknown},
		"nobody's":           {with(strings.Repeat("A", 43)), 401, gatehouse.ReasonSessionUnknown},
		"twice":              {func(r *http.Request) { with(secret)(r); with(secret)(r) }, 400, gatehouse.ReasonCookieDuplicate},
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
		} else if c.status == 403 && a.reason() != gatehouse.ReasonCrossSite {
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

func TestLoginRedirect(t *testing.T) {
	for name, c := range map[string]struct {
		login, target string
		changes       []func(*http.Request)
		location      string // "" for a refusal
	}{
		"a navigation":           {"/login", "/notes?page=2", []func(*http.Request){navigation}, "/login?return_to=%2Fnotes%3Fpage%3D2"},
		"to the start page":      {"/login", "/", []func(*http.Request){navigation}, "/login"},
		"a login with a query":   {"/login?a=b", "/x", []func(*http.Request){navigation}, "/login?a=b&return_to=%2Fx"},
		"a login elsewhere":      {"https://auth.example/login", "/x", []func(*http.Request){navigation}, "https://auth.example/login"},
		"an address too long":    {"/login", "/" + strings.Repeat("x", 2048), []func(*http.Request){navigation}, "/login"},
		"injection is escaped":   {"/login", "/x?a=b%0d%0a&c=//d", []func(*http.Request){navigation}, "/login?return_to=%2Fx%3Fa%3Db%250d%250a%26c%3D%2F%2Fd"},
		"a request to a proxy":   {"/login", "/x", []func(*http.Request){navigation, func(r *http.Request) { r.RequestURI = "http://evil.example/x" }}, "/login"},
		"a token in the address": {"/login", "/x?access_token=a.b.c", []func(*http.Request){navigation}, "/login"},
		"a fetch":                {"/login", "/x", nil, ""},
		"an image":               {"/login", "/x", []func(*http.Request){header("Sec-Fetch-Mode", "no-cors"), header("Sec-Fetch-Dest", "image")}, ""},
		"an iframe":              {"/login", "/x", []func(*http.Request){header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Dest", "iframe")}, ""},
		"no login":               {"", "/x", []func(*http.Request){navigation}, ""},
		"an old browser's":       {"/login", "/x", []func(*http.Request){header("Sec-Fetch-Mode", ""), header("Accept", "text/html")}, "/login?return_to=%2Fx"},
		"an old browser's fetch": {"/login", "/x", []func(*http.Request){header("Sec-Fetch-Mode", ""), header("Accept", "application/json")}, ""},
	} {
		for _, session := range []string{"", strings.Repeat("A", 43)} {
			a := newApp(t, sessionConfig(c.login))
			changes := c.changes
			if session != "" {
				changes = append(slices.Clone(changes), with(session))
			}
			w := a.do(http.MethodGet, c.target, changes...)
			if c.location == "" && w.Code != http.StatusUnauthorized || w.Header().Get("Location") != c.location || c.location != "" && w.Code != http.StatusSeeOther {
				t.Errorf("%s, session %q: %d to %q", name, session, w.Code, w.Header().Get("Location"))
			}
		}
	}
}

func sessionConfig(login string) session.Config { return session.Config{Login: login} }

func TestStoreDown(t *testing.T) {
	a := newApp(t, session.Config{Login: "/login"})
	secret := a.login(t, person("ada"))
	a.store.down()
	w := a.do(http.MethodGet, "/", with(secret), navigation)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if e := a.refused[0]; e.Decision != gatehouse.Unavailable || e.Reason != gatehouse.ReasonSessionStoreUnavailable || !errors.Is(e.Cause, errDown) {
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
		if a.reason() != gatehouse.ReasonSessionStoreUnavailable {
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
		if a.reason() != gatehouse.ReasonSessionUnknown {
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
