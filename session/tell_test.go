// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
)

// What a login and a logout refuse, which stand outside of every gate, is told to
// the operator, once.
func TestObserver(t *testing.T) {
	var told []gatehouse.Event
	var full error
	a := newApp(t, session.Config{Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
		told = append(told, e)
		return full
	})})
	secret := a.login(t, person("ada"))
	start := func(l session.Login, changes ...func(*http.Request)) error {
		return a.Start(httptest.NewRecorder(), request(http.MethodPost, "/login", changes...), l)
	}
	end := func(changes ...func(*http.Request)) error {
		_, err := a.End(httptest.NewRecorder(), request(http.MethodPost, "/logout", changes...))
		return err
	}
	told = nil
	if err := end(); err != nil || len(told) != 0 {
		t.Fatalf("%v, told %+v", err, told)
	}
	for name, c := range map[string]struct {
		do       func() error
		decision gatehouse.Decision
		reason   gatehouse.Reason
		status   int
		path     string
	}{
		"a login across sites": {func() error { return start(person("ada"), header("Sec-Fetch-Site", "cross-site")) }, gatehouse.Rejected, cookie.ReasonCrossSite, 403, "/login"},
		"a login of nobody":    {func() error { return start(session.Login{}) }, gatehouse.Unavailable, gatehouse.ReasonAuthenticatorFailed, 503, "/login"},
		"a store that is down": {func() error {
			a.store.down()
			defer a.store.up()
			return end(with(secret))
		}, gatehouse.Unavailable, session.ReasonStoreUnavailable, 503, "/logout"},
	} {
		told = nil
		if err := c.do(); err == nil {
			t.Fatalf("%s: no error", name)
		}
		if len(told) != 1 || told[0].Decision != c.decision || told[0].Reason != c.reason || told[0].Status != c.status ||
			told[0].Path != c.path || told[0].Method != http.MethodPost || told[0].Cause == nil {
			t.Errorf("%s: told %+v", name, told)
		}
	}

	// Behind a gate it is the gate that tells.
	told = nil
	inside := request(http.MethodPost, "/login", header("Sec-Fetch-Site", "cross-site"))
	inside = inside.WithContext(gatehouse.NewContext(inside.Context(), a.principal(t, secret)))
	if err := a.Start(httptest.NewRecorder(), inside, person("ada")); err == nil || len(told) != 0 {
		t.Errorf("%v, told %+v", err, told)
	}

	full = errors.New("the audit trail is full")
	err := start(person("ada"), header("Sec-Fetch-Site", "cross-site"))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != gatehouse.ReasonObserverFailed || !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}
