// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// NonceAt returns the nonce that a server with a key has made at a time.
func NonceAt(key gatehouse.Secret, at time.Time) string {
	return newNonces([]gatehouse.Secret{key}).issue(at)
}

// WrongHeaders returns for how many headers a cache that has seen all of them returns
// another one.
func WrongHeaders(all []string) (n int) {
	c := newHeaderCache()
	for _, header := range all {
		c.put(&proof{Compact: jose.Compact{Header: header}})
	}
	for _, header := range all {
		if found := c.get(header); found != nil && found.segment != header {
			n++
		}
	}
	return n
}

// CachedHeaders returns the number of headers in the cache of a verifier.
func CachedHeaders(v *Verifier) (n int) {
	for i := range v.headers.slots {
		if v.headers.slots[i].Load() != nil {
			n++
		}
	}
	return n
}
