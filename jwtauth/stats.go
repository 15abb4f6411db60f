// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"maps"
	"slices"
	"time"
)

// Stats is the state of an [Authenticator], for metrics. Counts are those since the
// start.
type Stats struct {
	// CacheHits and CacheMisses count valid tokens: those that were in the cache, and
	// those that had to be verified. Rejected tokens are not counted, so that invalid
	// requests do not change the ratio. Both stay 0 without a cache. A token in the
	// cache that is verified again, because its key set has lost a key, counts as both.
	CacheHits, CacheMisses uint64

	// KeySets are the key sets that are fetched, those of [RemoteKeys] and [Discover],
	// in the order of Issuer.
	KeySets []KeySetStats
}

// KeySetStats is the state of the key set of one issuer.
type KeySetStats struct {
	Issuer string
	// Fetched is when the fetch of the present set began, zero if there was none yet.
	Fetched time.Time
	// Keys is the number of usable keys in it.
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
