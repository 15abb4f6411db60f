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

// Somebody plants a session of their own, or a made-up id, in the browser of
// another: after the login it is good for nothing.
func TestFixation(t *testing.T) {
	a := newApp(t, session.Config{})
	planted := a.login(t, person("mallory"))
	secret := a.login(t, person("ada"), with(planted))
	if secret == planted {
		t.Fatal("the id stayed")
	}
	a.status(t, planted, 401)
	if got := a.principal(t, secret).Subject; got != "ada" {
		t.Errorf("logged in as %s", got)
	}
	deleted := a.store.count("Delete")
	a.login(t, person("ada"))
	if a.store.count("Delete") != deleted {
		t.Error("a session was ended where there was none")
	}
	made := strings.Repeat("A", 43)
	if secret := a.login(t, person("ada"), with(made)); secret == made {
		t.Error("the browser has chosen the id")
	}
	a.status(t, made, 401)
	a.login(t, person("ada"), with("not a cookie of ours")) // is no obstacle
}

// Behind the gate the cookie is not there any more, and the session is still
// the one that a new login ends.
func TestStartBehindTheGate(t *testing.T) {
	a := newApp(t, session.Config{})
	old := a.login(t, person("ada"))
	r := request(http.MethodPost, "/login")
	r = r.WithContext(gatehouse.NewContext(r.Context(), a.principal(t, old)))
	if err := a.Start(httptest.NewRecorder(), r, person("ada")); err != nil {
		t.Fatal(err)
	}
	a.status(t, old, 401)
}

func TestStartRefuses(t *testing.T) {
	for name, change := range map[string]func(*session.Login){
		"no subject":           func(l *session.Login) { l.Principal.Subject = "" },
		"a long subject":       func(l *session.Login) { l.Principal.Subject = strings.Repeat("x", 513) },
		"no issuer":            func(l *session.Login) { l.Principal.Issuer = "" },
		"control characters":   func(l *session.Login) { l.Principal.Subject = "a\nb" },
		"no UTF-8":             func(l *session.Login) { l.Principal.Issuer = "\xff" },
		"bound to a key":       func(l *session.Login) { l.Principal.Binding = "dpop" },
		"a long label":         func(l *session.Login) { l.Label = strings.Repeat("x", 201) },
		"a label not in UTF-8": func(l *session.Login) { l.Label = "\xff" },
		"tokens without end": func(l *session.Login) {
			l.Tokens = tokens(1, 0)
			l.Tokens.Expires = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
		},
		"a label in two lines":    func(l *session.Login) { l.Label = "a\r\nb" },
		"a long sid":              func(l *session.Login) { l.SID = strings.Repeat("x", 513) },
		"more claims than fit":    func(l *session.Login) { l.Principal.Claims = claims(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`) },
		"claims that are no JSON": func(l *session.Login) { l.Principal.Claims = gatehouse.VerifiedClaims("{") },
	} {
		a := newApp(t, session.Config{})
		l := person("ada")
		change(&l)
		w := httptest.NewRecorder()
		if err := a.Start(w, request(http.MethodPost, "/login"), l); err == nil || len(w.Header()) != 0 || a.store.count("Create") != 0 {
			t.Errorf("%s: %v, %v", name, err, w.Header())
		}
	}

	m, err := session.New(session.Config{Store: session.NewMemory(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	l := withTokens(person("ada"), 1, time.Hour)
	if err := m.Start(httptest.NewRecorder(), request(http.MethodPost, "/login"), l); err == nil || !strings.Contains(err.Error(), "Config.Keys") {
		t.Errorf("tokens without keys to seal them: %v", err)
	}
}

func claims(object string) gatehouse.Claims {
	c, _ := gatehouse.NewClaims(object)
	return c
}

// A form on another site that logs its visitors in as somebody of its choice.
func TestLoginCrossSite(t *testing.T) {
	a := newApp(t, session.Config{})
	err := a.Start(httptest.NewRecorder(), request(http.MethodPost, "/login", header("Sec-Fetch-Site", "cross-site"), navigation), person("mallory"))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != cookie.ReasonCrossSite {
		t.Errorf("%v", err)
	}
	// The callback of a login is a navigation that another site causes.
	a.login(t, person("ada"), header("Sec-Fetch-Site", "cross-site"), navigation, func(r *http.Request) { r.Method = http.MethodGet })
}

// A login that cannot end the session before it, or that cannot be recorded, is
// none.
func TestStartAllOrNothing(t *testing.T) {
	for name, breakIt := range map[string]func(*app){
		"create":   func(a *app) { a.store.down("Create") },
		"delete":   func(a *app) { a.store.down("Delete") },
		"list":     func(a *app) { a.store.down("List") },
		"recorded": func(a *app) { a.events.err = errors.New("the audit trail is full") },
	} {
		a := newApp(t, session.Config{})
		old := a.login(t, person("ada"))
		breakIt(a)
		w := httptest.NewRecorder()
		err := a.Start(w, request(http.MethodPost, "/login", with(old)), person("ada"))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != 503 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %v %v", name, err, w.Header())
		}
	}
}

// Somebody who logs in again and again keeps the sessions that were seen last, and
// nobody else loses one.
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
		if e := a.events.events[len(a.events.events)-2]; e.Type != session.EventEnded || attr(e, session.AttrSubject) != "ada" {
			t.Errorf("event %+v", e)
		}

		a.store.down("Delete")
		w := httptest.NewRecorder()
		if err := a.Start(w, request(http.MethodPost, "/login"), person("ada")); err == nil || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("one that is too many stays, and the login succeeds: %v", err)
		}
		a.store.up()
		a.events.err = errors.New("the audit trail is full")
		if err := a.Start(w, request(http.MethodPost, "/login"), person("ada")); err == nil || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("one is ended that nobody is told of, and the login succeeds: %v", err)
		}
	})
	for most, good := range map[int]bool{-1: false, 1: true, 1000: true, 1001: false} {
		_, err := session.New(session.Config{Store: session.NewMemory(0), PerUser: most})
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "Config.PerUser") {
			t.Errorf("%d: %v", most, err)
		}
	}
}

// A session of somebody is ended for a new one, and nobody could be told: the new
// one does not begin, whatever could be told afterwards.
func TestPerUserIsTold(t *testing.T) {
	m, err := session.New(session.Config{
		Store: session.NewMemory(0), PerUser: 1, Observer: &recorder{err: errors.New("the audit trail is full"), fail: session.EventEnded},
	})
	if err != nil {
		t.Fatal(err)
	}
	start := func() (*httptest.ResponseRecorder, error) {
		w := httptest.NewRecorder()
		return w, m.Start(w, request(http.MethodPost, "/login"), person("ada"))
	}
	if _, err := start(); err != nil {
		t.Fatal(err)
	}
	if w, err := start(); err == nil || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%v, %v", err, w.Header())
	}
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Absolute: time.Hour})
		old := a.login(t, withTokens(person("ada"), 1, 2*time.Hour))
		before := a.principal(t, old)
		time.Sleep(20 * time.Minute)
		w := a.do(http.MethodPost, "/admin", with(old))
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		secret := cookieOf(t, w.Header())
		a.status(t, old, 401)
		after := a.principal(t, secret)
		if !after.Roles.Has("admin") || after.Credential == before.Credential || !after.Expires.Equal(before.Expires) {
			t.Errorf("%+v became %+v", before, after)
		}
		if w := a.do(http.MethodGet, "/token", with(secret)); w.Body.String() != "access-1" {
			t.Errorf("the tokens: %d %s", w.Code, w.Body)
		}
		if e := a.events.last(); e.Type != session.EventRenewed || attr(e, session.AttrPrevious) != before.Credential || e.Credential != after.Credential {
			t.Errorf("event %+v", e)
		}
		time.Sleep(25 * time.Minute)
		a.status(t, secret, 200)
		time.Sleep(15 * time.Minute)
		a.status(t, secret, 401) // at the end that it had from the beginning
	})
}

func TestRenewRefuses(t *testing.T) {
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
		if err != nil && w.Header().Get("Set-Cookie") != "" {
			t.Error("refused, and a cookie set")
		}
		return err
	}
	other, elsewhere, key, bound, big, gone := p, p, p, p, p, p
	other.Subject = "grace"
	elsewhere.Issuer = "https://other.example"
	big.Claims = claims(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)
	key.Method = "api_key"
	bound.Binding = "mtls"
	gone.Credential = strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		caller, next gatehouse.Principal
		reason       gatehouse.Reason
	}{
		"outside of the gate": {gatehouse.Principal{}, p, gatehouse.ReasonOutsideGate},
		"an API key":          {key, p, session.ReasonOtherCredential},
		"somebody else":       {p, other, ""},
		"of another issuer":   {p, elsewhere, ""},
		"bound":               {p, bound, ""},
		"too many claims":     {p, big, ""},
		"gone":                {gone, p, session.ReasonUnknown},
	} {
		err := renew(c.caller, c.next)
		e, _ := errors.AsType[*gatehouse.Error](err)
		if err == nil || c.reason != "" && (e == nil || e.Reason != c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.status(t, secret, 200)
	a.store.down("Swap")
	if e, ok := errors.AsType[*gatehouse.Error](renew(p, p)); !ok || e.Code.Status() != 503 {
		t.Error("a store that is down")
	}
	a.store.up()
	a.status(t, secret, 200)

	// Tokens that cannot be taken along are not left behind.
	record, err := a.store.Get(t.Context(), p.Credential)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Store.Swap(t.Context(), record.ID, record.Version, session.Change{ID: record.ID, Principal: record.Principal, Tokens: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := renew(p, p); err == nil {
		t.Error("tokens that do not open are lost without a word")
	}
}

// Somebody else has changed the session in between: once more.
func TestRenewConflict(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	a.store.fail = func(method string, call int) error {
		if method == "Swap" && call == 1 {
			return session.ErrConflict
		}
		return nil
	}
	a.status(t, cookieOf(t, a.do(http.MethodPost, "/admin", with(secret)).Header()), 200)
}

func TestEvents(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	secret = cookieOf(t, a.do(http.MethodPost, "/admin", with(secret)).Header())
	a.do(http.MethodPost, "/logout", with(secret))
	if _, err := a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada"}); err != nil {
		t.Fatal(err)
	}
	want := []gatehouse.EventType{session.EventStarted, session.EventRenewed, session.EventEnded, session.EventEndedAll}
	if got := a.events.types(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
