// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// verified is what is known of a token whose signature and claims were good.
type verified struct {
	principal  gatehouse.Principal
	issuer     *issuer
	generation uint64 // of the key set that it was verified with
	ends       time.Time
	token      Token // as its issuer has named things, whatever Issuer.Principal has made of them
}

// fingerprint is the name of a token in the cache: the SHA-256 of all of it,
// signature included, so that what is found is what was verified, byte for
// byte.
type fingerprint [sha256.Size]byte

const shards = 64

// cache remembers verified tokens, and never those that were refused: whoever
// sends junk must not be able to push the good ones out.
type cache struct {
	shards [shards]shard
	limit  int // of one shard
}

type shard struct {
	mu      sync.Mutex
	entries map[fingerprint]*verified
	_       [48]byte // a cache line each, so that cores do not fight over one
}

func newCache(entries int) *cache {
	c := &cache{limit: (entries + shards - 1) / shards}
	for n := range c.shards {
		c.shards[n].entries = make(map[fingerprint]*verified)
	}
	return c
}

func (c *cache) get(f fingerprint) *verified {
	s := &c.shards[f[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[f]
}

// put remembers v. Where there is no room, it takes the place of the one of a
// few others that ends first.
func (c *cache) put(f fingerprint, v *verified) {
	s := &c.shards[f[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.entries[f]; !ok && len(s.entries) >= c.limit {
		var victim fingerprint
		var first *verified
		looked := 0
		for name, other := range s.entries { // in no order: that is what makes it fair
			if first == nil || other.ends.Before(first.ends) {
				victim, first = name, other
			}
			if looked++; looked == 8 {
				break
			}
		}
		delete(s.entries, victim)
	}
	s.entries[f] = v
}

func (c *cache) remove(f fingerprint) {
	s := &c.shards[f[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, f)
}
