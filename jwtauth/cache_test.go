// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// counting returns an authenticator and the number of times that it has verified
// a token without the cache: Issuer.Principal runs once for each.
func counting(t *testing.T, entries int) (*jwtauth.Authenticator, *atomic.Int64) {
	verified := new(atomic.Int64)
	return newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.CacheEntries = entries
		c.Issuers[0].Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
			verified.Add(1)
			return p, nil
		}
	})), verified
}

// tokens returns n valid tokens.
func tokens(n int) []string {
	var all []string
	for i := range n {
		all = append(all, token(nil, object{"jti": fmt.Sprint("token-", i)}))
	}
	return all
}

func TestCacheHit(t *testing.T) {
	for entries, want := range map[int]int64{0: 1, 1: 1, -1: 2} {
		a, verified := counting(t, entries)
		good := token(nil, nil)
		first, err1 := a.Verify(t.Context(), good)
		second, err2 := a.Verify(t.Context(), good)
		if err1 != nil || err2 != nil || first != second {
			t.Errorf("CacheEntries %d: Verify twice = %v, %v and %v, %v, want the same principal", entries, first, err1, second, err2)
		}
		if got := verified.Load(); got != want {
			t.Errorf("CacheEntries %d: verified %d times, want %d", entries, got, want)
		}
	}
}

func TestCacheHoldsDefaultEntries(t *testing.T) {
	a, verified := counting(t, 0)
	all := tokens(300)
	for range 2 {
		for _, token := range all {
			if _, err := a.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := verified.Load(); got != 300 {
		t.Errorf("verified %d times for 300 tokens, want 300", got)
	}
}

// The principal that an authenticator hands out is a copy.
func TestCachedPrincipalIsCopied(t *testing.T) {
	a := newAuthenticator(t, config())
	proof, err := a.Authenticate(get(token(nil, nil)))
	if err != nil {
		t.Fatal(err)
	}
	p := proof.Principal()
	p.Subject = "mallory"
	if got := proof.Principal().Subject; got != "alice" {
		t.Errorf("Subject after a change of the copy = %q, want alice", got)
	}
}

// A token in the cache still ends when it ends.
func TestCacheEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, config())
		good := token(nil, nil)
		for _, step := range []struct {
			wait time.Duration
			want gatehouse.Reason
		}{
			{0, ""},
			{329 * time.Second, ""}, // five minutes and almost all of the skew
			{time.Second, jwtauth.ReasonExpired},
		} {
			time.Sleep(step.wait)
			if got := reason(t, a, good); got != step.want {
				t.Errorf("got %q, want %q", got, step.want)
			}
		}
	})
}

// What differs in a single byte from a token in the cache is not that token.
func TestCacheIsExact(t *testing.T) {
	a := newAuthenticator(t, config())
	good := token(nil, nil)
	if got := reason(t, a, good); got != "" {
		t.Fatal(got)
	}
	for n := range good {
		for _, c := range []byte("A._=\n") {
			if good[n] == c {
				continue
			}
			if changed := good[:n] + string(c) + good[n+1:]; reason(t, a, changed) == "" {
				t.Errorf("byte %d as %q: accepted", n, c)
			}
		}
	}
	for _, changed := range []string{good + "\n", good + "\r\n", good + "=", good + ".", " " + good, good + "A", good[:len(good)-1]} {
		if reason(t, a, changed) == "" {
			t.Errorf("%q: accepted", strings.Replace(changed, good, "…", 1))
		}
	}
}

// The cache is bounded, and always keeps the latest token.
func TestCacheIsBounded(t *testing.T) {
	a, verified := counting(t, 64) // one for each shard
	all := tokens(200)
	verify := func(token string) bool {
		before := verified.Load()
		if _, err := a.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		return verified.Load() > before
	}
	for _, token := range all {
		if verify(token); verify(token) {
			t.Error("the latest token is not in the cache")
		}
	}
	cached := 0
	for _, token := range all {
		if !verify(token) {
			cached++
		}
	}
	if cached > 64 {
		t.Errorf("%d tokens are in the cache, want at most 64", cached)
	}
}

// revocations answers from a table.
type revocations struct {
	mu    sync.Mutex
	asked []jwtauth.Token
	said  map[string]error // by jti; nil is revoked
}

func (*revocations) MaxLifetime() time.Duration { return 7 * 24 * time.Hour }

func (r *revocations) Revoked(_ context.Context, t jwtauth.Token) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, t)
	err, there := r.said[t.ID]
	return there && err == nil, err
}

// Revocations are asked about every good token, in the cache or not, and about
// no other.
func TestRevocations(t *testing.T) {
	down := errors.New("down")
	r := &revocations{said: map[string]error{"revoked": nil, "unknown": down}}
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = r }))
	for id, want := range map[string]gatehouse.Reason{
		"good": "", "revoked": jwtauth.ReasonRevoked, "unknown": jwtauth.ReasonRevocationsUnavailable,
	} {
		token := token(nil, object{"jti": id})
		for range 2 {
			if got := reason(t, a, token); got != want {
				t.Errorf("%s: got %q", id, got)
			}
		}
	}
	reason(t, a, token(nil, object{"aud": "x"}))
	if len(r.asked) != 6 {
		t.Errorf("asked %d times", len(r.asked))
	}
	if got := r.asked[0]; got.Issuer != issuerURL || got.Subject != "alice" || got.Client != "web" || got.IssuedAt.IsZero() {
		t.Errorf("asked about %+v", got)
	}
	_, err := a.Verify(t.Context(), token(nil, object{"jti": "revoked"}))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Credential != "revoked" || e.Issuer != issuerURL {
		t.Errorf("got %v", err)
	}
	_, err = a.Verify(t.Context(), token(nil, object{"jti": "unknown"}))
	if !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}

	good := token(nil, object{"jti": "later"})
	if got := reason(t, a, good); got != "" {
		t.Fatal(got)
	}
	r.said["later"] = nil
	if got := reason(t, a, good); got != jwtauth.ReasonRevoked {
		t.Errorf("a revoked token in the cache: %q", got)
	}
}

// One authenticator serves many, also while keys come and go.
func TestConcurrentUse(t *testing.T) {
	s := &keyServer{serve: goodSet()}
	a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.CacheEntries = 64 }))
	var tokens []string
	for n := range 32 {
		tokens = append(tokens, token(nil, object{"jti": fmt.Sprint("token-", n)}))
	}
	var work sync.WaitGroup
	for worker := range 8 {
		work.Go(func() {
			for n := range 400 {
				if n%50 == 0 {
					reason(t, a, junk(worker*1000+n))
				}
				if got := reason(t, a, tokens[(worker+n)%len(tokens)]); got != "" {
					t.Errorf("got %q", got)
					return
				}
			}
		})
	}
	work.Wait()
}
