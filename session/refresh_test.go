// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"fmt"
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

// issuerServer renews tokens, and ends the login when a refresh token is used
// twice. Tests of the real thing are in the module interop.
type issuerServer struct {
	mu    sync.Mutex
	calls int
	used  map[string]bool
	ended bool
	delay time.Duration
	life  time.Duration // an hour if zero
	err   error         // in place of an answer
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

func (s *issuerServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *issuerServer) check(t *testing.T, calls int, ended bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls != calls || s.ended != ended {
		t.Errorf("%d calls, login ended: %v; want %d, %v", s.calls, s.ended, calls, ended)
	}
}

func (a *app) token(t *testing.T, secret string, status int, want string) {
	t.Helper()
	w := a.do(http.MethodGet, "/token", with(secret))
	if w.Code != status || status == 200 && w.Body.String() != want {
		t.Errorf("%d %s, want %d %s", w.Code, w.Body, status, want)
	}
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Refresh: server.refresh, Idle: 12 * time.Hour})
		secret := a.login(t, withTokens(person("ada"), 1, time.Hour))
		a.token(t, secret, 200, "access-1")
		time.Sleep(time.Hour - 30*time.Second - time.Nanosecond)
		a.token(t, secret, 200, "access-1")
		server.check(t, 0, false)
		time.Sleep(time.Nanosecond) // half a minute before its end
		a.token(t, secret, 200, "access-2")
		a.token(t, secret, 200, "access-2")
		server.check(t, 1, false)
		time.Sleep(5 * time.Hour)
		a.token(t, secret, 200, "access-3")
		server.check(t, 2, false)
		want := []gatehouse.EventType{session.EventStarted, session.EventRefreshed, session.EventRefreshed}
		if got := fmt.Sprint(a.events.types()); got != fmt.Sprint(want) {
			t.Errorf("events %v", got)
		}
		if said := dump(t, a, "ada"); strings.Contains(said, "access-") || strings.Contains(said, "refresh-") || strings.Contains(said, secret) ||
			!strings.Contains(said, "sid-ada") {
			t.Errorf("the store and the events tell:\n%s", said)
		}
	})
}

func TestShortTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{life: 8 * time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 8*time.Second))
		time.Sleep(6*time.Second - time.Nanosecond)
		a.token(t, secret, 200, "access-1")
		time.Sleep(time.Nanosecond)
		a.token(t, secret, 200, "access-2")
	})
}

func TestNoTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Refresh: server.refresh})
		a.token(t, a.login(t, person("ada")), 401, "")
		if e := a.refused[0]; e.Reason != session.ReasonNoTokens || !strings.Contains(e.Cause.Error(), "has no tokens") {
			t.Errorf("%+v", e)
		}
		l := withTokens(person("ada"), 1, time.Minute)
		l.Tokens.Refresh = gatehouse.Secret{}
		secret := a.login(t, l)
		time.Sleep(time.Minute - time.Nanosecond)
		a.token(t, secret, 200, "access-1") // due, and good as long as it is good
		time.Sleep(time.Nanosecond)
		a.token(t, secret, 401, "")
		if w := a.do(http.MethodGet, "/token", with(secret), navigation); w.Header().Get("Location") != "/login?return_to=%2Ftoken" {
			t.Errorf("a person is sent to %q", w.Header().Get("Location"))
		}
		a.status(t, secret, 200) // the session itself is good
		server.check(t, 0, false)

		none := newApp(t, session.Config{})
		none.token(t, none.login(t, withTokens(person("ada"), 1, -time.Second)), 401, "")
	})
}

func TestTokensOutside(t *testing.T) {
	a := newApp(t, session.Config{})
	if _, err := a.Tokens(t.Context()); err == nil {
		t.Error("tokens of nobody")
	}
	key := gatehouse.Principal{Subject: "ci", Issuer: "keys", Method: "api_key", Credential: "1"}
	_, err := a.Tokens(gatehouse.NewContext(t.Context(), key))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != 403 {
		t.Errorf("of an API key: %v", err)
	}
}

// However many requests ask, in however many processes, the refresh token is
// used once, and nobody is logged out.
func TestOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Second}
		store := session.NewMemory(0)
		apps := []*app{
			newApp(t, session.Config{Store: store, Refresh: server.refresh}),
			newApp(t, session.Config{Store: store, Refresh: server.refresh}),
			newApp(t, session.Config{Store: store, Refresh: server.refresh}),
		}
		secret := apps[0].login(t, withTokens(person("ada"), 1, 0))
		var group sync.WaitGroup
		for i := range 60 {
			group.Go(func() { apps[i%3].token(t, secret, 200, "access-2") })
		}
		group.Wait()
		server.check(t, 1, false)
	})
}

// A renewal is of everybody who waits for it, not of the request that happened
// to be first.
func TestFirstCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		ctx, cancel := context.WithCancel(gatehouse.NewContext(t.Context(), a.principal(t, secret)))
		left := make(chan error)
		go func() { _, err := a.Tokens(ctx); left <- err }()
		synctest.Wait()
		go a.token(t, secret, 200, "access-2")
		synctest.Wait()
		cancel()
		err := <-left
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != 503 || !errors.Is(err, context.Canceled) {
			t.Errorf("the one who left: %v", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		server.check(t, 1, false)
	})
}

// While the authorization server is down, the token is used to its end.
func TestServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{err: errors.New("connection refused")}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 20*time.Second))
		time.Sleep(16 * time.Second)
		a.token(t, secret, 200, "access-1")
		server.check(t, 1, false)
		time.Sleep(4 * time.Second)
		a.token(t, secret, 503, "")
		if e := a.refused[len(a.refused)-1]; e.Reason != session.ReasonRefreshUnavailable || e.Cause == nil {
			t.Errorf("%+v", e)
		}
		server.check(t, 2, false)
		// As soon as it is there again, without waiting for a claim.
		server.set(func() { server.err = nil })
		a.token(t, secret, 200, "access-2")
		a.status(t, secret, 200)
	})
}

// A server that hangs is given up before the claim ends.
func TestServerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Hour}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		start := time.Now()
		a.token(t, secret, 503, "")
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Nobody waits for long for a token that they do not need yet.
func TestServerIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: 5 * time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 20*time.Second))
		time.Sleep(16 * time.Second)
		start := time.Now()
		a.token(t, secret, 200, "access-1")
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(2 * time.Second) // a second before the end it is worth waiting
		a.token(t, secret, 200, "access-2")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("the renewal took %v", took)
		}
		server.check(t, 1, false)
	})
}

// The server has ended the login: so ends the session, for everybody.
func TestSignedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{ended: true}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		a.token(t, secret, 401, "")
		if e := a.refused[0]; e.Reason != session.ReasonSignedOut || !errors.Is(e.Cause, session.ErrSignedOut) {
			t.Errorf("%+v", e)
		}
		a.status(t, secret, 401)
		if e := a.events.last(); e.Type != session.EventSignedOut || attr(e, session.AttrSubject) != "ada" {
			t.Errorf("%+v", e)
		}
		// It cannot be ended now: it is neither good nor is the person told so.
		secret = a.login(t, withTokens(person("ada"), 1, 0))
		a.store.down("Delete")
		a.token(t, secret, 503, "")
		a.store.up()
		a.events.err = errors.New("the audit trail is full")
		a.token(t, secret, 503, "")
	})
}

// claim does to a session what a process does that dies in the middle of a
// renewal.
func (a *app) claim(t *testing.T, id string, d time.Duration) session.Record {
	t.Helper()
	r, err := a.store.Store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	r, err = a.store.Store.Swap(t.Context(), id, r.Version, session.Change{ID: id, Principal: r.Principal, Tokens: r.Tokens, Claim: d})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestProcessDies(t *testing.T) {
	for name, used := range map[string]bool{"before the call": false, "after the call": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &issuerServer{used: map[string]bool{"refresh-1": used}}
				a := newApp(t, session.Config{Refresh: server.refresh})
				secret := a.login(t, withTokens(person("ada"), 1, 0))
				id := a.principal(t, secret).Credential
				a.claim(t, id, 16*time.Second)
				a.status(t, secret, 200) // the session itself goes on
				start := time.Now()
				status := 200
				if used {
					status = 401 // at most this one has to log in again
				}
				a.token(t, secret, status, "access-2")
				if waited := time.Since(start); waited != 16*time.Second {
					t.Errorf("waited %v", waited)
				}
				server.check(t, 1, used)
			})
		})
	}
}

// Another process was so slow that its claim was over, and it was the one that
// renewed: what it has stored is good, whatever the server says to us.
func TestLostClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var other *app
		var id, secret string
		good := func(context.Context, session.Tokens) (session.Tokens, error) { return tokens(2, time.Hour), nil }
		a := newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
			other.swap(t, id)
			if _, err := other.Tokens(gatehouse.NewContext(t.Context(), other.principal(t, secret))); err != nil {
				t.Error(err)
			}
			return session.Tokens{}, session.ErrSignedOut
		}})
		other = newApp(t, session.Config{Store: a.store.Store, Refresh: good})
		secret = a.login(t, withTokens(person("ada"), 1, 0))
		id = a.principal(t, secret).Credential
		a.token(t, secret, 200, "access-2")
		a.status(t, secret, 200)
	})
}

// swap changes a session by force, as a process does whose claim has run out.
func (a *app) swap(t *testing.T, id string) {
	t.Helper()
	r, err := a.store.Store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Store.Swap(t.Context(), id, r.Version, session.Change{ID: id, Principal: r.Principal, Tokens: r.Tokens}); err != nil {
		t.Fatal(err)
	}
}

// The record has moved, but its tokens are not good either.
func TestLostClaimAndTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a *app
		var id string
		a = newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
			a.swap(t, id)
			return session.Tokens{}, session.ErrSignedOut
		}})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		id = a.principal(t, secret).Credential
		a.token(t, secret, 401, "")
		a.status(t, secret, 401)
	})
}

// Somebody else has changed the session in spite of the claim: what they have
// stored stays, and the operator is told at once.
func TestClaimIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a *app
		var id string
		a = newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
			a.swap(t, id)
			return tokens(2, time.Hour), nil
		}})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		id = a.principal(t, secret).Credential
		start := time.Now()
		a.token(t, secret, 503, "")
		if e := a.events.last(); e.Type != session.EventRefreshLost || time.Since(start) != 0 {
			t.Errorf("%+v after %v", e, time.Since(start))
		}
	})
}

// Two processes claim at the same moment: who comes second looks again.
func TestClaimConflict(t *testing.T) {
	server := &issuerServer{}
	a := newApp(t, session.Config{Refresh: server.refresh})
	secret := a.login(t, withTokens(person("ada"), 1, 0))
	a.store.fail = func(method string, call int) error {
		if method == "Swap" && call == 1 {
			return session.ErrConflict
		}
		return nil
	}
	a.token(t, secret, 200, "access-2")
	server.check(t, 1, false)
}

// Whether the session has moved cannot be told: then it is not ended.
func TestSignedOutStoreDown(t *testing.T) {
	var a *app
	a = newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
		a.store.down("Get")
		return session.Tokens{}, session.ErrSignedOut
	}})
	secret := a.login(t, withTokens(person("ada"), 1, 0))
	a.token(t, secret, 503, "")
	a.store.up()
	a.status(t, secret, 200)
}

// A Refresh that returns nothing at all has not renewed anything.
func TestRefreshReturnsNothing(t *testing.T) {
	a := newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
		return session.Tokens{}, nil
	}})
	secret := a.login(t, withTokens(person("ada"), 1, 20*time.Second))
	a.token(t, secret, 200, "access-1")
	secret = a.login(t, withTokens(person("ada"), 1, 0))
	a.token(t, secret, 503, "")
	a.status(t, secret, 200)
}

// What the server has given is stored, though the store hesitates.
func TestStoreHesitates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		a.store.fail = func(method string, call int) error {
			if method == "Swap" && call > 1 && call < 6 {
				return errDown
			}
			return nil
		}
		a.token(t, secret, 200, "access-2")
		a.store.up()
		a.token(t, secret, 200, "access-2")
		server.check(t, 1, false)
	})
}

// lost is a store that does what it is told and says that it could not tell.
type lost struct{ *session.Memory }

func (l lost) Swap(ctx context.Context, id string, version int64, c session.Change) (session.Record, error) {
	r, err := l.Memory.Swap(ctx, id, version, c)
	if err == nil && c.Claim == 0 {
		return session.Record{}, errDown
	}
	return r, err
}

// The answer is lost, and whether it was our own change cannot be told at first.
func TestAnswerIsLostAndStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Store: lost{session.NewMemory(0)}, Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		failed := false
		a.store.fail = func(method string, _ int) error {
			if method == "Get" && !failed && a.store.calls["Swap"] >= 3 {
				failed = true
				return errDown
			}
			return nil
		}
		a.token(t, secret, 200, "access-2")
		if !failed {
			t.Error("nobody has asked")
		}
		server.check(t, 1, false)
	})
}

func TestAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Store: lost{session.NewMemory(0)}, Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		a.token(t, secret, 200, "access-2")
		server.check(t, 1, false)
	})
}

// The store is gone for longer than the claim lasts: the person is told, and so
// is the operator.
func TestRefreshLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		a.store.fail = func(method string, call int) error {
			if method == "Swap" && call > 1 {
				return errDown
			}
			return nil
		}
		a.token(t, secret, 503, "")
		if e := a.events.last(); e.Type != session.EventRefreshLost {
			t.Errorf("%+v", e)
		}
		a.store.up()
		a.token(t, secret, 401, "")
		server.check(t, 2, true)
	})
}

func TestRefreshStoreDown(t *testing.T) {
	server := &issuerServer{}
	a := newApp(t, session.Config{Refresh: server.refresh})
	secret := a.login(t, withTokens(person("ada"), 1, 0))
	p := a.principal(t, secret)
	for _, method := range []string{"Get", "Swap"} {
		a.store.down(method)
		_, err := a.Tokens(gatehouse.NewContext(t.Context(), p))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != 503 {
			t.Errorf("%s: %v", method, err)
		}
		a.store.up()
	}
	// The gate asks once, and Tokens; then whoever is about to renew.
	asked := a.store.count("Get")
	a.store.fail = func(method string, call int) error {
		if method == "Get" && call == asked+3 {
			return errDown
		}
		return nil
	}
	a.token(t, secret, 503, "")
	a.store.up()
	server.check(t, 0, false)
	a.token(t, secret, 200, "access-2")
}

// The session was ended while its tokens were renewed.
func TestEndedDuringRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		go a.token(t, secret, 401, "")
		synctest.Wait()
		if _, err := a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		a.status(t, secret, 401)
	})
}

// Rights that grow while the tokens are renewed: both hold afterwards.
func TestRenewDuringRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		go a.token(t, secret, 200, "access-2")
		synctest.Wait()
		secret = cookieOf(t, a.do(http.MethodPost, "/admin", with(secret)).Header())
		a.token(t, secret, 200, "access-2")
		if !a.principal(t, secret).Roles.Has("admin") {
			t.Error("the role is lost")
		}
		server.check(t, 1, false)
	})
}

// The tokens of one session do not open in another.
func TestMovedTokens(t *testing.T) {
	a := newApp(t, session.Config{})
	mine, theirs := a.login(t, withTokens(person("ada"), 1, time.Hour)), a.login(t, withTokens(person("grace"), 2, time.Hour))
	from, err := a.store.Get(t.Context(), a.principal(t, theirs).Credential)
	if err != nil {
		t.Fatal(err)
	}
	into, err := a.store.Get(t.Context(), a.principal(t, mine).Credential)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Swap(t.Context(), into.ID, into.Version, session.Change{ID: into.ID, Principal: into.Principal, Tokens: from.Tokens}); err != nil {
		t.Fatal(err)
	}
	a.token(t, mine, 401, "")
	if cause := a.refused[0].Cause; !errors.Is(cause, cookie.ErrSeal) {
		t.Errorf("cause %v", cause)
	}
	a.token(t, theirs, 200, "access-2")
}

// What is sealed well and makes no sense is refused like what is not.
func TestOddTokens(t *testing.T) {
	keys := ring(t)
	a := newApp(t, session.Config{Keys: keys})
	secret := a.login(t, withTokens(person("ada"), 1, time.Hour))
	id := a.principal(t, secret).Credential
	for n, text := range []string{"", "[]", `{"access":"YQ==","expires":"2999-01-01T00:00:00Z","received":"2000-01-01T00:00:00Z","scope":"a  b"}`} {
		want := []string{"malformed", "malformed", "malformed"}[n]
		sealed := keys.Seal(id, "session tokens", []byte(text), time.Now().Add(time.Hour))
		if _, err := a.store.Swap(t.Context(), id, int64(n+1), session.Change{ID: id, Principal: `{"claims":{}}`, Tokens: sealed}); err != nil {
			t.Fatal(err)
		}
		a.token(t, secret, 401, "")
		if cause := a.refused[n].Cause; cause == nil || !strings.Contains(cause.Error(), want) {
			t.Errorf("%q: cause %v", text, cause)
		}
	}
}

// A server that was given no keys has no way to the tokens of another one.
func TestTokensWithoutKeys(t *testing.T) {
	a := newApp(t, session.Config{})
	p := a.principal(t, a.login(t, withTokens(person("ada"), 1, time.Hour)))
	m, err := session.New(session.Config{Store: a.store})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if _, err := m.Tokens(gatehouse.NewContext(t.Context(), p)); err == nil || !strings.Contains(errors.Unwrap(err).Error(), "Config.Keys") {
		t.Errorf("%v", err)
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
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
		if asked := a.store.count("Get") - before; asked != 2 {
			t.Errorf("the store was asked %d times, by the gate and for the tokens that are there", asked)
		}
		a.status(t, secret, 200)
		server.check(t, 1, false)
	})
}
