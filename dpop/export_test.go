// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// NonceAt returns the nonce that a server with a key has made at a time.
func NonceAt(key gatehouse.Secret, at time.Time) string {
	return newNonces([]gatehouse.Secret{key}).issue(at)
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
