// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
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

// A second use of a token has the same result. The cache keeps the tokens up to its size.
func TestCacheEntries(t *testing.T) {
	for entries, test := range map[int]struct{ tokens, least, most int64 }{ // verifications of each token twice
		0: {300, 300, 300}, 1: {1, 1, 1}, -1: {3, 6, 6}, 64: {200, 336, 400},
	} {
		a, verified := counting(t, entries)
		all := tokens(int(test.tokens))
		first := make([]gatehouse.Principal, len(all))
		for round := range 2 {
			for n, token := range all {
				p, err := a.Verify(t.Context(), token)
				if round == 0 {
					first[n] = p
				}
				if err != nil || p != first[n] {
					t.Errorf("CacheEntries %d: Verify = %v, %v, want %v as before", entries, p, err, first[n])
				}
			}
		}
		if got := verified.Load(); got < test.least || got > test.most {
			t.Errorf("CacheEntries %d: %d verifications of %d tokens used twice, want %d to %d", entries, got, test.tokens, test.least, test.most)
		}
	}
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

// Stats counts valid tokens and fetches. Junk counts as neither a hit nor a miss.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: serverError}
		a := newAuthenticator(t, remoteConfig(s))
		want := func(what string, want jwtauth.Stats) {
			t.Helper()
			synctest.Wait()
			want.KeySets[0].Issuer = issuerURL
			equal(t, what+": Stats", a.Stats(), want)
		}
		want("new", jwtauth.Stats{KeySets: []jwtauth.KeySetStats{{}}})
		valid := token(nil, nil)
		check(t, a, "without keys", valid, jwtauth.ReasonKeysUnavailable)
		want("without keys", jwtauth.Stats{KeySets: []jwtauth.KeySetStats{{Fetches: 1, Failed: 1}}})

		s.set(goodSet())
		time.Sleep(10 * time.Second)
		fetched := time.Now()
		for range 3 {
			check(t, a, "valid", valid, "")
		}
		check(t, a, "malformed", "a.b.c", jwtauth.ReasonMalformed)
		check(t, a, "of another key", unsigned(valid)+"AAAA", jwtauth.ReasonSignature)
		keys := []jwtauth.KeySetStats{{Fetched: fetched, Keys: 1, Fetches: 2, Failed: 1}}
		want("cached", jwtauth.Stats{CacheHits: 2, CacheMisses: 1, KeySets: keys})

		time.Sleep(331 * time.Second)
		check(t, a, "expired", valid, jwtauth.ReasonExpired)
		synctest.Wait()
		equal(t, "CacheHits after the expiry", a.Stats().CacheHits, 2)
		equal(t, "CacheMisses after the expiry", a.Stats().CacheMisses, 1)
	})
	// Neither a cache nor key sets that are fetched.
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.CacheEntries = -1 }))
	check(t, a, "valid", token(nil, nil), "")
	equal(t, "Stats without a cache", a.Stats(), jwtauth.Stats{})
}
