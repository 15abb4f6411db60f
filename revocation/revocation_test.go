// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/revocation"
)

const (
	week   = 7 * 24 * time.Hour
	issuer = "https://auth.example.com"
	other  = "https://other.example.com"
)

var errDown = errors.New("store down")

func newList(store revocation.Store) *revocation.List {
	return must(revocation.New(revocation.Config{Store: store, Issuers: []string{issuer, other}}))
}

// alice returns a token of alice that is issued now.
func alice() jwtauth.Token {
	return jwtauth.Token{Issuer: issuer, ID: "token-1", Subject: "alice", Client: "web", Family: "f1", IssuedAt: time.Now().Truncate(time.Second)}
}

// check checks whether a token is revoked.
func check(t *testing.T, list *revocation.List, what string, token jwtauth.Token, want bool) {
	t.Helper()
	if got, err := list.Revoked(t.Context(), token); got != want || err != nil {
		t.Errorf("Revoked(%s) = %v, %v, want %v", what, got, err, want)
	}
}

// stub is a store that records lifetimes and returns fixed results.
type stub struct {
	lifetimes []time.Duration
	times     []time.Time
	err       error
}

func (s *stub) Revoke(_ context.Context, _ revocation.Target, lifetime time.Duration) error {
	s.lifetimes = append(s.lifetimes, lifetime)
	return s.err
}

func (s *stub) Find(context.Context, []revocation.Target) ([]time.Time, error) { return s.times, s.err }

var kinds = []revocation.Kind{revocation.Token, revocation.Subject, revocation.Client, revocation.Family}

// revoke calls the method for a kind of target. A token expires in 5 minutes.
func revoke(ctx context.Context, l *revocation.List, kind revocation.Kind, issuer, value string) error {
	switch kind {
	case revocation.Subject:
		return l.RevokeSubject(ctx, gatehouse.Key{Issuer: issuer, Subject: value})
	case revocation.Client:
		return l.RevokeClient(ctx, issuer, value)
	case revocation.Family:
		return l.RevokeFamily(ctx, gatehouse.Key{Issuer: issuer, Subject: "alice"}, value)
	}
	return l.RevokeToken(ctx, gatehouse.Key{Issuer: issuer, Subject: "alice"}, value, time.Now().Add(5*time.Minute))
}

func TestNewChecksConfig(t *testing.T) {
	for _, test := range []struct {
		lifetime time.Duration
		want     time.Duration // 0 for an error
	}{{-1, 0}, {1, 0}, {time.Second - 1, 0}, {week + 1, 0}, {0, 15 * time.Minute}, {time.Second, time.Second}, {week, week}} {
		list, err := revocation.New(revocation.Config{Store: revocation.NewMemory(0), Issuers: []string{issuer}, MaxLifetime: test.lifetime})
		if (err == nil) != (test.want > 0) || err == nil && list.MaxLifetime() != test.want {
			t.Errorf("New(MaxLifetime %v) error = %v, want MaxLifetime %v", test.lifetime, err, test.want)
		}
	}
	for _, store := range []revocation.Store{nil, (*revocation.Memory)(nil)} {
		_, err := revocation.New(revocation.Config{Store: store, MaxLifetime: -1, Issuers: []string{""}, Observer: gatehouse.ObserverFunc(nil)})
		if n := strings.Count(fmt.Sprint(err), "revocation: Config."); n != 4 {
			t.Errorf("New(Store %#v) reports %d of 4 mistakes: %v", store, n, err)
		}
	}
	if _, err := revocation.New(revocation.Config{Store: revocation.NewMemory(0)}); err == nil {
		t.Error("New without Issuers: got no error")
	}
}

// TestEvents: a memory store is visible at start, and each revocation is recorded,
// also if the caller has gone away.
func TestEvents(t *testing.T) {
	var events []string
	var fails error
	observer := gatehouse.ObserverFunc(func(ctx context.Context, e gatehouse.Event) error {
		events = append(events, fmt.Sprint(e.Type, " ", e.Level, " ", e.Issuer, " ", e.Attrs, " by ", e.Principal.Subject))
		return errors.Join(fails, ctx.Err())
	})
	config := revocation.Config{Store: revocation.NewMemory(0), Issuers: []string{issuer}, Observer: observer}
	must(revocation.New(config))
	ctx, cancel := context.WithCancel(gatehouse.NewContext(t.Context(), gatehouse.Principal{Method: "session", Subject: "admin"}))
	config.Store = &cancelingStore{config.Store, cancel}
	list := must(revocation.New(config))
	succeeds(t, list.RevokeSubject(ctx, gatehouse.Key{Issuer: issuer, Subject: "alice"}))
	want := []string{"revocation_memory_store WARN  [] by ", "revocation_revoked INFO " + issuer + " [claim=sub value=alice] by admin"}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	fails = errDown
	if err := list.RevokeSubject(t.Context(), gatehouse.Key{Issuer: issuer, Subject: "bob"}); !errors.Is(err, errDown) {
		t.Errorf("RevokeSubject error = %v, want that of the observer", err)
	}
	config.Store = revocation.NewMemory(0)
	if _, err := revocation.New(config); !errors.Is(err, errDown) {
		t.Errorf("New error = %v, want that of the observer", err)
	}
	events, config.MaxLifetime = nil, -1
	if _, err := revocation.New(config); err == nil || len(events) > 0 {
		t.Errorf("New(MaxLifetime -1) error = %v, events = %q, want an error and no event", err, events)
	}
}

// cancelingStore cancels the context of the caller after each revocation.
type cancelingStore struct {
	revocation.Store
	cancel func()
}

func (s *cancelingStore) Revoke(ctx context.Context, target revocation.Target, lifetime time.Duration) error {
	defer s.cancel()
	return s.Store.Revoke(ctx, target, lifetime)
}

// TestUnknownIssuer: an issuer that is misspelt or swapped with the subject is an
// error, for the revocation and for the question.
func TestUnknownIssuer(t *testing.T) {
	store, issuers := &stub{times: make([]time.Time, 4)}, []string{issuer}
	list := must(revocation.New(revocation.Config{Store: store, Issuers: issuers}))
	issuers[0] = "alice"
	for _, name := range []string{"", issuer + "/", "HTTPS://auth.example.com", "alice"} {
		for _, kind := range kinds {
			if err := revoke(t.Context(), list, kind, name, issuer); err == nil || !strings.Contains(err.Error(), "not in Config.Issuers") {
				t.Errorf("revoke by %s for issuer %q: error = %v, want one that names Config.Issuers", kind, name, err)
			}
		}
		token := alice()
		token.Issuer = name
		if revoked, err := list.Revoked(t.Context(), token); err == nil {
			t.Errorf("Revoked(issuer %q) = %t, nil, want an error", name, revoked)
		}
	}
	if len(store.lifetimes) > 0 {
		t.Errorf("the store was called %d times, want 0", len(store.lifetimes))
	}
}

// wrapped is a list as an application may wrap it.
type wrapped struct{ jwtauth.Revocations }

// TestWrappedListLimitsLifetime: a decorator has the MaxLifetime of its list.
func TestWrappedListLimitsLifetime(t *testing.T) {
	keys := must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}))
	for _, list := range []jwtauth.Revocations{newList(&stub{}), wrapped{newList(&stub{})}} {
		_, err := jwtauth.New(jwtauth.Config{Revocations: list, Issuers: []jwtauth.Issuer{{
			URL: issuer, Audiences: []string{"a"}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys, MaxLifetime: time.Hour,
		}}})
		if err == nil || !strings.Contains(err.Error(), "keeps revocations") {
			t.Errorf("New(%T, MaxLifetime above that of the list) error = %v, want one", list, err)
		}
	}
}

func TestRevokeMatchesOneClaim(t *testing.T) {
	tokens := map[revocation.Kind]jwtauth.Token{
		revocation.Token:   {Issuer: issuer, ID: "v", Subject: "s", Client: "c", Family: "f"},
		revocation.Subject: {Issuer: issuer, ID: "i", Subject: "v", Client: "c", Family: "f"},
		revocation.Client:  {Issuer: issuer, ID: "i", Subject: "s", Client: "v", Family: "f"},
		revocation.Family:  {Issuer: issuer, ID: "i", Subject: "s", Client: "c", Family: "v"},
		"another value":    {Issuer: issuer, ID: "i", Subject: "s", Client: "c", Family: "f"},
		"no value":         {Issuer: issuer},
		"another issuer":   {Issuer: other, ID: "v", Subject: "v", Client: "v", Family: "v"},
	}
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range kinds {
			list := newList(revocation.NewMemory(0))
			succeeds(t, revoke(t.Context(), list, kind, issuer, "v"))
			for other, token := range tokens {
				check(t, list, fmt.Sprintf("%s, after revocation by %s", other, kind), token, other == kind)
			}
		}
		list := newList(revocation.NewMemory(0))
		succeeds(t, revoke(t.Context(), list, revocation.Subject, issuer, "alice"))
		token := alice()
		check(t, list, "issued after revocation by sub", token, false)
		succeeds(t, revoke(t.Context(), list, revocation.Client, issuer, "web"))
		check(t, list, "issued after revocation by sub and before that by client_id", token, true)
	})
}

// TestRevokeCoversTheSecond checks tokens that were issued about the time of a
// revocation by subject or client, which the iat claim has in whole seconds.
func TestRevokeCoversTheSecond(t *testing.T) {
	for kind, value := range map[revocation.Kind]string{revocation.Subject: "alice", revocation.Client: "web", revocation.Token: "token-1", revocation.Family: "f1"} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := newList(revocation.NewMemory(0))
				byTime := kind == revocation.Subject || kind == revocation.Client
				pass(300 * time.Millisecond)
				ended := make(chan error)
				go func() { ended <- revoke(t.Context(), list, kind, issuer, value) }()
				synctest.Wait()
				token := alice()
				check(t, list, "issued in the same second", token, true)
				pass(200 * time.Millisecond)
				check(t, list, "issued in the same second, after", alice(), true)
				succeeds(t, <-ended)
				if byTime {
					check(t, list, "issued after the call", alice(), false)
				} else {
					pass(500 * time.Millisecond)
				}
				token.IssuedAt = token.IssuedAt.Add(-time.Second)
				check(t, list, "issued 1 s before", token, true)
				token.IssuedAt = time.Time{}
				check(t, list, "without iat", token, true)
				next := alice()
				check(t, list, "issued in the next second, or by a clock ahead", next, !byTime)
				succeeds(t, revoke(t.Context(), list, kind, issuer, value))
				check(t, list, "issued before the second revocation", next, true)
			})
		})
	}
}

// TestRevocationOutlivesToken checks that a token is revoked for its lifetime and
// twice the largest clock skew.
func TestRevocationOutlivesToken(t *testing.T) {
	for kind, value := range map[revocation.Kind]string{revocation.Subject: "alice", revocation.Client: "web", revocation.Family: "f1", revocation.Token: "token-1"} {
		synctest.Test(t, func(t *testing.T) {
			list, lifetime := newList(revocation.NewMemory(0)), 15*time.Minute
			if kind == revocation.Token {
				lifetime = 5 * time.Minute
			}
			token, start := alice(), time.Now()
			succeeds(t, revoke(t.Context(), list, kind, issuer, value))
			pass(lifetime + 10*time.Minute - 1 - time.Since(start))
			check(t, list, fmt.Sprintf("%s, to the end", kind), token, true)
			pass(1)
			check(t, list, fmt.Sprintf("%s, after the end", kind), token, false)
		})
	}
}

func TestRevocationLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stub{}
		list := must(revocation.New(revocation.Config{Store: store, Issuers: []string{issuer}, MaxLifetime: time.Hour}))
		now := time.Now()
		for _, expires := range []time.Time{
			now.Add(time.Minute), now, now.Add(-10*time.Minute + 1), now.Add(-10 * time.Minute), now.Add(week), now.Add(100 * week),
			time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		} {
			succeeds(t, list.RevokeToken(t.Context(), gatehouse.Key{Issuer: issuer, Subject: "alice"}, "a", expires))
		}
		if err := list.RevokeToken(t.Context(), gatehouse.Key{Issuer: issuer, Subject: "alice"}, "a", time.Time{}); err == nil {
			t.Error("RevokeToken(zero expiry): got no error")
		}
		for _, kind := range []revocation.Kind{revocation.Subject, revocation.Client, revocation.Family} {
			succeeds(t, revoke(t.Context(), list, kind, issuer, "a"))
		}
		const margin, year = 10 * time.Minute, 365 * 24 * time.Hour
		want := []time.Duration{
			time.Minute + margin, margin, 1, week + margin, 100*week + margin, 100*year + margin, time.Hour + margin, time.Hour + margin, time.Hour + margin,
		}
		if diff := cmp.Diff(want, store.lifetimes); diff != "" {
			t.Errorf("lifetimes in the store (-want +got):\n%s", diff)
		}

		// One token too many revokes the subject, for as long as its other tokens last.
		for _, test := range []struct {
			count       int
			token, want time.Duration
			wait        time.Duration // afterwards
		}{
			{1000, time.Minute, time.Minute + margin, time.Hour + margin - 1},
			{1, time.Minute, time.Hour + margin, 0},
			{1, 2 * time.Hour, 2*time.Hour + margin, 1}, // then the first of them has expired
			{1, time.Minute, time.Minute + margin, 0},
		} {
			for range test.count {
				succeeds(t, list.RevokeToken(t.Context(), gatehouse.Key{Issuer: issuer, Subject: "bob"}, "a", time.Now().Add(test.token)))
			}
			if got := store.lifetimes[len(store.lifetimes)-1]; got != test.want {
				t.Errorf("lifetime of revocation %d of bob = %v, want %v", len(store.lifetimes), got, test.want)
			}
			time.Sleep(test.wait)
		}
	})
}

func TestRevokeRejectsImpossibleClaims(t *testing.T) {
	store := &stub{}
	list := newList(store)
	for _, kind := range kinds {
		for _, value := range []string{"", "a\nb", strings.Repeat("x", 513), "\xff", "\x00"} {
			if err := revoke(t.Context(), list, kind, issuer, value); err == nil {
				t.Errorf("revoke by %s %.10q: got no error", kind, value)
			}
		}
	}
	if len(store.lifetimes) > 0 {
		t.Errorf("the store was called %d times, want 0", len(store.lifetimes))
	}
}

func TestStoreFailureIsUnavailable(t *testing.T) {
	for name, store := range map[string]*stub{
		"error": {err: errDown, times: make([]time.Time, 4)}, "no results": {}, "too few results": {times: make([]time.Time, 3)}, "too many results": {times: make([]time.Time, 5)},
	} {
		if _, err := newList(store).Revoked(t.Context(), alice()); err == nil || store.err != nil && !errors.Is(err, errDown) {
			t.Errorf("Revoked with %s: error = %v", name, err)
		}
	}
	err := newList(&stub{err: errDown}).RevokeSubject(t.Context(), gatehouse.Key{Issuer: issuer, Subject: "a"})
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != gatehouse.CodeTemporarilyUnavailable || !errors.Is(err, errDown) {
		t.Errorf("RevokeSubject error = %v, want %v", err, errDown)
	}
}

// TestVerifierRejectsRevokedTokens uses a verifier that maps subject and client to
// names of its own: the claims of the token count.
func TestVerifierRejectsRevokedTokens(t *testing.T) {
	const audience = "https://api.example.com"
	keys := must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}))
	signer := must(jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: issuer, Keys: keys}))
	for kind, value := range map[revocation.Kind]string{"": "", revocation.Token: "", revocation.Subject: "alice", revocation.Client: "web", revocation.Family: "f1"} {
		list := newList(revocation.NewMemory(0))
		verifier := must(jwtauth.New(jwtauth.Config{Revocations: list, Issuers: []jwtauth.Issuer{{
			URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys,
			Principal: func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
				p.Subject, p.Client = "mail:"+p.Subject, "app:"+p.Client
				return p, nil
			},
		}}}))
		signed := must(signer.Sign(jwtauth.AccessToken{Subject: "alice", Audience: audience, Client: "web", Family: "f1"}))
		if kind == revocation.Token {
			value = signed.ID
		}
		if kind != "" {
			succeeds(t, revoke(t.Context(), list, kind, issuer, value))
		}
		_, err := verifier.Verify(t.Context(), string(signed.Token.Reveal()))
		if e, _ := errors.AsType[*gatehouse.Error](err); (kind == "") != (err == nil) || kind != "" && (e == nil || e.Reason != jwtauth.ReasonRevoked) {
			t.Errorf("Verify after revocation by %q: error = %v", kind, err)
		}
		succeeds(t, verifier.Close())
	}
}

// pass lets the fake clock of a synctest bubble advance.
func pass(d time.Duration) { <-time.After(d) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The second of a revocation ends by the clock of the store.
func TestRevokeWaitsByTheClockOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		list := newList(&stub{times: []time.Time{start.Add(-time.Hour).Add(900 * time.Millisecond)}})
		for limit, want := range map[time.Duration]time.Duration{time.Second: 100 * time.Millisecond, time.Millisecond: time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			start = time.Now()
			succeeds(t, list.RevokeSubject(ctx, gatehouse.Key{Issuer: issuer, Subject: "alice"}))
			cancel()
			if waited := time.Since(start); waited != want {
				t.Errorf("RevokeSubject with %v left took %v, want %v", limit, waited, want)
			}
		}
	})
}

func succeeds(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
