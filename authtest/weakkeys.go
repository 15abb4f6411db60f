// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
	"sync"
)

var rsa1024 = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) })

func weakRSA(algorithm string) oddKey {
	k, err := rsa1024()
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err))
	}
	return oddKey{
		name:      "RSA of 1024 bits",
		jwk:       newJWK(oddID("RSA of 1024 bits"), algorithm, k.Public()),
		algorithm: algorithm,
		sign:      func(input string) []byte { return signAs(algorithm, k, input) },
	}
}

// exponentOne is a key under which every message is its own signature.
func exponentOne(algorithm string) oddKey {
	const name = "RSA with the exponent 1"
	n := shared("exponent one", "RS256").Public().(*rsa.PublicKey).N
	hash := algorithms[algorithm].hash
	return oddKey{
		name:      name,
		jwk:       newJWK(oddID(name), algorithm, &rsa.PublicKey{N: n, E: 1}),
		algorithm: algorithm,
		sign: func(input string) []byte {
			return padPKCS1(n.BitLen()/8, digestInfo(hash, digest(hash, input)))
		},
	}
}

// exponentTwo is a key under which a signature is a square root, which the owner of
// the key can compute for every fourth message.
func exponentTwo(algorithm string) oddKey {
	const name = "RSA with the exponent 2"
	k := shared("exponent two", "RS256").(*rsa.PrivateKey)
	hash := algorithms[algorithm].hash
	return oddKey{
		name:      name,
		jwk:       newJWK(oddID(name), algorithm, &rsa.PublicKey{N: k.N, E: 2}),
		algorithm: algorithm,
		sign: func(input string) []byte {
			m := new(big.Int).SetBytes(padPKCS1(k.Size(), digestInfo(hash, digest(hash, input))))
			p, q := k.Primes[0], k.Primes[1]
			modP, modQ := new(big.Int).ModSqrt(m, p), new(big.Int).ModSqrt(m, q)
			if modP == nil || modQ == nil {
				return nil
			}
			// The Chinese remainder theorem: the root is modQ + q ((modP - modQ) / q mod p).
			root := modP.Sub(modP, modQ)
			root.Mul(root, new(big.Int).ModInverse(q, p)).Mod(root, p)
			return root.Mul(root, q).Add(root, modQ).FillBytes(make([]byte, k.Size()))
		},
	}
}

// foreignCurve is a key on a curve that JWA does not define, with the algorithm of
// another curve.
func foreignCurve() oddKey {
	const name = "P-224 for ES256"
	k := p224()
	return oddKey{
		name:      name,
		jwk:       newJWK(oddID(name), "ES256", k.Public()),
		algorithm: "ES256",
		sign: func(input string) []byte {
			r, s, err := ecdsa.Sign(rand.Reader, k, digest(crypto.SHA256, input))
			if err != nil {
				panic(fmt.Errorf("authtest: %w", err))
			}
			return joinRS(r, s, 32)
		},
	}
}

var p224 = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err))
	}
	return k
})

// lowOrder is the neutral element of the curve. The same point with S = 0 is a
// signature of every message, because [S]B = R + [k]A holds for every k.
func lowOrder() oddKey {
	const name = "Ed25519 of low order"
	neutral := make([]byte, ed25519.PublicKeySize)
	neutral[0] = 1
	return oddKey{
		name:      name,
		jwk:       newJWK(oddID(name), "EdDSA", ed25519.PublicKey(neutral)),
		algorithm: "EdDSA",
		sign:      func(string) []byte { return append(slices.Clone(neutral), make([]byte, 32)...) },
	}
}
