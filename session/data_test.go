// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

type cart struct {
	Items []string `json:"items"`
}

// inside returns the context of a request with the session of a cookie.
func (a *app) inside(t testing.TB, secret string) context.Context {
	t.Helper()
	return gatehouse.NewContext(t.Context(), a.principal(t, secret))
}

func wantCart(ctx context.Context, t testing.TB, name string, d session.Data[cart], want ...string) {
	t.Helper()
	if got, err := d.Get(ctx); err != nil || !slices.Equal(got.Items, want) {
		t.Errorf("%s: Get() = %q, %v, want %q", name, got.Items, err, want)
	}
}

func TestData(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, withTokens(person("ada"), 1, time.Hour))
	ctx := a.inside(t, secret)
	d, other := session.Data[cart]{Sessions: a.Manager, Name: "cart"}, session.Data[int]{Sessions: a.Manager, Name: "step"}
	wantCart(ctx, t, "new session", d)
	a.store.once("Swap", a.store.count("Swap")+1, session.ErrConflict) // a concurrent change, after which Set retries
	succeeds(t, errors.Join(d.Set(ctx, cart{[]string{"tea"}}), other.Set(ctx, 7)))
	a.store.up()
	wantCart(ctx, t, "after Set", d, "tea")
	if step, err := other.Take(ctx); step != 7 || err != nil {
		t.Errorf("Take() = %d, %v, want 7", step, err)
	}
	if step, err := other.Take(ctx); step != 0 || err != nil {
		t.Errorf("second Take() = %d, %v, want 0", step, err)
	}
	wantCart(ctx, t, "after Take of another value", d, "tea")
	id := a.principal(t, secret).Credential
	if r, err := a.store.Get(ctx, id); err != nil || strings.Contains(r.Principal, `"step"`) || strings.Contains(r.Principal, id) {
		t.Errorf("stored content %s, %v, want neither the taken value nor the ID", r.Principal, err)
	}
	stop := errors.New("sold out")
	if err := d.Update(ctx, func(c *cart) error { c.Items = nil; return stop }); !errors.Is(err, stop) {
		t.Errorf("Update error = %v, want %v", err, stop)
	}
	wantCart(ctx, t, "after a failed Update", d, "tea")
	// The principal, the tokens and the session are what they were.
	if p := a.principal(t, secret); p.Tenant != "acme" || !p.Scopes.Has("notes:read") {
		t.Errorf("principal = %+v, want that of the login", p)
	}
	a.token(t, secret, 200, "access-1")
	foreign := a.inside(t, a.login(t, person("ada")))
	wantCart(foreign, t, "another session of the user", d)
}

// TestDataIsKept: a new ID and a login of the same user keep the data, those of another
// user do not.
func TestDataIsKept(t *testing.T) {
	a := newApp(t, session.Config{})
	d := session.Data[cart]{Sessions: a.Manager, Name: "cart"}
	secret := a.login(t, person("ada"))
	succeeds(t, d.Set(a.inside(t, secret), cart{[]string{"tea"}}))
	secret = cookieOf(t, a.do(http.MethodPost, "/admin", with(secret)).Header())
	wantCart(a.inside(t, secret), t, "Renew", d, "tea")
	secret = a.login(t, person("ada"), with(secret))
	wantCart(a.inside(t, secret), t, "login again", d, "tea")
	secret = a.login(t, person("grace"), with(secret))
	wantCart(a.inside(t, secret), t, "another user", d)
	succeeds(t, d.Set(a.inside(t, secret), cart{[]string{"milk"}}))
	namesake := person("grace")
	namesake.Principal.Issuer = "https://other.example"
	secret = a.login(t, namesake, with(secret))
	wantCart(a.inside(t, secret), t, "a user of another issuer with the same subject", d)

	secret = a.login(t, person("ada"))
	a.store.once("Get", a.store.count("Get")+1, errDown)
	err := a.Start(httptest.NewRecorder(), request(http.MethodPost, "/login", with(secret)), person("ada"))
	expectError(t, "store down", err, 503, session.ReasonStoreUnavailable)
}

// TestDataLosesNoChange: concurrent changes are all kept, and one call of Take gets the
// value.
func TestDataLosesNoChange(t *testing.T) {
	a := newApp(t, session.Config{})
	ctx := a.inside(t, a.login(t, person("ada")))
	d := session.Data[int]{Sessions: a.Manager, Name: "count"}
	const n = 20
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			if err := d.Update(ctx, func(count *int) error { *count++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	got := make([]int, n)
	for i := range n {
		group.Go(func() { got[i], _ = d.Take(ctx) })
	}
	group.Wait()
	slices.Sort(got)
	if got[n-1] != n || got[n-2] != 0 {
		t.Errorf("Take() = %v, want %d once", got, n)
	}
}

// TestDataDuringRefresh: a change waits for the refresh of the tokens, which it would
// make fail otherwise.
func TestDataDuringRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Refresh: func(ctx context.Context, _ session.Tokens) (session.Tokens, error) {
			time.Sleep(5 * time.Second)
			return tokens(2, time.Hour), ctx.Err()
		}})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		ctx, d := a.inside(t, secret), session.Data[cart]{Sessions: a.Manager, Name: "cart"}
		var group sync.WaitGroup
		group.Go(func() { a.token(t, secret, 200, "access-2") })
		synctest.Wait()
		if err := d.Set(ctx, cart{[]string{"tea"}}); err != nil {
			t.Error(err)
		}
		group.Wait()
		wantCart(ctx, t, "after the refresh", d, "tea")
		a.token(t, secret, 200, "access-2")
	})
}

func TestDataFails(t *testing.T) {
	a := newApp(t, session.Config{})
	ctx := a.inside(t, a.login(t, person("ada")))
	d := session.Data[string]{Sessions: a.Manager, Name: "note"}
	const most = 16<<10 - len(`{"note":""}`)
	succeeds(t, errors.Join(d.Set(ctx, strings.Repeat("x", most)), d.Set(ctx, "kept")))
	p, _ := gatehouse.FromContext(ctx)
	for name, test := range map[string]struct {
		fail   func() error
		status int
		reason gatehouse.Reason
	}{
		"too large":           {func() error { return d.Set(ctx, strings.Repeat("x", most+1)) }, 0, ""},
		"another type":        {func() error { _, err := (session.Data[int]{a.Manager, "note"}).Get(ctx); return err }, 0, ""},
		"another type, taken": {func() error { _, err := (session.Data[int]{a.Manager, "note"}).Take(ctx); return err }, 0, ""},
		"no JSON":             {func() error { return session.Data[func()]{a.Manager, "f"}.Set(ctx, func() {}) }, 0, ""},
		"no name":             {func() error { _, err := (session.Data[int]{Sessions: a.Manager}).Get(ctx); return err }, 0, ""},
		"no sessions":         {func() error { return (session.Data[int]{Name: "x"}).Set(ctx, 1) }, 0, ""},
		"outside of a gate":   {func() error { return d.Set(t.Context(), "x") }, 401, gatehouse.ReasonOutsideGate},
		"outside, Get":        {func() error { _, err := d.Get(t.Context()); return err }, 401, gatehouse.ReasonOutsideGate},
		"store down": {func() error {
			a.store.down("Swap")
			defer a.store.up()
			return d.Set(ctx, "x")
		}, 503, session.ReasonStoreUnavailable},
		"store down, read": {func() error {
			a.store.down("Get")
			defer a.store.up()
			_, err := d.Get(ctx)
			return errors.Join(err, d.Set(ctx, "x"))
		}, 503, session.ReasonStoreUnavailable},
	} {
		err := test.fail()
		expectError(t, name, err, test.status, test.reason)
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && test.status == 503 && e.Credential != p.Credential {
			t.Errorf("%s: the error has the credential %q, want the ID of the session", name, e.Credential)
		}
		if got, err := d.Get(ctx); got != "kept" || err != nil {
			t.Errorf("%s: the value is %.10q, %v, want it unchanged", name, got, err)
		}
	}
	type typed struct{ A, B int }
	succeeds(t, (session.Data[map[string]any]{a.Manager, "map"}).Set(ctx, map[string]any{"A": 1, "B": "x"}))
	if got, err := (session.Data[typed]{a.Manager, "map"}).Get(ctx); err == nil || got != (typed{}) {
		t.Errorf("Get() of a value that decodes in part = %+v, %v, want an error only", got, err)
	}
	a.force(t, p.Credential, func(c *session.Change) { c.Principal = "x" })
	_, err := d.Get(ctx)
	expectError(t, "content that is no JSON, Get", err, 503, session.ReasonStoreUnavailable)
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || !strings.Contains(e.Cause.Error(), "invalid character") {
		t.Errorf("Get() cause = %v, want why the content is no JSON", err)
	}
	expectError(t, "content that is no JSON, Set", d.Set(ctx, "x"), 503, session.ReasonStoreUnavailable)
	_ = a.store.Delete(ctx, p.Credential)
	_, err = d.Get(ctx)
	expectError(t, "ended, Get", err, 401, session.ReasonUnknown)
	expectError(t, "ended, Set", d.Set(ctx, "x"), 401, session.ReasonUnknown)
}
