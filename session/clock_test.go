// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// skewed is a store whose clock is ahead of that of the process.
type skewed struct {
	session.Store
	ahead time.Duration
}

func (s skewed) record(r session.Record, err error) (session.Record, error) {
	for _, at := range []*time.Time{&r.Created, &r.LastSeen, &r.Expires, &r.Claimed, &r.AsOf} {
		if !at.IsZero() {
			*at = at.Add(s.ahead)
		}
	}
	return r, err
}

func (s skewed) Create(ctx context.Context, r session.Record, d time.Duration) (session.Record, error) {
	return s.record(s.Store.Create(ctx, r, d))
}

func (s skewed) Get(ctx context.Context, id string) (session.Record, error) {
	return s.record(s.Store.Get(ctx, id))
}

func (s skewed) Swap(ctx context.Context, id string, version int64, c session.Change) (session.Record, error) {
	return s.record(s.Store.Swap(ctx, id, version, c))
}

// TestClockOfTheStore: a claim, and the time of the last request, are compared with the
// clock of the store, which is an hour ahead of that of the process, or behind it.
func TestClockOfTheStore(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a := newApp(t, session.Config{
				Store: skewed{session.NewMemory(0), ahead}, Refresh: new(issuerServer).refresh,
				Persistent: true, Idle: 72 * time.Hour, Absolute: 72 * time.Hour,
			})
			secret := a.login(t, withTokens(person("ada"), 1, 0))
			id := a.principal(t, secret).Credential
			sealed := must(a.store.Get(t.Context(), id)).Tokens
			a.force(t, id, func(c *session.Change) { c.Claim = 16 * time.Second })
			start := time.Now()
			a.token(t, secret, 200, "access-2")
			if waited := time.Since(start); waited != 16*time.Second {
				t.Errorf("store %v ahead: GET /token of a claimed session took %v, want 16s", ahead, waited)
			}
			touched := a.store.count("Touch")
			a.status(t, secret, 200)
			time.Sleep(time.Minute)
			a.status(t, secret, 200)
			if got := a.store.count("Touch") - touched; got != 1 {
				t.Errorf("store %v ahead: %d calls of Touch, want 1", ahead, got)
			}
			w := a.do(http.MethodPost, "/admin", with(secret))
			if cookies := w.Result().Cookies(); len(cookies) != 1 || cookies[0].MaxAge <= 71*3600 || cookies[0].MaxAge > 72*3600 {
				t.Errorf("store %v ahead: Renew sets the cookies %v, want one for the rest of 72 h", ahead, cookies)
			}
			// The tokens open for as long as the session lasts, and a day longer.
			time.Sleep(time.Until(start.Add(72*time.Hour - time.Minute)))
			a.token(t, cookieOf(t, w.Header()), 200, "access-3")
			time.Sleep(24 * time.Hour)
			if _, err := ring().Open(id, "session tokens", sealed); err != nil {
				t.Errorf("the tokens of the login do not open a day after the session: %v", err)
			}
		})
	}
}

// TestRefreshDeadline: the 10 s for the authorization server count from before the
// claim, so that the call ends before the claim does although the store is slow. A request
// waits at most 26 s for the claims of other processes.
func TestRefreshDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		hook func(a *app, secret string)
		took time.Duration
	}{
		// With the Swap that releases the claim.
		"slow store": {func(a *app, _ string) {
			a.store.after = func(method string, _ int) error {
				if method == "Swap" {
					time.Sleep(3 * time.Second)
				}
				return nil
			}
		}, 13 * time.Second},
		"claims without an end": {func(a *app, secret string) {
			id := a.principal(t, secret).Credential
			a.store.set(func(string, int) error {
				a.force(t, id, func(c *session.Change) { c.Claim = 16 * time.Second })
				return nil
			})
		}, 26 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, secret := refreshing(t, &issuerServer{delay: time.Hour})
			test.hook(a, secret)
			start := time.Now()
			a.token(t, secret, 503, "")
			if took := time.Since(start); took != test.took {
				t.Errorf("%s: GET /token took %v, want %v", name, took, test.took)
			}
		})
	}
}
