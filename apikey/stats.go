// SPDX-License-Identifier: Apache-2.0

package apikey

// Stats are counts since the start, for metrics.
type Stats struct {
	// CacheHits and CacheMisses count lookups of existing keys: in the cache, and in the
	// store. Lookups of IDs that do not exist are not counted, so that guesses do not
	// change the ratio. Without [Config].CacheTTL both stay 0.
	CacheHits, CacheMisses uint64
}

// Stats returns the counts at this time.
func (k *Keys) Stats() Stats {
	var s Stats
	if k.cache != nil {
		for i := range k.cache.shards {
			s.CacheHits += k.cache.shards[i].hits.Load()
			s.CacheMisses += k.cache.shards[i].misses.Load()
		}
	}
	return s
}
