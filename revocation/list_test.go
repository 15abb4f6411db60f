// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

func newList(t testing.TB, store revocation.Store) *revocation.List {
	t.Helper()
	l, err := revocation.New(revocation.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRevocationConfigMistakes(t *testing.T) {
	store := revocation.NewMemory(0)
	for _, lifetime := range []time.Duration{-1, 1, time.Second - 1, week + 1} {
		_, err := revocation.New(revocation.Config{MaxLifetime: lifetime})
		if n := strings.Count(fmt.Sprint(err), "jwtauth: RevocationConfig."); n != 2 {
			t.Errorf("%v: %v", lifetime, err)
		}
	}
	for _, lifetime := range []time.Duration{0, time.Second, week} {
		if _, err := revocation.New(revocation.Config{Store: store, MaxLifetime: lifetime}); err != nil {
			t.Error(err)
		}
	}
}

// What is revoked is refused, and nothing else.
func TestRevocationList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := map[string]string{
			"itself":        token(nil, nil),
			"of its second": token(nil, object{"jti": "token-2", "iat": time.Now().Unix()}),
			"subject":       token(nil, object{"sub": "bob", "jti": "token-3"}),
			"client":        token(nil, object{"client_id": "phone", "jti": "token-4"}),
			"family":        token(nil, object{"sid": "f1", "jti": "token-5", "sub": "carol", "client_id": "tv"}),
			"other family":  token(nil, object{"sid": "f2", "jti": "f1", "sub": "carol", "client_id": "tv"}),
		}
		all := func(l *revocation.List, issuer, name string) error {
			switch name {
			case "jti":
				return l.RevokeToken(t.Context(), issuer, "token-1", time.Now().Add(5*time.Minute))
			case "sub":
				return l.RevokeSubject(t.Context(), issuer, "bob")
			case "client_id":
				return l.RevokeClient(t.Context(), issuer, "phone")
			case "sid":
				return l.RevokeFamily(t.Context(), issuer, "f1")
			}
			return nil
		}
		for name, want := range map[string]string{"": "", "jti": "itself", "sub": "subject", "client_id": "client", "sid": "family"} {
			for _, issuer := range []string{issuerURL, "https://other.example.com"} {
				l := newList(t, revocation.NewMemory(0))
				a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = l }))
				for what, text := range tokens {
					if got := reason(t, a, text); got != "" {
						t.Fatalf("%s before anything was revoked: %q", what, got)
					}
				}
				if err := all(l, issuer, name); err != nil {
					t.Fatal(err)
				}
				for what, text := range tokens {
					if got := reason(t, a, text); (got == gatehouse.ReasonTokenRevoked) != (what == want && issuer == issuerURL) {
						t.Errorf("revoked by %q of %s: %s is %q", name, issuer, what, got)
					}
				}
			}
		}
	})
}

// A revocation by subject or client is of what was issued up to now. What was
// issued in the same second counts, and so does what does not say when it was.
func TestRevocationSecond(t *testing.T) {
	for name, revoke := range map[string]func(*revocation.List, context.Context) error{
		"subject": func(l *revocation.List, ctx context.Context) error {
			return l.RevokeSubject(ctx, issuerURL, "alice")
		},
		"client": func(l *revocation.List, ctx context.Context) error {
			return l.RevokeClient(ctx, issuerURL, "web")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newList(t, revocation.NewMemory(0))
				strictly := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = l }))
				loosely := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations, c.Issuers[0].Profile = l, jwtauth.Compatible }))
				second := func() int64 { return time.Now().Unix() }

				pass(300 * time.Millisecond)
				before := token(nil, object{"iat": second() - 1})
				same := token(nil, object{"iat": second()})
				fraction := token(nil, object{"iat": float64(second()) + 0.9})
				never := token(nil, object{"iat": nil})
				if err := revoke(l, t.Context()); err != nil {
					t.Fatal(err)
				}
				pass(200 * time.Millisecond)
				later := token(nil, object{"iat": second()})
				pass(500 * time.Millisecond)
				next := token(nil, object{"iat": second()})
				for what, text := range map[string]string{"before": before, "in the same second": same, "a moment before, by its fraction": fraction, "in the same second, afterwards": later} {
					if got := reason(t, strictly, text); got != gatehouse.ReasonTokenRevoked {
						t.Errorf("issued %s: %q", what, got)
					}
				}
				if got := reason(t, strictly, next); got != "" {
					t.Errorf("issued in the next second: %q", got)
				}
				if got := reason(t, loosely, never); got != gatehouse.ReasonTokenRevoked {
					t.Errorf("issued nobody knows when: %q", got)
				}
				// The newest revocation counts.
				if err := revoke(l, t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := reason(t, strictly, next); got != gatehouse.ReasonTokenRevoked {
					t.Errorf("issued before the second revocation: %q", got)
				}
			})
		})
	}
}

// What is revoked stays so for as long as anybody would accept it: with clocks
// as far apart as they may be.
func TestRevocationIsKept(t *testing.T) {
	const minute = time.Minute
	for name, revoke := range map[string]func(*revocation.List, context.Context, time.Time) error{
		"token": func(l *revocation.List, ctx context.Context, exp time.Time) error {
			return l.RevokeToken(ctx, issuerURL, "token-1", exp)
		},
		"family": func(l *revocation.List, ctx context.Context, _ time.Time) error {
			return l.RevokeFamily(ctx, issuerURL, "f1")
		},
		"subject": func(l *revocation.List, ctx context.Context, _ time.Time) error {
			return l.RevokeSubject(ctx, issuerURL, "alice")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pass(time.Second / 2)
				l := newList(t, revocation.NewMemory(0))
				a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations, c.Skew = l, 5*minute }))
				expires := time.Now().Add(15 * minute)
				text := token(nil, object{"sid": "f1", "iat": time.Now().Unix(), "exp": expires.Unix()})
				if err := revoke(l, t.Context(), expires); err != nil {
					t.Fatal(err)
				}
				for range 21 {
					if got := reason(t, a, text); got != gatehouse.ReasonTokenRevoked && got != gatehouse.ReasonTokenExpired {
						t.Fatalf("after %v: %q", time.Until(expires), got)
					}
					pass(minute)
				}
				if got := reason(t, a, text); got != gatehouse.ReasonTokenExpired {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// lifetimes remembers for how long it was to keep things.
type lifetimes struct {
	revocation.Store
	kept  []time.Duration
	times []time.Time // what Find answers, if it is not nil
	err   error
}

func (l *lifetimes) Revoke(_ context.Context, _ revocation.Target, lifetime time.Duration) error {
	l.kept = append(l.kept, lifetime)
	return l.err
}

func (l *lifetimes) Find(context.Context, []revocation.Target) ([]time.Time, error) {
	return l.times, l.err
}

func TestRevocationLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lifetimes{}
		l := must(revocation.New(revocation.Config{Store: store, MaxLifetime: time.Hour}))
		now := time.Now()
		for _, expires := range []time.Time{now.Add(time.Minute), now, now.Add(-10*time.Minute + 1), now.Add(-10 * time.Minute), now.Add(week), now.Add(100 * week)} {
			if err := l.RevokeToken(t.Context(), issuerURL, "a", expires); err != nil {
				t.Error(err)
			}
		}
		if err := l.RevokeToken(t.Context(), issuerURL, "a", time.Time{}); err == nil {
			t.Error("a token of which nobody says when it ends is revoked for no time at all")
		}
		for _, err := range []error{
			l.RevokeSubject(t.Context(), issuerURL, "a"), l.RevokeClient(t.Context(), issuerURL, "a"), l.RevokeFamily(t.Context(), issuerURL, "a"),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		const margin = 10 * time.Minute
		want := []time.Duration{time.Minute + margin, margin, 1, week + margin, 100*week + margin, time.Hour + margin, time.Hour + margin, time.Hour + margin}
		if fmt.Sprint(store.kept) != fmt.Sprint(want) {
			t.Errorf("kept for %v, want %v", store.kept, want)
		}
	})
}

// What no token can be is not revoked in silence.
func TestRevocationOfNothing(t *testing.T) {
	store := &lifetimes{}
	l := newList(t, store)
	for _, value := range []string{"", "a\nb", strings.Repeat("x", 256), "\xff\x00"} {
		for _, err := range []error{
			l.RevokeSubject(t.Context(), issuerURL, value), l.RevokeClient(t.Context(), issuerURL, value), l.RevokeFamily(t.Context(), issuerURL, value),
			l.RevokeToken(t.Context(), issuerURL, value, time.Now().Add(time.Hour)), l.RevokeSubject(t.Context(), "", "a"),
		} {
			if err == nil {
				t.Errorf("%.10q was revoked", value)
			}
		}
	}
	if len(store.kept) > 0 {
		t.Error("something was kept")
	}
}

// Where it cannot be told whether a token is revoked, it is not good.
func TestRevocationStoreDown(t *testing.T) {
	for name, store := range map[string]*lifetimes{
		"down": {err: errDown}, "no answer": {}, "too few answers": {times: make([]time.Time, 2)}, "too many": {times: make([]time.Time, 4)},
	} {
		a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = newList(t, store) }))
		if got := reason(t, a, token(nil, nil)); got != gatehouse.ReasonRevocationsUnavailable {
			t.Errorf("%s: %q", name, got)
		}
	}
	l := newList(t, &lifetimes{err: errDown})
	if err := l.RevokeSubject(t.Context(), issuerURL, "a"); !errors.Is(err, errDown) {
		t.Error(err)
	}
}

// A token is revoked by what its issuer calls its subject and its client,
// whatever an application makes of them.
func TestRevocationOfMapped(t *testing.T) {
	l := newList(t, revocation.NewMemory(0))
	a := newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.Revocations = l
		c.Issuers[0].Profile = jwtauth.Compatible
		c.Issuers[0].Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
			p.Subject, p.Client = "mail:"+p.Subject, "app:"+p.Client
			return p, nil
		}
	}))
	texts := []string{token(nil, object{"jti": "1"}), token(nil, object{"jti": "2", "sub": "bob", "client_id": nil, "azp": "phone"})}
	for _, text := range texts {
		if got := reason(t, a, text); got != "" {
			t.Fatalf("%q", got)
		}
	}
	for _, err := range []error{l.RevokeSubject(t.Context(), issuerURL, "alice"), l.RevokeClient(t.Context(), issuerURL, "phone")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range texts {
		if got := reason(t, a, text); got != gatehouse.ReasonTokenRevoked {
			t.Errorf("%q", got)
		}
	}
}

// A token that was issued by a clock that is ahead can be revoked by its jti and
// by its family all the same.
func TestRevocationOfTheFuture(t *testing.T) {
	l := newList(t, revocation.NewMemory(0))
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = l }))
	ahead := time.Now().Add(20 * time.Second).Unix()
	byID, byFamily := token(nil, object{"iat": ahead}), token(nil, object{"iat": ahead, "jti": "2", "sid": "f1"})
	for _, err := range []error{l.RevokeToken(t.Context(), issuerURL, "token-1", time.Now().Add(time.Minute)), l.RevokeFamily(t.Context(), issuerURL, "f1")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{byID, byFamily} {
		if got := reason(t, a, text); got != gatehouse.ReasonTokenRevoked {
			t.Errorf("%q", got)
		}
	}
}

// The family of a token is its sid, and only the signer sets it.
func TestFamilyClaim(t *testing.T) {
	s := newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: newRing(t, signingKey("k1", jwtauth.ES256))})
	good := goodToken()
	good.Family = "f1"
	signed := must(s.Sign(good))
	a := newAuthenticator(t, config())
	p := must(a.Verify(t.Context(), string(signed.Token.Reveal())))
	var claims struct {
		SID string `json:"sid"`
	}
	if err := p.Claims.Decode(&claims); err != nil || claims.SID != "f1" {
		t.Errorf("%+v, %v", claims, err)
	}
	for _, bad := range []func(*jwtauth.AccessToken){
		func(a *jwtauth.AccessToken) { a.Family = "a\nb" },
		func(a *jwtauth.AccessToken) { a.Family = strings.Repeat("x", 256) },
		func(a *jwtauth.AccessToken) { a.Claims = map[string]any{"sid": "f2"} },
		func(a *jwtauth.AccessToken) { a.Claims = map[string]any{"SID": "f2"} },
	} {
		token := goodToken()
		bad(&token)
		if _, err := s.Sign(token); err == nil {
			t.Errorf("signed: %+v", token)
		}
	}
	for _, sid := range []any{1, "", []string{"f1"}, "a\u0000b", true, strings.Repeat("x", 256)} {
		if got := reason(t, a, token(nil, object{"sid": sid})); got != gatehouse.ReasonTokenClaims {
			t.Errorf("sid %v: %q", sid, got)
		}
	}
	if got := reason(t, a, token(nil, object{"Sid": "f1"})); got != gatehouse.ReasonTokenClaims {
		t.Errorf("Sid: %q", got)
	}
}

// A full store takes all subjects with it rather than none.
func TestMemoryRevocationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := revocation.NewMemory(3)
		l := newList(t, store)
		a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = l }))
		revoke := func(subject string) {
			t.Helper()
			if err := l.RevokeSubject(t.Context(), issuerURL, subject); err != nil {
				t.Fatal(err)
			}
		}
		alice := token(nil, nil)
		for _, subject := range []string{"a", "b", "c", "a", "b"} {
			revoke(subject)
		}
		if got := reason(t, a, alice); got != "" {
			t.Fatalf("revoked by others: %q", got)
		}
		if err := l.RevokeToken(t.Context(), issuerURL, "some token", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := reason(t, a, alice); got != gatehouse.ReasonTokenRevoked {
			t.Errorf("the store is full: %q", got)
		}
		pass(time.Second)
		if got := reason(t, a, token(nil, nil)); got != "" {
			t.Errorf("issued afterwards: %q", got)
		}
		// When the first ones are over there is room again.
		pass(25 * time.Minute)
		revoke("d")
		revoke("e")
		revoke("f")
		pass(time.Second)
		if got := reason(t, a, token(nil, nil)); got != "" {
			t.Errorf("when there was room again: %q", got)
		}
		if got := reason(t, a, token(nil, object{"sub": "d", "iat": time.Now().Unix() - 1})); got != gatehouse.ReasonTokenRevoked {
			t.Errorf("what was revoked then: %q", got)
		}
		if times := must(store.Find(t.Context(), []revocation.Target{{Kind: revocation.Subject, Issuer: issuerURL, Value: "a"}})); !times[0].IsZero() {
			t.Errorf("what is over: %v", times)
		}
	})
}

// What a full store knows it can be told again.
func TestMemoryRevocationsWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newList(t, revocation.NewMemory(1))
		a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = l }))
		for _, subject := range []string{"alice", "bob"} {
			if err := l.RevokeSubject(t.Context(), issuerURL, subject); err != nil {
				t.Fatal(err)
			}
		}
		pass(2 * time.Second)
		text := token(nil, nil)
		if got := reason(t, a, text); got != "" {
			t.Fatalf("issued afterwards: %q", got)
		}
		if err := l.RevokeSubject(t.Context(), issuerURL, "alice"); err != nil {
			t.Fatal(err)
		}
		if got := reason(t, a, text); got != gatehouse.ReasonTokenRevoked {
			t.Errorf("revoked again: %q", got)
		}
	})
}

// A full store of families forgets those whose time is over, and nothing else.
func TestMemoryFamiliesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := refresh.NewMemory(3)
		create := func(id string, lifetime time.Duration) error {
			_, err := m.Create(t.Context(), refresh.Record{Family: refresh.Family{ID: id}}, lifetime)
			return err
		}
		if err := errors.Join(create("a", time.Hour), create("b", 2*time.Hour), create("c", 2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := create("d", time.Hour); err == nil {
			t.Error("a full store takes another one")
		}
		if _, err := m.End(t.Context(), "c"); err != nil {
			t.Error(err)
		}
		pass(time.Hour - 1)
		if err := create("d", time.Hour); err == nil {
			t.Error("a full store takes another one")
		}
		pass(1)
		if err := create("d", time.Hour); err != nil {
			t.Error(err)
		}
		for id, want := range map[string]error{"a": refresh.ErrNotFound, "b": nil, "c": nil, "d": nil} {
			if _, err := m.Find(t.Context(), id); err != want {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}
