// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"maps"
	"slices"
	"time"
)

// Stats is the state of an [Authenticator], for metrics. Counts begin at the start of the
// process.
type Stats struct {
	// CacheHits counts valid tokens that were in the cache, CacheMisses valid tokens that
	// had to be verified. Rejected tokens are not counted, so that invalid requests do
	// not change the ratio. Without a cache both stay 0. A token in the cache that is
	// verified again, because its key set has lost a key, counts as both.
	CacheHits, CacheMisses uint64

	// KeySets are the key sets of [RemoteKeys] and [Discover], sorted by Issuer.
	KeySets []KeySetStats
}

// KeySetStats is the state of the key set of one issuer.
type KeySetStats struct {
	Issuer string
	// Fetched is the time at which the fetch of the current set began, zero if there is
	// no set yet.
	Fetched time.Time
	// Keys is the number of usable keys in the current set.
	Keys int
	// Fetches counts all fetches that have ended, and Failed those that failed.
	Fetches, Failed uint64
}

// Stats returns the state at this time. It fetches nothing.
func (a *Authenticator) Stats() Stats {
	var s Stats
	if a.cache != nil {
		for n := range a.cache.sets {
			s.CacheHits += a.cache.sets[n].hits.Load()
			s.CacheMisses += a.cache.sets[n].misses.Load()
		}
	}
	for _, issuer := range slices.Sorted(maps.Keys(a.issuers)) {
		if r, ok := a.issuers[issuer].keys.(*remote); ok {
			s.KeySets = append(s.KeySets, r.stats(issuer))
		}
	}
	return s
}

func (r *remote) stats(issuer string) KeySetStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := KeySetStats{Issuer: issuer, Fetches: r.ended, Failed: r.failed}
	if f := r.latest.Load(); f != nil {
		s.Fetched, s.Keys = f.set.fetched, len(f.set.keys)
	}
	return s
}
