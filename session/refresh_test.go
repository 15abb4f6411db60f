// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
)

// issuerServer refreshes tokens, with reuse detection. The module interop tests a
// real authorization server.
type issuerServer struct {
	mu    sync.Mutex
	calls int
	used  map[string]bool
	ended bool
	delay time.Duration
	life  time.Duration // an hour if zero
	err   error         // instead of a response
}

func (s *issuerServer) refresh(ctx context.Context, old session.Tokens) (session.Tokens, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.err != nil {
		return session.Tokens{}, s.err
	}
	token := string(old.Refresh.Reveal())
	if s.used == nil {
		s.used = make(map[string]bool)
	}
	s.ended = s.ended || s.used[token]
	if s.ended {
		return session.Tokens{}, fmt.Errorf("invalid_grant: %w", session.ErrSignedOut)
	}
	s.used[token] = true
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return session.Tokens{}, ctx.Err()
	}
	life := s.life
	if life == 0 {
		life = time.Hour
	}
	var n int
	_, _ = fmt.Sscanf(token, "refresh-%d", &n)
	return tokens(n+1, life), nil
}

func (s *issuerServer) check(t *testing.T, calls int, ended bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls != calls || s.ended != ended {
		t.Errorf("authorization server: %d calls, ended: %v; want %d, %v", s.calls, s.ended, calls, ended)
	}
}

// refreshing returns an app and a session whose access token is expired.
func refreshing(t *testing.T, server *issuerServer) (a *app, secret string) {
	t.Helper()
	a = newApp(t, session.Config{Refresh: server.refresh})
	return a, a.login(t, withTokens(person("ada"), 1, 0))
}

// token checks the response of a handler that uses the access token.
func (a *app) token(t *testing.T, secret string, status int, want string) {
	t.Helper()
	w := a.do(http.MethodGet, "/token", with(secret))
	if w.Code != status || status == 200 && w.Body.String() != want {
		t.Errorf("GET /token: %d %s, want %d %s", w.Code, w.Body, status, want)
	}
}

func (a *app) lastRefused() gatehouse.Event { return a.refused[len(a.refused)-1] }

// Covers RFC 10017 §6.1; ASVS 5.0 §10.1.1.
func TestTokensAreRefreshedBeforeExpiry(t *testing.T) {
	for _, life := range []time.Duration{time.Hour, 8 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			server := &issuerServer{life: life}
			a := newApp(t, session.Config{Refresh: server.refresh, Idle: 12 * time.Hour})
			secret := a.login(t, withTokens(person("ada"), 1, life))
			a.token(t, secret, 200, "access-1")
			time.Sleep(life - min(30*time.Second, life/4) - time.Nanosecond)
			a.token(t, secret, 200, "access-1")
			server.check(t, 0, false)
			time.Sleep(time.Nanosecond)
			a.token(t, secret, 200, "access-2")
			a.token(t, secret, 200, "access-2")
			server.check(t, 1, false)
			time.Sleep(5 * time.Hour)
			a.token(t, secret, 200, "access-3")
			server.check(t, 2, false)
			if got, want := fmt.Sprint(a.events.types()), "[session_started session_refreshed session_refreshed]"; got != want {
				t.Errorf("events %s, want %s", got, want)
			}
			record, err := a.store.Get(t.Context(), a.principal(t, secret).Credential)
			if shown := fmt.Sprintf("%+v %+v", record, a.events.events); err != nil || !strings.Contains(shown, "sid-ada") ||
				strings.Contains(shown, "access-") || strings.Contains(shown, "refresh-") || strings.Contains(shown, secret) {
				t.Errorf("store and events show a secret: %s, %v", shown, err)
			}
		})
	}
}

func TestNoTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Refresh: server.refresh})
		a.token(t, a.login(t, person("ada")), 401, "")
		if e := a.lastRefused(); e.Reason != session.ReasonNoTokens || !strings.Contains(e.Cause.Error(), "has no tokens") {
			t.Errorf("event %+v, want %s", e, session.ReasonNoTokens)
		}
		l := withTokens(person("ada"), 1, time.Minute)
		l.Tokens.Refresh = gatehouse.Secret{}
		secret := a.login(t, l)
		time.Sleep(time.Minute - time.Nanosecond)
		a.token(t, secret, 200, "access-1") // due, and still valid
		time.Sleep(time.Nanosecond)
		a.token(t, secret, 401, "")
		if w := a.do(http.MethodGet, "/token", with(secret), navigation); w.Header().Get("Location") != "/login?return_to=%2Ftoken" {
			t.Errorf("GET /token without a token: redirect to %q, want the login", w.Header().Get("Location"))
		}
		a.status(t, secret, 200) // the session itself is valid
		server.check(t, 0, false)

		none := newApp(t, session.Config{})
		none.token(t, none.login(t, withTokens(person("ada"), 1, -time.Second)), 401, "")
		_, err := a.Tokens(t.Context())
		expectError(t, "outside of a gate", err, 401, gatehouse.ReasonOutsideGate)
		key := gatehouse.Principal{Subject: "ci", Issuer: "keys", Method: "api_key", Credential: "1"}
		_, err = a.Tokens(gatehouse.NewContext(t.Context(), key))
		expectError(t, "an API key", err, 403, session.ReasonOtherCredential)
		ctx := a.inside(t, secret)
		a.store.down("Get")
		_, err = a.Tokens(ctx)
		expectError(t, "store down", err, 503, session.ReasonStoreUnavailable)
	})
}

// TestRefreshIsShared: requests in several processes use the refresh token once, and
// a caller that goes away does not cancel the refresh. The claim outlasts the slowest
// refresh and the time for storing its result.
func TestRefreshIsShared(t *testing.T) {
	for delay, failures := range map[time.Duration]int{time.Second: 0, 10*time.Second - 1: 4} {
		synctest.Test(t, func(t *testing.T) {
			server := &issuerServer{delay: delay}
			store := session.NewMemory(0)
			var apps []*app
			for range 3 {
				apps = append(apps, newApp(t, session.Config{Store: store, Refresh: server.refresh}))
			}
			secret := apps[0].login(t, withTokens(person("ada"), 1, 0))
			apps[0].store.set(func(method string, call int) error {
				if method == "Swap" && call > 1 && call <= 1+failures { // after the claim
					return errDown
				}
				return nil
			})
			ctx, cancel := context.WithCancel(gatehouse.NewContext(t.Context(), apps[0].principal(t, secret)))
			first := make(chan error, 1)
			go func() { _, err := apps[0].Tokens(ctx); first <- err }()
			synctest.Wait()
			var group sync.WaitGroup
			for i := range 60 {
				group.Go(func() { apps[i%3].token(t, secret, 200, "access-2") })
			}
			synctest.Wait()
			start := time.Now()
			cancel()
			err := <-first
			if expectError(t, "canceled", err, 503, session.ReasonStoreUnavailable); !errors.Is(err, context.Canceled) {
				t.Errorf("Tokens(canceled) error = %v, want %v", err, context.Canceled)
			}
			group.Wait()
			stored := delay + time.Duration(failures)*75*time.Millisecond // 20, 40, 80 and 160 ms
			if took := time.Since(start); took > stored+250*time.Millisecond {
				t.Errorf("the other processes waited %v for a refresh of %v, want at most 0.25 s longer", took, stored)
			}
			server.check(t, 1, false)
		})
	}
}

// TestRefreshTokenOutlastsAccessToken: refreshed tokens are kept as long as the session.
func TestRefreshTokenOutlastsAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Refresh: server.refresh, Idle: 120 * time.Hour, Absolute: 120 * time.Hour})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		a.token(t, secret, 200, "access-2")
		time.Sleep(100 * time.Hour)
		a.token(t, secret, 200, "access-3")
	})
}

// TestAuthorizationServerDown: the old access token is used until it expires.
func TestAuthorizationServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{err: errors.New("connection refused")}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 20*time.Second))
		time.Sleep(16 * time.Second)
		a.token(t, secret, 200, "access-1")
		server.check(t, 1, false)
		time.Sleep(4 * time.Second)
		a.token(t, secret, 503, "")
		if e := a.lastRefused(); e.Reason != session.ReasonRefreshUnavailable || e.Cause == nil {
			t.Errorf("event %+v, want %s", e, session.ReasonRefreshUnavailable)
		}
		server.check(t, 2, false)
		server.err = nil // the claim was released, so that the next request refreshes at once
		a.token(t, secret, 200, "access-2")
		a.status(t, secret, 200)
	})
}

// TestAuthorizationServerSlow: a request waits 1 s for a refresh if its access token
// is valid for longer, and 10 s otherwise.
func TestAuthorizationServerSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: 5 * time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 20*time.Second))
		time.Sleep(16 * time.Second)
		start := time.Now()
		a.token(t, secret, 200, "access-1")
		if took := time.Since(start); took != time.Second {
			t.Errorf("GET /token took %v, want 1s", took)
		}
		time.Sleep(2 * time.Second) // the old token is valid for 1 s
		a.token(t, secret, 200, "access-2")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("the refresh took %v, want 5s", took)
		}
		server.check(t, 1, false)

		hanging, secret := refreshing(t, &issuerServer{delay: time.Hour})
		start = time.Now()
		hanging.token(t, secret, 503, "")
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("GET /token with a server that hangs took %v, want 10s", took)
		}
	})
}

// TestSignedOut: when the authorization server rejects the refresh token, the
// session ends. If it cannot be ended or reported, the caller gets 503.
//
// Covers ASVS 5.0 §7.6.1.
func TestSignedOut(t *testing.T) {
	server := &issuerServer{ended: true}
	a, secret := refreshing(t, server)
	a.token(t, secret, 401, "")
	if e := a.lastRefused(); e.Reason != session.ReasonSignedOut || !errors.Is(e.Cause, session.ErrSignedOut) {
		t.Errorf("event %+v, want %s", e, session.ReasonSignedOut)
	}
	a.status(t, secret, 401)
	if e := a.events.last(); e.Type != session.EventSignedOut || attr(e, session.AttrSubject) != "ada" {
		t.Errorf("event %+v, want %s of ada", e, session.EventSignedOut)
	}
	for name, fail := range map[string]func(){
		"delete": func() { a.store.down("Delete") },
		"get":    func() { a.store.once("Get", a.store.count("Get")+4, errDown) }, // of the gate, of Tokens, of the refresh, after it
		"event":  func() { a.events.err = errors.New("disk full") },
	} {
		a.events.err = nil
		secret = a.login(t, withTokens(person("ada"), 1, 0))
		fail()
		a.token(t, secret, 503, "")
		a.store.up()
		if name != "event" {
			a.status(t, secret, 200)
		}
	}
}

// TestProcessDies: a process dies with its claim. Another one refreshes when the
// claim expires; if the refresh token was used, the user has to log in again.
func TestProcessDies(t *testing.T) {
	for _, used := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			server := &issuerServer{used: map[string]bool{"refresh-1": used}}
			a, secret := refreshing(t, server)
			a.force(t, a.principal(t, secret).Credential, func(c *session.Change) { c.Claim = 16 * time.Second })
			a.status(t, secret, 200)
			start := time.Now()
			status := map[bool]int{false: 200, true: 401}[used]
			a.token(t, secret, status, "access-2")
			if waited := time.Since(start); waited != 16*time.Second {
				t.Errorf("waited %v, want 16s", waited)
			}
			server.check(t, 1, used)
		})
	}
}

// TestClaimIsLost: another process changes the session during the refresh, as if
// the claim had expired.
func TestClaimIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		other   bool // the other process refreshes
		err     error
		status  int
		session int
		event   gatehouse.EventType
	}{
		"rejected, refreshed by the other": {true, session.ErrSignedOut, 200, 200, session.EventStarted},
		"rejected, not refreshed":          {false, session.ErrSignedOut, 401, 401, session.EventSignedOut},
		"refreshed twice":                  {false, nil, 503, 200, session.EventRefreshLost},
	} {
		synctest.Test(t, func(t *testing.T) {
			var other *app
			var p gatehouse.Principal
			a := newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
				other.force(t, p.Credential, func(*session.Change) {})
				if c.other {
					if _, err := other.Tokens(gatehouse.NewContext(t.Context(), p)); err != nil {
						t.Error(err)
					}
				}
				return tokens(2, time.Hour), c.err
			}})
			other = newApp(t, session.Config{Store: a.store.Store, Refresh: (&issuerServer{}).refresh})
			secret := a.login(t, withTokens(person("ada"), 1, 0))
			p = a.principal(t, secret)
			start := time.Now()
			a.token(t, secret, c.status, "access-2")
			if got := a.events.last().Type; got != c.event || time.Since(start) != 0 {
				t.Errorf("%s: last event %s after %v, want %s at once", name, got, time.Since(start), c.event)
			}
			a.status(t, secret, c.session)
		})
	}
}

// TestLostTokensAreRevoked: no session keeps the refreshed tokens, because another
// process has refreshed too, or the session has ended in the meantime.
func TestLostTokensAreRevoked(t *testing.T) {
	revokes := func(err error) func(context.Context, session.Tokens) error {
		return func(_ context.Context, lost session.Tokens) error {
			if got := string(lost.Refresh.Reveal()); got != "refresh-2" {
				t.Errorf("revoked %s, want refresh-2", got)
			}
			return err
		}
	}
	for name, c := range map[string]struct {
		ended    bool
		revoke   func(context.Context, session.Tokens) error
		observer error
		status   int
		revoked  string
	}{
		"not kept":                  {false, revokes(nil), nil, 503, "true"},
		"not kept, not revoked":     {false, revokes(errDown), nil, 503, "false"},
		"not kept, no Revoke":       {false, nil, nil, 503, "false"},
		"signed out":                {true, revokes(nil), nil, 401, "true"},
		"signed out, not revoked":   {true, revokes(errDown), nil, 401, "false"},
		"signed out, no Revoke":     {true, nil, nil, 401, "false"},
		"signed out, observer down": {true, revokes(nil), errDown, 503, "true"},
	} {
		var a *app
		var p gatehouse.Principal
		a = newApp(t, session.Config{
			Revoke: c.revoke,
			Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
				if c.ended {
					return tokens(2, time.Hour), a.store.Store.Delete(t.Context(), p.Credential)
				}
				a.force(t, p.Credential, func(*session.Change) {})
				return tokens(2, time.Hour), nil
			},
		})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		p = a.principal(t, secret)
		a.events.err = c.observer
		a.token(t, secret, c.status, "")
		e := a.events.last()
		if e.Type != session.EventRefreshLost || e.Level != slog.LevelWarn || attr(e, session.AttrRevoked) != c.revoked ||
			(e.Cause == nil) != (c.revoked == "true") || e.Credential != p.Credential || e.Issuer != issuer || attr(e, session.AttrSubject) != "ada" {
			t.Errorf("%s: event %+v, want %s of ada, revoked: %s", name, e, session.EventRefreshLost, c.revoked)
		}
	}
}

// TestRefreshWithFailingStore: refreshed tokens are stored although the store fails
// for a while, and the refresh token is used once.
func TestRefreshWithFailingStore(t *testing.T) {
	swaps := func(from, to int) func(*app) {
		return func(a *app) {
			a.store.set(func(method string, call int) error {
				if method == "Swap" && call >= from && call < to {
					return errDown
				}
				return nil
			})
		}
	}
	// The response to each Swap after the claim.
	lose := func(a *app) {
		a.store.after = func(method string, call int) error {
			if method == "Swap" && call > 1 {
				return errDown
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		fail   func(*app)
		status int
		event  gatehouse.EventType
		calls  int // of the authorization server, after another request
		ended  bool
	}{
		"claim conflicts":   {func(a *app) { a.store.once("Swap", 1, session.ErrConflict) }, 200, session.EventRefreshed, 1, false},
		"fails for a while": {swaps(2, 6), 200, session.EventRefreshed, 1, false},
		"response is lost":  {lose, 200, session.EventRefreshed, 1, false},
		"response is lost, and the next read": {func(a *app) {
			lose(a)
			failed := false
			a.store.set(func(method string, _ int) error {
				if method != "Get" || failed || a.store.count("Swap") < 3 {
					return nil
				}
				failed = true
				return errDown
			})
		}, 200, session.EventRefreshed, 1, false},
		"fails until the claim expires": {swaps(2, 1000), 503, session.EventRefreshLost, 2, true},
		"claim fails":                   {swaps(1, 2), 503, session.EventStarted, 1, false},
		// Of the gate, of Tokens, of the refresh.
		"third read fails": {func(a *app) { a.store.once("Get", a.store.count("Get")+3, errDown) }, 503, session.EventStarted, 1, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := &issuerServer{}
			revoke := func(ctx context.Context, _ session.Tokens) error { return ctx.Err() }
			a := newApp(t, session.Config{Refresh: server.refresh, Revoke: revoke})
			secret := a.login(t, withTokens(person("ada"), 1, 0))
			id := a.principal(t, secret).Credential
			c.fail(a)
			start := time.Now()
			a.token(t, secret, c.status, "access-2")
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("%s: took %v, want the end before that of the claim", name, took)
			}
			got := a.events.last()
			if got.Type != c.event || got.Credential != id || c.event == session.EventRefreshLost && attr(got, session.AttrRevoked) != "true" {
				t.Errorf("%s: last event %+v, want %s of %s, and that lost tokens are revoked", name, got, c.event, id)
			}
			a.store.up()
			status := map[bool]int{false: 200, true: 401}[c.ended]
			a.token(t, secret, status, "access-2")
			server.check(t, c.calls, c.ended)
		})
	}
}

// TestRefreshFails: a Refresh that returns neither tokens nor an error or panics, and an
// observer that fails, yield no tokens. The claim is released.
func TestRefreshFails(t *testing.T) {
	for name, test := range map[string]struct {
		refresh  func() session.Tokens
		observer gatehouse.EventType
	}{
		"nothing":  {func() session.Tokens { return session.Tokens{Refresh: gatehouse.NewSecret([]byte("refresh-2"))} }, ""},
		"panic":    {func() session.Tokens { panic("no refresh") }, ""},
		"observer": {func() session.Tokens { return tokens(2, time.Hour) }, session.EventRefreshed},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) { return test.refresh(), nil }})
			secret := a.login(t, withTokens(person("ada"), 1, 20*time.Second))
			if test.observer != "" {
				a.events.fails(test.observer)
			}
			time.Sleep(16 * time.Second) // due, and still valid
			status := map[bool]int{true: 200, false: 503}[name == "nothing"]
			a.token(t, secret, status, "access-1")
			r := must(a.store.Get(t.Context(), a.principal(t, secret).Credential))
			if name != "panic" && !r.Claimed.IsZero() {
				t.Errorf("%s: the claim lasts until %v, want the next request to refresh", name, r.Claimed)
			}
			a.token(t, a.login(t, withTokens(person("ada"), 1, 0)), 503, "")
			a.status(t, secret, 200)
		})
	}
}

// TestChangesDuringRefresh: a session that ends stays ended, and one that is renewed
// keeps its new principal and the new tokens.
func TestChangesDuringRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := refreshing(t, &issuerServer{delay: time.Second})
		go a.token(t, secret, 401, "")
		synctest.Wait()
		must(a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada"}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		a.status(t, secret, 401)

		server := &issuerServer{delay: time.Second}
		a, secret = refreshing(t, server)
		go a.token(t, secret, 200, "access-2")
		synctest.Wait()
		secret = cookieOf(t, a.do(http.MethodPost, "/admin", with(secret)).Header())
		a.token(t, secret, 200, "access-2")
		if !a.principal(t, secret).Roles.Has("admin") {
			t.Error("the renewed session has lost the role")
		}
		server.check(t, 1, false)
	})
}

// TestScopesAreNarrowed: the principal loses the scopes that the new tokens do not
// have any more, and keeps those that the application granted.
func TestScopesAreNarrowed(t *testing.T) {
	scopes := func(text string) gatehouse.Scopes { return must(gatehouse.ParseScopes(text)) }
	var granted gatehouse.Scopes
	lost := ""
	a := newApp(t, session.Config{
		Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
			renewed := tokens(2, time.Hour)
			renewed.Scopes = granted
			return renewed, nil
		},
		Revoke: func(_ context.Context, t session.Tokens) error { lost += string(t.Refresh.Reveal()) + " "; return nil },
	})
	login := func() string {
		l := withTokens(person("ada"), 1, 0)
		l.Principal.Scopes, l.Tokens.Scopes = scopes("notes:read notes:write admin"), scopes("openid notes:read notes:write")
		return a.login(t, l)
	}
	for text, want := range map[string]string{
		"openid notes:read notes:write":       "notes:read notes:write admin",
		"openid notes:read":                   "notes:read admin",
		"":                                    "admin",
		"openid notes:read notes:write admin": "notes:read notes:write admin",
	} {
		granted = scopes(text)
		secret := login()
		data := session.Data[int]{Sessions: a.Manager, Name: "step"}
		succeeds(t, data.Set(a.inside(t, secret), 7))
		before := a.principal(t, secret)
		a.token(t, secret, 200, "access-2")
		if step, err := data.Get(a.inside(t, secret)); step != 7 || err != nil {
			t.Errorf("granted %q: the data are %d, %v, want 7", text, step, err)
		}
		after := a.principal(t, secret)
		if r := must(a.store.Get(t.Context(), after.Credential)); strings.Contains(r.Principal, after.Credential) {
			t.Errorf("granted %q: the stored principal has the ID: %s", text, r.Principal)
		}
		if before.Scopes = scopes(want); after != before {
			t.Errorf("granted %q: principal = %+v, want %+v", text, after, before)
		}
	}
	// A malformed principal is not stored again with other scopes.
	granted = gatehouse.Scopes{}
	for _, text := range []string{"{", `{"principal":{"scope":"a  b","claims":{}}}`} {
		p := a.principal(t, login())
		a.force(t, p.Credential, func(c *session.Change) { c.Principal = text })
		if got, err := a.Tokens(gatehouse.NewContext(t.Context(), p)); !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "stored principal") {
			t.Errorf("Tokens with the principal %q = %v, %v, want an error about it", text, got, errors.Unwrap(err))
		}
		if record, err := a.store.Get(t.Context(), p.Credential); err != nil || record.Principal != text {
			t.Errorf("the principal %q became %q, %v", text, record.Principal, err)
		}
	}
	if lost != "refresh-2 refresh-2 " {
		t.Errorf("revoked %s, want the refreshed tokens of the two sessions", lost)
	}
}

// TestTokensDoNotOpen: sealed tokens of another session, malformed ones, and ones
// whose key is missing.
func TestTokensDoNotOpen(t *testing.T) {
	keys := ring()
	a := newApp(t, session.Config{Keys: keys})
	mine, theirs := a.login(t, withTokens(person("ada"), 1, time.Hour)), a.login(t, withTokens(person("grace"), 2, time.Hour))
	id := a.principal(t, mine).Credential
	from := must(a.store.Get(t.Context(), a.principal(t, theirs).Credential))
	a.force(t, id, func(c *session.Change) { c.Tokens = from.Tokens })
	a.token(t, mine, 401, "")
	if cause := a.lastRefused().Cause; !errors.Is(cause, cookie.ErrSeal) {
		t.Errorf("tokens of another session: cause %v, want %v", cause, cookie.ErrSeal)
	}
	a.token(t, theirs, 200, "access-2")
	for _, text := range []string{"", "[]", `{"access":"YQ==","expires":"2999-01-01T00:00:00Z","received":"2000-01-01T00:00:00Z","scope":"a  b"}`} {
		a.force(t, id, func(c *session.Change) {
			c.Tokens = keys.Seal(id, "session tokens", []byte(text), time.Now().Add(time.Hour))
		})
		a.token(t, mine, 401, "")
		if cause := a.lastRefused().Cause; cause == nil || !strings.Contains(cause.Error(), "malformed") {
			t.Errorf("tokens %q: cause %v, want malformed", text, cause)
		}
	}
	m := must(session.New(session.Config{Store: a.store}))
	_, err := m.Tokens(gatehouse.NewContext(t.Context(), a.principal(t, theirs)))
	if expectError(t, "without keys", err, 401, session.ReasonNoTokens); !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "Config.Keys") {
		t.Errorf("Tokens without keys: cause = %v, want Config.Keys", errors.Unwrap(err))
	}
}

// TestCloseWaitsForRefresh: afterwards, no refresh begins.
func TestCloseWaitsForRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Second}
		a, secret := refreshing(t, server)
		done := make(chan struct{})
		go func() { a.token(t, secret, 200, "access-2"); close(done) }()
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		<-done
		secret = a.login(t, withTokens(person("ada"), 3, 0))
		before := a.store.count("Get")
		a.token(t, secret, 503, "")
		if gets := a.store.count("Get") - before; gets != 2 {
			t.Errorf("%d calls of Get, want 2: of the gate and of Tokens", gets)
		}
		a.status(t, secret, 200)
		server.check(t, 1, false)
	})
}
