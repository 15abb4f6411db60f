// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
)

// Covers ASVS 5.0 §7.4.1, §14.3.1.
func TestEnd(t *testing.T) {
	a := newApp(t, session.Config{})
	secret, other := a.login(t, withTokens(person("ada"), 1, time.Hour)), a.login(t, person("ada"))
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "max-age=60") // of a handler in front
	tokens, err := a.End(w, request(http.MethodPost, "/logout", with(secret)))
	if err != nil || string(tokens.Refresh.Reveal()) != "refresh-1" || string(tokens.ID.Reveal()) != "header.id.signature" || a.store.count("Get") != 1 {
		t.Errorf("End = %v, %v after %d calls of Get, want the tokens after 1", tokens, err, a.store.count("Get"))
	}
	a.status(t, secret, 401)
	a.status(t, other, 200)
	if cookieOf(t, w.Header()) != "" || w.Header().Get("Clear-Site-Data") != `"cache", "storage"` || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("header %v, want the cookie deleted, Clear-Site-Data and no-store", w.Header())
	}
	gets := a.store.count("Get")
	if _, err := a.End(httptest.NewRecorder(), request(http.MethodPost, "/logout", with(secret))); err != nil || a.store.count("Get") != gets+1 {
		t.Errorf("second End error = %v after %d calls of Get, want none after 1", err, a.store.count("Get")-gets)
	}
	// Another credential that a gate has accepted is not the session.
	key := a.principal(t, other)
	key.Method = "api_key"
	r := request(http.MethodPost, "/logout")
	if _, err := a.End(httptest.NewRecorder(), r.WithContext(gatehouse.NewContext(r.Context(), key))); err != nil {
		t.Errorf("End with another credential: error = %v", err)
	}
	a.status(t, other, 200)
	// Without a valid cookie, End does not call the store.
	a.store.down()
	for _, change := range []func(*http.Request){func(*http.Request) {}, with("?")} {
		w := httptest.NewRecorder()
		if tokens, err := a.End(w, request(http.MethodPost, "/logout", change)); err != nil || tokens.Access.Len() != 0 || cookieOf(t, w.Header()) != "" {
			t.Errorf("End without a session = %v, %v, %v", tokens, err, w.Header())
		}
	}
}

func TestEndFails(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	w := a.do(http.MethodPost, "/logout", with(secret), header("Sec-Fetch-Site", "cross-site"))
	if w.Code != 403 || len(w.Header()["Set-Cookie"]) != 0 {
		t.Errorf("cross-site logout: %d %v, want 403 and no cookie", w.Code, w.Header())
	}
	a.status(t, secret, 200)
	for _, method := range []string{"Get", "Delete"} {
		a.store.down(method)
		if w := a.do(http.MethodPost, "/logout", with(secret)); w.Code != 503 || cookieOf(t, w.Header()) != "" {
			t.Errorf("%s down: %d %v, want 503 and the cookie deleted", method, w.Code, w.Header())
		}
	}
}

// TestEndDuringRefresh: the logout waits for the new refresh token, which has to
// be revoked, at most 2 s, and also if the request is canceled.
//
// Covers ASVS 5.0 §7.4.1.
func TestEndDuringRefresh(t *testing.T) {
	for name, c := range map[string]struct {
		delay, cancel time.Duration
		want          string
	}{
		"quick":    {time.Second, time.Minute, "refresh-2"},
		"slow":     {5 * time.Second, time.Minute, "refresh-1"},
		"canceled": {time.Second, time.Second / 2, "refresh-2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, secret := refreshing(t, &issuerServer{delay: c.delay})
			go a.do(http.MethodGet, "/token", with(secret))
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), c.cancel)
			defer cancel()
			tokens, err := a.End(httptest.NewRecorder(), request(http.MethodPost, "/logout", with(secret)).WithContext(ctx))
			if err != nil || string(tokens.Refresh.Reveal()) != c.want {
				t.Errorf("%s: End = %q, %v, want %s", name, tokens.Refresh.Reveal(), err, c.want)
			}
			a.status(t, secret, 401)
			synctest.Wait()
		})
	}
}

// Covers ASVS 5.0 §7.4.2, §7.4.3, §7.5.2.
func TestListAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{})
		first := a.login(t, person("ada"))
		time.Sleep(time.Minute)
		second := a.login(t, withTokens(person("ada"), 1, time.Hour))
		foreign := a.login(t, person("grace"))
		time.Sleep(time.Minute)
		a.status(t, first, 200)

		list, err := a.List(t.Context(), issuer, "ada")
		if err != nil || len(list) != 2 || list[0].ID != a.principal(t, first).Credential || list[0].Label != "Firefox on Linux" ||
			list[0].LastSeen.Sub(list[0].Created) != 2*time.Minute {
			t.Fatalf("List = %+v, %v, want both sessions, the used one first", list, err)
		}
		unowned := must(a.store.Create(t.Context(), session.Record{Session: session.Session{ID: "unowned", Issuer: issuer, Idle: time.Hour}}, time.Hour))
		for name, c := range map[string]struct{ issuer, subject, id string }{
			"another subject": {issuer, "ada", a.principal(t, foreign).Credential}, "another issuer": {"https://other.example", "grace", a.principal(t, foreign).Credential},
			"shorter subject": {issuer, "grac", a.principal(t, foreign).Credential}, "shorter issuer": {issuer[:len(issuer)-1], "grace", a.principal(t, foreign).Credential},
			"no subject": {issuer, "", unowned.ID}, "unknown": {issuer, "ada", "unknown"},
		} {
			_, err := a.EndOne(t.Context(), c.issuer, c.subject, c.id)
			if _, rejected := errors.AsType[*gatehouse.Error](err); rejected || !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s: EndOne error = %v, want %v", name, err, session.ErrNotFound)
			}
		}
		a.status(t, foreign, 200)
		if tokens, err := a.EndOne(t.Context(), issuer, "ada", list[1].ID); err != nil || string(tokens.Refresh.Reveal()) != "refresh-1" {
			t.Errorf("EndOne = %v, %v, want the tokens", tokens, err)
		}
		a.status(t, second, 401)

		third := a.login(t, person("ada"))
		count, err := a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada", Except: a.principal(t, third).Credential})
		if err != nil || count != 1 {
			t.Errorf("EndAll = %d, %v, want 1", count, err)
		}
		if e := a.events.last(); e.Type != session.EventEndedAll || attr(e, session.AttrSubject) != "ada" || e.Issuer != issuer {
			t.Errorf("event %+v, want %s of ada", e, session.EventEndedAll)
		}
		a.events.fails(session.EventEndedAll)
		_, err = a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "unknown"})
		expectError(t, "EndAll, observer", err, 503, gatehouse.ReasonObserverFailed)
		a.events.err = nil
		a.status(t, first, 401)
		a.status(t, third, 200)
		for _, s := range []session.Selector{{}, {Issuer: issuer}, {Subject: "ada"}, {SID: "sid-ada"}} {
			if _, err := a.EndAll(t.Context(), s); err == nil {
				t.Errorf("EndAll(%+v) error = nil", s)
			}
		}
		a.store.down()
		_, err1 := a.List(t.Context(), issuer, "ada")
		_, err2 := a.EndOne(t.Context(), issuer, "ada", list[0].ID)
		_, err3 := a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada"})
		for n, err := range []error{err1, err2, err3} {
			expectError(t, []string{"List", "EndOne", "EndAll"}[n], err, 503, session.ReasonStoreUnavailable)
		}
	})
}

// TestEndIsReportedAfterCancel: the event is reported even if the caller has gone.
func TestEndIsReportedAfterCancel(t *testing.T) {
	reported := 0
	a := newApp(t, session.Config{Observer: gatehouse.ObserverFunc(func(ctx context.Context, e gatehouse.Event) error {
		if e.Type == session.EventEnded && ctx.Err() == nil {
			reported++
		}
		return nil
	})})
	p := a.principal(t, a.login(t, person("ada")))
	ctx, cancel := context.WithCancel(t.Context())
	a.store.after = func(method string, _ int) error {
		if method == "Delete" {
			cancel()
		}
		return nil
	}
	if _, err := a.EndOne(ctx, issuer, "ada", p.Credential); err != nil || ctx.Err() == nil || reported != 1 {
		t.Errorf("EndOne error = %v, reported %d times, want once", err, reported)
	}
}

// TestEvents: each change is one event, and rejected logins and logouts outside of
// every gate are reported.
func TestEvents(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	secret = cookieOf(t, a.do(http.MethodPost, "/admin", with(secret)).Header())
	a.do(http.MethodPost, "/logout", with(secret))
	must(a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada", SID: "sid-ada"}))
	if e := a.events.events[0]; e.Principal.Subject != "ada" || e.Principal.Claims.String() != "{}" {
		t.Errorf("event %+v, want the principal without claims", e)
	}
	if e := a.events.last(); attr(e, session.AttrCount) != "0" || attr(e, session.AttrSID) != "sid-ada" || e.Credential != "" || e.Issuer != issuer {
		t.Errorf("event %+v, want the count and the sid", e)
	}
	secret = a.login(t, person("ada"))
	foreign := header("Sec-Fetch-Site", "cross-site")
	start := func(r *http.Request, l session.Login) error { return a.Start(httptest.NewRecorder(), r, l) }
	end := func(changes ...func(*http.Request)) error {
		_, err := a.End(httptest.NewRecorder(), request(http.MethodPost, "/logout", changes...))
		return err
	}
	for name, c := range map[string]struct {
		do       func() error
		decision gatehouse.Decision
		reason   gatehouse.Reason
		status   int
		path     string
	}{
		"cross-site login": {func() error { return start(request(http.MethodPost, "/login", foreign), person("ada")) }, gatehouse.Rejected, cookie.ReasonCrossSite, 403, "/login"},
		"mistake":          {func() error { return start(request(http.MethodPost, "/login"), session.Login{}) }, gatehouse.Unavailable, gatehouse.ReasonAuthenticatorFailed, 503, "/login"},
		"store down": {func() error {
			a.store.down()
			defer a.store.up()
			return end(with(secret))
		}, gatehouse.Unavailable, session.ReasonStoreUnavailable, 503, "/logout"},
	} {
		if err := c.do(); err == nil {
			t.Fatalf("%s: error = nil", name)
		}
		if e := a.events.last(); e.Decision != c.decision || e.Reason != c.reason || e.Status != c.status || e.Path != c.path || e.Method != http.MethodPost || e.Cause == nil {
			t.Errorf("%s: event %+v, want %s %s", name, e, c.decision, c.reason)
		}
	}
	// Behind a gate, the gate reports the error.
	before := len(a.events.types())
	inside := request(http.MethodPost, "/login", foreign)
	inside = inside.WithContext(gatehouse.NewContext(inside.Context(), a.principal(t, secret)))
	if err := start(inside, person("ada")); err == nil || len(a.events.types()) != before {
		t.Errorf("Start behind a gate: error = %v with %d events, want an error without one", err, len(a.events.types())-before)
	}
	a.events.err = errors.New("disk full")
	err := start(request(http.MethodPost, "/login", foreign), person("ada"))
	if expectError(t, "observer fails", err, 503, gatehouse.ReasonObserverFailed); !errors.Is(err, a.events.err) {
		t.Errorf("error = %v, want the cause", err)
	}
	expectError(t, "kept change", end(with(secret)), 503, gatehouse.ReasonObserverFailed)
	a.status(t, secret, 401)
	want := []gatehouse.EventType{session.EventStarted, session.EventRenewed, session.EventEnded, session.EventEndedAll}
	if diff := cmp.Diff(want, a.events.types()[:4]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
