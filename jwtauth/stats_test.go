// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Stats counts valid tokens and fetches. Junk counts as neither a hit nor a miss.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: serverError}
		a := newAuthenticator(t, remoteConfig(s))
		want := func(what string, want jwtauth.Stats) {
			t.Helper()
			synctest.Wait()
			want.KeySets[0].Issuer = issuerURL
			if diff := cmp.Diff(want, a.Stats()); diff != "" {
				t.Errorf("%s: Stats (-want +got):\n%s", what, diff)
			}
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
		stats := a.Stats()
		if stats.CacheHits != 2 || stats.CacheMisses != 1 {
			t.Errorf("after the expiry: %d hits, %d misses, want 2, 1", stats.CacheHits, stats.CacheMisses)
		}
	})
	// Neither a cache nor key sets that are fetched.
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.CacheEntries = -1 }))
	check(t, a, "valid", token(nil, nil), "")
	if diff := cmp.Diff(jwtauth.Stats{}, a.Stats()); diff != "" {
		t.Errorf("without a cache: Stats (-want +got):\n%s", diff)
	}
}
