// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/internal/jose"
)

const (
	headerSlots    = 1024
	maxCachedBytes = 1024 // of an encoded header; that of an RSA key of 2,048 bits has 600
)

// headerCache holds parsed headers by their encoded text, because all proofs of a client
// have the same header. It stores only headers of accepted proofs, so that invalid proofs
// evict nothing. It is safe for concurrent use.
type headerCache struct {
	seed  maphash.Seed
	slots [headerSlots]atomic.Pointer[cachedHeader]
}

type cachedHeader struct {
	segment, algorithm string
	key                jose.Key
}

func newHeaderCache() *headerCache { return &headerCache{seed: maphash.MakeSeed()} }

func (c *headerCache) slot(segment string) *atomic.Pointer[cachedHeader] {
	return &c.slots[maphash.String(c.seed, segment)%headerSlots]
}

// get returns the header of a segment, nil if the cache does not have it.
func (c *headerCache) get(segment string) *cachedHeader {
	if h := c.slot(segment).Load(); h != nil && h.segment == segment {
		return h
	}
	return nil
}

func (c *headerCache) put(p *proof) {
	if p.cached || len(p.Header) > maxCachedBytes {
		return
	}
	c.slot(p.Header).Store(&cachedHeader{strings.Clone(p.Header), p.algorithm, p.key})
}
