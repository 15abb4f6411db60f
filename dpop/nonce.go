// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
)

// nonceLife is how long a nonce is valid.
const nonceLife = 5 * time.Minute

const (
	nonceTimeBytes = 8
	nonceMACBytes  = 16
	nonceBytes     = nonceTimeBytes + nonceMACBytes
)

// nonces creates and verifies nonces without a store. A nonce is its creation time, in
// seconds, with a MAC. Every server with the same key accepts it. A nonce may be used
// several times, because each proof is used once.
//
// Implements RFC 9449 §8 (unpredictable), §8.1, §11.3.
type nonces struct{ keys [][]byte }

// newNonces derives the keys by HKDF, so that the secrets may have any form and other
// uses.
func newNonces(secrets []gatehouse.Secret) *nonces {
	n := &nonces{}
	for _, secret := range secrets {
		// It fails only for a length that no hash allows.
		key, _ := hkdf.Key(sha256.New, secret.Reveal(), nil, "gatehouse dpop nonce 1", sha256.Size)
		n.keys = append(n.keys, key)
	}
	return n
}

// issue returns a nonce that is made now.
func (n *nonces) issue(now time.Time) string {
	var nonce [nonceBytes]byte
	binary.BigEndian.PutUint64(nonce[:], uint64(now.Unix())) //nolint:gosec // after 1970
	copy(nonce[nonceTimeBytes:], mac(n.keys[0], nonce[:nonceTimeBytes]))
	return base64.RawURLEncoding.EncodeToString(nonce[:])
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(text)
	return h.Sum(nil)[:nonceMACBytes]
}

// check reports whether a nonce is valid, and whether less than half of its life
// is left. The clocks of servers may differ by as much as those of clients.
func (n *nonces) check(nonce string, now time.Time) (valid, old bool) {
	decoded, _ := base64url.Decode(nil, nonce) // nil on failure
	if len(decoded) != nonceBytes {
		return false, true
	}
	for _, key := range n.keys {
		valid = hmac.Equal(mac(key, decoded[:nonceTimeBytes]), decoded[nonceTimeBytes:]) || valid
	}
	if !valid {
		return false, true
	}
	age := now.Unix() - int64(binary.BigEndian.Uint64(decoded)) //nolint:gosec // this server made it
	return age <= seconds(nonceLife) && age >= -seconds(maxAhead), age > seconds(nonceLife)/2
}

// Nonces returns a handler for use in front of a gate. If a request has a proof and its
// client needs a nonce, the handler adds a fresh one to the response, even if the gate
// does not call Confirm because the access token is rejected or the route is public.
// Without Config.NonceKeys it returns next.
//
// Implements RFC 9449 §8.2 (cache).
func (v *Verifier) Nonces(next http.Handler) http.Handler {
	if v.nonces == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.Header[header]; len(values) == 1 {
			now := time.Now()
			if _, old := v.nonces.check(nonceOf(values[0]), now); old {
				w.Header().Set(nonceHeader, v.nonces.issue(now))
				w.Header().Set("Cache-Control", "no-store")
			}
		}
		next.ServeHTTP(w, r)
	})
}
