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
	token        *Token // for Revocations, nil if there are none
}

// expires returns exp plus the skew.
func (v *verified) expires() time.Time { return v.principal.Expires.Add(v.issuer.skew) }

// ways is the number of entries in a set of the cache: a token can be in one of them.
const ways = 8

// cache holds verified tokens. It does not store rejected tokens, so that they evict
// nothing. Its size is bounded, and readers take no lock.
//
// A seeded hash selects the set of a token. An entry matches only if the whole token is
// equal, including the signature: an equal hash is not enough.
//
// Implements RFC 9700 §4.9.3.
type cache struct {
	seed maphash.Seed
	sets []set
}

type set struct {
	hashes  [ways]atomic.Uint64 // of the entries, so that get reads only entries with an equal hash
	entries [ways]atomic.Pointer[verified]

	// hits and misses count the valid tokens that were in the cache and those that were
	// not.
	hits, misses atomic.Uint64
}

func newCache(entries int) *cache {
	return &cache{seed: maphash.MakeSeed(), sets: make([]set, (entries+ways-1)/ways)}
}

func (c *cache) hash(text string) uint64 { return maphash.String(c.seed, text) }

func (c *cache) set(hash uint64) *set { return &c.sets[hash%uint64(len(c.sets))] }

// get returns the entry of a token with this hash, or nil. The entry may have expired.
// get compares the texts only if all 64 bits of the keyed hash are equal, so that the
// time of the comparison reveals nothing about a token that the client does not have.
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

// put stores v. If the set is full, put evicts the entry that expires first; among
// several with the same expiry, the hash selects one. If two tokens are put at the same
// time, one may be lost, which only costs another verification.
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
