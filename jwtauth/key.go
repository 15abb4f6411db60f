// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
)

// Key is a public key of an issuer.
type Key struct {
	// ID is the kid of the key. It may be empty if the issuer has no other key
	// for the same algorithm.
	ID string

	// Algorithm is the only algorithm that the key verifies. Required.
	Algorithm Algorithm

	// Public is an *rsa.PublicKey, an *ecdsa.PublicKey or an
	// ed25519.PublicKey. Required.
	Public crypto.PublicKey
}

// key is a verification key that has passed every check that needs no token.
type key struct {
	id         string
	algorithms []Algorithm // for which the key may be used
	public     crypto.PublicKey
	hmac       map[Algorithm]*hmacKey // instead of public
}

// newKey checks a public key and pins its algorithms: those of the configured
// ones that fit its type and curve and, if named is set, only that one.
//
// Implements RFC 7517 §4.4; RFC 8725 §3.1 (one).
func newKey(id string, public crypto.PublicKey, named Algorithm, configured []Algorithm) (*key, error) {
	if err := checkStrength(public); err != nil {
		return nil, err
	}
	k := &key{id: id, public: public}
	for _, a := range configured {
		if (named == "" || named == a) && algorithms[a].fits != nil && algorithms[a].fits(public) {
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

// Implements RFC 7518 §6.2.1; RFC 8725 §3.4.
func checkStrength(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k == nil || k.N == nil {
			return errors.New("is nil")
		}
		// RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with
		// these algorithms."
		if bits := k.N.BitLen(); bits < 2048 || bits > 16384 {
			return fmt.Errorf("is an RSA key of %d bits, want 2048 to 16384", bits)
		}
		if k.N.Bit(0) == 0 {
			return errors.New("is an RSA key with an even modulus")
		}
		if k.E < 3 || k.E%2 == 0 {
			return errors.New("is an RSA key with an exponent that is even or less than 3")
		}
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil || k.X == nil || k.Y == nil {
			return errors.New("is nil")
		}
		if _, err := k.ECDH(); err != nil {
			return errors.New("is not a point on an accepted curve")
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return errors.New("is not 32 bytes long")
		}
		if isLowOrder(k) {
			return errors.New("is an Ed25519 key of low order, for which signatures can be forged")
		}
	default:
		return fmt.Errorf("is a %T, want *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey", public)
	}
	return nil
}

// lowOrder are the y coordinates of the points of order 1, 2, 4 and 8, in
// canonical and other encodings, without the sign bit. Signatures for such a key
// can be forged without the private key.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func isLowOrder(k ed25519.PublicKey) bool {
	y := slices.Clone(k)
	y[31] &= 0x7f
	return slices.Contains(lowOrder, hex.EncodeToString(y))
}

// hmacKey verifies with one secret and one hash. Its states are pooled, because
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
