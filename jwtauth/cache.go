// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// verified is the result of verifying a token. It is immutable.
type verified struct {
	principal    gatehouse.Principal
	confirmation gatehouse.Confirmation
	issuer       *issuer
	generation   uint64    // of the key set that verified the token
	expires      time.Time // exp and the skew
	token        Token     // from the claims, whatever Issuer.Principal makes of them
}

// fingerprint is the SHA-256 of a whole token, signature included: the cache
// finds a token only if every byte is the same.
//
// Implements RFC 9700 §4.9.3.
type fingerprint [sha256.Size]byte

const shardCount = 64

// cache holds verified tokens. Rejected tokens are not stored, so that invalid
// tokens evict nothing. It is bounded and safe for concurrent use.
type cache struct {
	shards [shardCount]shard
	limit  int // entries of one shard
}

type shard struct {
	mu      sync.Mutex
	entries map[fingerprint]*verified
	// hits and misses count the valid tokens that were found, and those that were not.
	hits, misses uint64
	_            [32]byte // fills a cache line, against false sharing between cores
}

func newCache(entries int) *cache {
	c := &cache{limit: (entries + shardCount - 1) / shardCount}
	for n := range c.shards {
		c.shards[n].entries = make(map[fingerprint]*verified)
	}
	return c
}

// get returns a token, which may have expired, or nil.
func (c *cache) get(f fingerprint, now time.Time) *verified {
	s := &c.shards[f[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.entries[f]
	if v != nil && now.Before(v.expires) {
		s.hits++
	}
	return v
}

// sampleSize is the number of entries among which put looks for the one to evict.
const sampleSize = 8

// put stores v. If the shard is full, it evicts the entry of a random sample
// that expires first.
func (c *cache) put(f fingerprint, v *verified) {
	s := &c.shards[f[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misses++
	if _, ok := s.entries[f]; !ok && len(s.entries) >= c.limit {
		var evict fingerprint
		var first *verified
		sampled := 0
		for key, entry := range s.entries { // maps iterate in random order
			if first == nil || entry.expires.Before(first.expires) {
				evict, first = key, entry
			}
			if sampled++; sampled == sampleSize {
				break
			}
		}
		delete(s.entries, evict)
	}
	s.entries[f] = v
}

func (c *cache) remove(f fingerprint) {
	s := &c.shards[f[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, f)
}
