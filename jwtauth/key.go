// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto"
	"crypto/hmac"
	"crypto/subtle"
	"errors"
	"hash"
	"slices"
	"sync"

	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// Key is a public key of an issuer.
type Key struct {
	// ID is the kid of the key. If it is empty, the key verifies tokens with any kid and
	// tokens without one; the issuer must then have no other key for the same algorithm.
	ID string

	// Algorithm is the only algorithm that the key verifies. Required.
	Algorithm Algorithm

	// Public is an *rsa.PublicKey, an *ecdsa.PublicKey or an
	// ed25519.PublicKey. Required.
	Public crypto.PublicKey
}

// key is a verification key that has passed all checks that do not need a token.
type key struct {
	id         string
	algorithms []Algorithm // for which the key may be used
	public     crypto.PublicKey
	hmac       map[Algorithm]*hmacKey // instead of public
	anyKid     bool                   // matches every kid
}

// newKey checks a public key and sets its algorithms: the configured ones that fit its
// type and curve, and only named if it is set.
//
// Implements RFC 7517 §4.4; RFC 8725 §3.1 (one).
func newKey(id string, public crypto.PublicKey, named Algorithm, configured []Algorithm) (*key, error) {
	if err := jose.CheckKey(public); err != nil {
		return nil, err
	}
	k := &key{id: id, public: public}
	for _, a := range configured {
		if (named == "" || named.canonical() == a.canonical()) && algorithms[a].fits != nil && algorithms[a].fits(public) {
			k.algorithms = append(k.algorithms, a)
		}
	}
	if len(k.algorithms) == 0 {
		return nil, errors.New("does not match any of the configured algorithms")
	}
	return k, nil
}

// verify reports whether signature verifies with this key and algorithm.
//
// Implements RFC 7515 §5.2; RFC 9068 §4 (signature).
func (k *key) verify(a Algorithm, signingInput string, signature []byte) bool {
	if h, ok := k.hmac[a]; ok {
		return h.verify(signingInput, signature)
	}
	return algorithms[a].method.Verify(signingInput, signature, k.public) == nil
}

// equal reports whether k and other have the same public key, ID and algorithms.
func (k *key) equal(other *key) bool {
	public, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && slices.Equal(k.algorithms, other.algorithms) && public.Equal(other.public)
}

// hmacKey verifies with one secret and one hash. It keeps its states in a pool, because
// creating one costs more than using it.
type hmacKey struct {
	size   int
	states sync.Pool
}

func newHMACKey(h crypto.Hash, secret []byte) *hmacKey {
	return &hmacKey{
		size:   h.Size(),
		states: sync.Pool{New: func() any { return &hmacState{Hash: hmac.New(h.New, secret)} }},
	}
}

type hmacState struct {
	hash.Hash
	sum  [64]byte
	text []byte
}

// Implements RFC 7518 §3.2 (time).
func (k *hmacKey) verify(signingInput string, signature []byte) bool {
	state := k.states.Get().(*hmacState)
	defer k.states.Put(state)
	state.Reset()
	state.text = append(state.text[:0], signingInput...)
	_, _ = state.Write(state.text)
	return subtle.ConstantTimeCompare(state.Sum(state.sum[:0]), signature) == 1
}
