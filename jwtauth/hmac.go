// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto"
	"crypto/hmac"
	"crypto/subtle"
	"hash"
	"sync"
)

// hmacKey verifies with one secret and one hash. Its states are pooled: to set
// one up costs more than to use it.
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

func (k *hmacKey) verify(signingInput string, signature []byte) bool {
	state := k.states.Get().(*hmacState)
	defer k.states.Put(state)
	state.Reset()
	state.text = append(state.text[:0], signingInput...)
	_, _ = state.Write(state.text)
	return subtle.ConstantTimeCompare(state.Sum(state.sum[:0]), signature) == 1
}
