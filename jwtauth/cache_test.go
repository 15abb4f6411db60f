// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"fmt"
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

func TestCacheHit(t *testing.T) {
	for entries, want := range map[int]int64{0: 1, 1: 1, -1: 2} {
		a, verified := counting(t, entries)
		good := token(nil, nil)
		first, err1 := a.Verify(t.Context(), good)
		second, err2 := a.Verify(t.Context(), good)
		if err1 != nil || err2 != nil || first != second {
			t.Errorf("CacheEntries %d: Verify twice = %v, %v and %v, %v, want the same principal", entries, first, err1, second, err2)
		}
		equal(t, fmt.Sprintf("CacheEntries %d: verifications", entries), verified.Load(), want)
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
	equal(t, "verifications of 300 tokens", verified.Load(), 300)
}

// Covers RFC 9068 §4 (exp).
func TestCachedTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, config())
		valid := token(nil, nil)
		check(t, a, "new", valid, "")
		time.Sleep(329 * time.Second) // five minutes and almost all of the skew
		check(t, a, "before exp + Skew", valid, "")
		time.Sleep(time.Second)
		check(t, a, "at exp + Skew", valid, jwtauth.ReasonExpired)
		equal(t, "Stats", a.Stats(), jwtauth.Stats{CacheHits: 1, CacheMisses: 1})
	})
}

// A token that differs from a cached one in a single byte is not that token.
func TestCacheComparesAllBytes(t *testing.T) {
	a := newAuthenticator(t, config())
	valid := token(nil, nil)
	check(t, a, "unchanged", valid, "")
	changed := []string{valid + "\n", valid + "\r\n", valid + "=", valid + ".", " " + valid, valid + "A", valid[:len(valid)-1]}
	for n := range valid {
		for _, c := range []byte("A._=\n") {
			if valid[n] != c {
				changed = append(changed, valid[:n]+string(c)+valid[n+1:])
			}
		}
	}
	for _, token := range changed {
		if reason(t, a, token) == "" {
			t.Errorf("Verify accepted %q, want %q only", token, valid)
		}
	}
}

// The cache is bounded, and always keeps the latest token.
func TestCacheIsBounded(t *testing.T) {
	a, verified := counting(t, 64)
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

func TestConcurrentUse(t *testing.T) {
	s := &keyServer{serve: goodSet()}
	a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.CacheEntries = 64 }))
	all := tokens(32)
	var work sync.WaitGroup
	for worker := range 8 {
		work.Go(func() {
			for n := range 400 {
				if n%50 == 0 {
					if got := reason(t, a, junk(worker*1000+n)); got != jwtauth.ReasonKey && got != jwtauth.ReasonKeyPending {
						t.Errorf("unknown kid: reason of Verify = %q, want %s or %s", got, jwtauth.ReasonKey, jwtauth.ReasonKeyPending)
					}
				}
				check(t, a, "valid token", all[(worker+n)%len(all)], "")
			}
		})
	}
	work.Wait()
}
