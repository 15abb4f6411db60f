// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// nonceLife is how long a nonce is valid.
const nonceLife = 5 * time.Minute

const (
	nonceTimeBytes = 8
	nonceMACBytes  = 16
	nonceBytes     = nonceTimeBytes + nonceMACBytes
)

// nonces makes and verifies nonces without a store: a nonce is the time at which it
// was made, in seconds, with a MAC. A server with the same key accepts it. It may be
// used several times, because proofs are used once.
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
	binary.BigEndian.PutUint64(nonce[:], uint64(now.Unix()))
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
	decoded, _ := jose.Decode(nil, nonce) // nil on failure
	if len(decoded) != nonceBytes {
		return false, true
	}
	for _, key := range n.keys {
		valid = hmac.Equal(mac(key, decoded[:nonceTimeBytes]), decoded[nonceTimeBytes:]) || valid
	}
	if !valid {
		return false, true
	}
	age := now.Unix() - int64(binary.BigEndian.Uint64(decoded))
	return age <= seconds(nonceLife) && age >= -seconds(maxAhead), age > seconds(nonceLife)/2
}
