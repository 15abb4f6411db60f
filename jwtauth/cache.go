// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// verified is the result of verifying a token. It is immutable.
type verified struct {
	text         string // the whole token, "" without a cache
	principal    gatehouse.Principal
	confirmation gatehouse.Confirmation
	issuer       *issuer
	generation   uint64 // of the key set that verified the token
	token        *Token // for Revocations, nil without them
}

// expires returns exp and the skew.
func (v *verified) expires() time.Time { return v.principal.Expires.Add(v.issuer.skew) }

// ways is the number of entries among which one token has its place.
const ways = 8

// cache holds verified tokens. Rejected tokens are not stored, so that invalid
// tokens evict nothing. It is bounded, and readers take no lock.
//
// A seeded hash selects the set of a token, and an entry is compared with the whole
// token, signature included: the hash is a place and proves nothing.
//
// Implements RFC 9700 §4.9.3.
type cache struct {
	seed maphash.Seed
	sets []set
}

type set struct {
	hashes  [ways]atomic.Uint64 // of the entries, so that most of them are not read
	entries [ways]atomic.Pointer[verified]

	// hits and misses count the valid tokens that were found, and those that were not.
	hits, misses atomic.Uint64
}

func newCache(entries int) *cache {
	return &cache{seed: maphash.MakeSeed(), sets: make([]set, (entries+ways-1)/ways)}
}

func (c *cache) hash(text string) uint64 { return maphash.String(c.seed, text) }

func (c *cache) set(hash uint64) *set { return &c.sets[hash%uint64(len(c.sets))] }

// get returns the entry of a token with this hash, which may have expired, or nil.
// The texts are compared only if all 64 bits of the keyed hash are equal, so that the
// time of the comparison reveals nothing of a token to a client that does not have it.
func (c *cache) get(hash uint64, text string, now time.Time) *verified {
	s := c.set(hash)
	for n := range s.hashes {
		if s.hashes[n].Load() == hash {
			if v := s.entries[n].Load(); v != nil && v.text == text {
				if now.Before(v.expires()) {
					s.hits.Add(1)
				}
				return v
			}
		}
	}
	return nil
}

// put stores v. If the set is full, it evicts the entry that expires first, and of
// several the one that the hash selects. Of two tokens that are put at the same time
// one may be lost, which costs time only.
func (c *cache) put(hash uint64, v *verified) {
	s := c.set(hash)
	s.misses.Add(1)
	place, first := 0, v
	for n := range ways {
		n = (n + int(hash>>61)) % ways
		old := s.entries[n].Load()
		if old == nil || s.hashes[n].Load() == hash && old.text == v.text {
			place = n
			break
		}
		if first == v || old.expires().Before(first.expires()) {
			place, first = n, old
		}
	}
	s.entries[place].Store(v)
	s.hashes[place].Store(hash)
}

// remove deletes an entry.
func (c *cache) remove(hash uint64, v *verified) {
	s := c.set(hash)
	for n := range s.entries {
		s.entries[n].CompareAndSwap(v, nil)
	}
}
