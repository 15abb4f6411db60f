// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
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

// TestSessionFixation: an attacker puts a session of their own, or an invented
// one, into the browser of another user. After the login it is invalid.
//
// Covers ASVS 5.0 §7.2.2, §7.2.4.
func TestSessionFixation(t *testing.T) {
	a := newApp(t, session.Config{})
	planted := a.login(t, person("mallory"))
	secret := a.login(t, person("ada"), with(planted))
	if secret == planted {
		t.Fatal("the login kept the secret of the browser")
	}
	a.status(t, planted, 401)
	if got, e := a.principal(t, secret), a.events.last(); got.Subject != "ada" || e.Type != session.EventStarted || e.Principal.Credential != got.Credential {
		t.Errorf("principal %+v after the event %+v, want ada and the same Credential", got, e)
	}
	deleted := a.store.count("Delete")
	a.login(t, person("ada"))
	if got := a.store.count("Delete") - deleted; got != 0 {
		t.Errorf("%d calls of Delete by a login without a session, want 0", got)
	}
	invented := strings.Repeat("A", 43)
	if secret := a.login(t, person("ada"), with(invented)); secret == invented {
		t.Error("the login took the secret of the browser")
	}
	a.status(t, invented, 401)
	a.login(t, person("ada"), with("malformed")) // does not fail

	// Behind a gate, which has removed the cookie, the old session ends too.
	r := request(http.MethodPost, "/login")
	r = r.WithContext(gatehouse.NewContext(r.Context(), a.principal(t, secret)))
	succeeds(t, a.Start(httptest.NewRecorder(), r, person("ada")))
	a.status(t, secret, 401)
}

func TestStartRejectsInvalidLogin(t *testing.T) {
	for name, change := range map[string]func(*session.Login){
		"no subject":         func(l *session.Login) { l.Principal.Subject = "" },
		"long subject":       func(l *session.Login) { l.Principal.Subject = strings.Repeat("x", 513) },
		"no issuer":          func(l *session.Login) { l.Principal.Issuer = "" },
		"control characters": func(l *session.Login) { l.Principal.Subject = "a\nb" },
		"not UTF-8":          func(l *session.Login) { l.Principal.Issuer = "\xff" },
		"sender-constrained": func(l *session.Login) { l.Principal.Binding = "dpop" },
		"long label":         func(l *session.Login) { l.Label = strings.Repeat("x", 201) },
		"label not UTF-8":    func(l *session.Login) { l.Label = "\xff" },
		"label of two lines": func(l *session.Login) { l.Label = "a\r\nb" },
		"long sid":           func(l *session.Login) { l.SID = strings.Repeat("x", 513) },
		"expiry out of range": func(l *session.Login) {
			l.Tokens = tokens(1, 0)
			l.Tokens.Expires = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
		},
		"large claims":    func(l *session.Login) { l.Principal.Claims = claims(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`) },
		"claims not JSON": func(l *session.Login) { l.Principal.Claims = gatehouse.VerifiedClaims("{") },
	} {
		a := newApp(t, session.Config{})
		l := person("ada")
		change(&l)
		w := httptest.NewRecorder()
		if err := a.Start(w, request(http.MethodPost, "/login"), l); err == nil || len(w.Header()) != 0 || a.store.count("Create") != 0 {
			t.Errorf("%s: Start error = %v, header %v, want an error and no session", name, err, w.Header())
		} else if field, ok := map[string]string{"long label": "Label", "long sid": "SID"}[name]; ok && !strings.HasPrefix(err.Error(), "session: Login."+field+": must be") {
			t.Errorf("%s: Start error = %v, want it to name %s", name, err, field)
		}
	}
	m := must(session.New(session.Config{Store: session.NewMemory(0)}))
	l := withTokens(person("ada"), 1, time.Hour)
	if err := m.Start(httptest.NewRecorder(), request(http.MethodPost, "/login"), l); err == nil || !strings.Contains(err.Error(), "Config.Keys") {
		t.Errorf("Start with tokens and without keys: error = %v, want Config.Keys", err)
	}
}

func claims(object string) gatehouse.Claims {
	c, _ := gatehouse.NewClaims(object)
	return c
}

// TestLoginCSRF: a form on another site cannot log a user in. The callback of a
// login is a cross-site navigation, which can.
func TestLoginCSRF(t *testing.T) {
	a := newApp(t, session.Config{})
	foreign := header("Sec-Fetch-Site", "cross-site")
	err := a.Start(httptest.NewRecorder(), request(http.MethodPost, "/login", foreign, navigation), person("mallory"))
	expectError(t, "Start", err, 403, cookie.ReasonCrossSite)
	a.login(t, person("ada"), foreign, navigation, func(r *http.Request) { r.Method = http.MethodGet })
}

// TestStartIsRolledBack: if the old sessions cannot be ended or an event cannot be
// recorded, there is no new session.
func TestStartIsRolledBack(t *testing.T) {
	for name, fail := range map[string]func(*app){
		"create":        func(a *app) { a.store.down("Create") },
		"delete":        func(a *app) { a.store.down("Delete") },
		"replace":       func(a *app) { a.store.once("Delete", a.store.count("Delete")+1, errDown) },
		"list":          func(a *app) { a.store.down("List") },
		"evict":         func(a *app) { a.store.once("Delete", a.store.count("Delete")+2, errDown) },
		"started event": func(a *app) { a.events.fails(session.EventStarted) },
		"ended event":   func(a *app) { a.events.fails(session.EventEnded) },
	} {
		a := newApp(t, session.Config{PerUser: 1})
		a.login(t, person("ada"))
		old := a.login(t, person("grace"))
		fail(a)
		w := httptest.NewRecorder()
		err := a.Start(w, request(http.MethodPost, "/login", with(old)), person("ada"))
		expectError(t, name, err, 503, map[bool]gatehouse.Reason{true: gatehouse.ReasonObserverFailed, false: session.ReasonStoreUnavailable}[strings.HasSuffix(name, "event")])
		a.store.up()
		if name == "evict" && slices.Contains(a.events.types(), session.EventEnded) {
			t.Errorf("%s: events %q, want none of a session that has not ended", name, a.events.types())
		}
		list, err := a.List(t.Context(), issuer, "ada")
		if w.Header().Get("Set-Cookie") != "" || err != nil || name != "delete" && len(list) > 1 {
			t.Errorf("%s: Set-Cookie %q, sessions %v, %v, want no new session", name, w.Header().Get("Set-Cookie"), list, err)
		}
	}
}

// The error of a failed login has the ID of the session, not its secret.
func TestStartErrorHasID(t *testing.T) {
	a := newApp(t, session.Config{})
	a.store.after = func(method string, _ int) error { return map[string]error{"Create": errDown}[method] } // the response is lost
	err := a.Start(httptest.NewRecorder(), request(http.MethodPost, "/login"), person("ada"))
	list := must(a.List(t.Context(), issuer, "ada"))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || len(list) != 1 || e.Credential != list[0].ID {
		t.Errorf("Start error = %#v, sessions %+v, want an error with the ID of the only one", err, list)
	}
}

// A client that hangs up does not keep the session whose secret it did not get.
func TestStartIsRolledBackAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := newApp(t, session.Config{Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
		if e.Type == session.EventStarted {
			cancel()
			return errDown
		}
		return nil
	})})
	if err := a.Start(httptest.NewRecorder(), request(http.MethodPost, "/login").WithContext(ctx), person("ada")); err == nil {
		t.Error("Start error = nil, want that of the observer")
	}
	if list, err := a.List(t.Context(), issuer, "ada"); err != nil || len(list) != 0 {
		t.Errorf("List() = %v, %v, want no session", list, err)
	}
}

// TestPerUser: a login beyond the maximum ends the session that was idle for the
// longest time, and none of another user.
func TestPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{PerUser: 3})
		foreign := a.login(t, person("grace"))
		var secrets []string
		for range 5 {
			time.Sleep(2 * time.Minute)
			if len(secrets) > 0 {
				a.status(t, secrets[0], 200) // the first one is in use
			}
			secrets = append(secrets, a.login(t, person("ada")))
		}
		for n, want := range []int{200, 401, 401, 200, 200} {
			a.status(t, secrets[n], want)
		}
		a.status(t, foreign, 200)
		// A login that replaces a session ends no other one.
		time.Sleep(time.Minute)
		a.status(t, secrets[4], 200)
		secrets[4] = a.login(t, person("ada"), with(secrets[4]))
		for _, n := range []int{0, 3, 4} {
			a.status(t, secrets[n], 200)
		}
		a.login(t, person("ada"))
		if e := a.events.events[len(a.events.events)-2]; e.Type != session.EventEnded || attr(e, session.AttrSubject) != "ada" {
			t.Errorf("event %+v, want %s of ada", e, session.EventEnded)
		}
	})
}

// TestLoginsAtTheSameTime: neither ends the other one; the next login does.
func TestLoginsAtTheSameTime(t *testing.T) {
	a := newApp(t, session.Config{PerUser: 1})
	var second string
	a.store.set(func(method string, n int) error {
		if method == "Create" && n == 1 { // the first login has read the sessions
			second = a.login(t, person("ada"))
		}
		return nil
	})
	first := a.login(t, person("ada"))
	a.status(t, first, 200)
	a.status(t, second, 200)
	a.status(t, a.login(t, person("ada")), 200)
	a.status(t, first, 401)
	a.status(t, second, 401)
}

// Covers ASVS 5.0 §7.2.4, §7.3.2.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Absolute: time.Hour})
		old := a.login(t, withTokens(person("ada"), 1, 2*time.Hour))
		before := a.principal(t, old)
		time.Sleep(20 * time.Minute)
		a.store.once("Swap", 1, session.ErrConflict) // a concurrent change, after which Renew retries
		secret := cookieOf(t, a.do(http.MethodPost, "/admin", with(old)).Header())
		a.status(t, old, 401)
		after := a.principal(t, secret)
		if !after.Roles.Has("admin") || after.Credential == before.Credential || !after.Expires.Equal(before.Expires) {
			t.Errorf("principal = %+v, want the role admin, another Credential and the Expires of %+v", after, before)
		}
		a.token(t, secret, 200, "access-1")
		if e := a.events.last(); e.Type != session.EventRenewed || attr(e, session.AttrPrevious) != before.Credential || e.Credential != after.Credential || e.Principal.Subject != "ada" {
			t.Errorf("event %+v, want %s with both IDs", e, session.EventRenewed)
		}
		time.Sleep(25 * time.Minute)
		a.status(t, secret, 200)
		time.Sleep(15 * time.Minute)
		a.status(t, secret, 401) // the absolute timeout counts from the login
	})
}

func TestRenewRejects(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	p := a.principal(t, secret)
	renew := func(caller, next gatehouse.Principal) error {
		r := request(http.MethodPost, "/")
		if !caller.IsZero() {
			r = r.WithContext(gatehouse.NewContext(r.Context(), caller))
		}
		w := httptest.NewRecorder()
		err := a.Renew(w, r, next)
		if err != nil && a.events.err == nil && w.Header().Get("Set-Cookie") != "" {
			t.Error("Renew failed and set a cookie")
		}
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Reason != gatehouse.ReasonObserverFailed && e.Credential != "" && e.Credential != caller.Credential {
			t.Errorf("Renew error has the credential %q, want the ID of the session %q", e.Credential, caller.Credential)
		}
		return err
	}
	change := func(f func(*gatehouse.Principal)) gatehouse.Principal { other := p; f(&other); return other }
	for name, c := range map[string]struct {
		caller, next gatehouse.Principal
		status       int
		reason       gatehouse.Reason
	}{
		"outside of a gate":  {gatehouse.Principal{}, p, 401, gatehouse.ReasonOutsideGate},
		"an API key":         {change(func(p *gatehouse.Principal) { p.Method = "api_key" }), p, 403, session.ReasonOtherCredential},
		"another subject":    {p, change(func(p *gatehouse.Principal) { p.Subject = "grace" }), 0, ""},
		"another issuer":     {p, change(func(p *gatehouse.Principal) { p.Issuer = "https://other.example" }), 0, ""},
		"a shorter subject":  {p, change(func(p *gatehouse.Principal) { p.Subject = "ad" }), 0, ""},
		"a shorter issuer":   {p, change(func(p *gatehouse.Principal) { p.Issuer = issuer[:len(issuer)-1] }), 0, ""},
		"sender-constrained": {p, change(func(p *gatehouse.Principal) { p.Binding = "mtls" }), 0, ""},
		"large claims":       {p, change(func(p *gatehouse.Principal) { p.Claims = claims(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`) }), 0, ""},
		"unknown session":    {change(func(p *gatehouse.Principal) { p.Credential = strings.Repeat("A", 43) }), p, 401, session.ReasonUnknown},
	} {
		expectError(t, name, renew(c.caller, c.next), c.status, c.reason)
	}
	a.status(t, secret, 200)
	a.store.down("Swap")
	expectError(t, "store down", renew(p, p), 503, session.ReasonStoreUnavailable)
	a.store.up()
	a.status(t, secret, 200)
	a.events.fails(session.EventRenewed)
	renewed := a.principal(t, a.login(t, person("ada")))
	expectError(t, "observer", renew(renewed, renewed), 503, gatehouse.ReasonObserverFailed)
	broken := a.principal(t, a.login(t, person("ada")))
	a.force(t, broken.Credential, func(c *session.Change) { c.Principal = "x" })
	expectError(t, "content that is no JSON", renew(broken, broken), 503, session.ReasonStoreUnavailable)
	// Tokens that do not open are not dropped silently.
	a.force(t, p.Credential, func(c *session.Change) { c.Tokens = "x" })
	expectError(t, "tokens that do not open", renew(p, p), 401, session.ReasonNoTokens)
}
