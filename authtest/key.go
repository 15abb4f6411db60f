// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // so that crypto.SHA256 and the others are there
	_ "crypto/sha512"
	"fmt"
	"math/big"
	"sync"
)

// family is the kind of key that an algorithm takes and the way it signs.
type family int

const (
	familyHMAC family = iota + 1
	familyRSA
	familyPSS
	familyECDSA
	familyEdDSA
)

// algorithms is RFC 7518 section 3.1 and RFC 8037 section 3.1, without none.
var algorithms = map[string]struct {
	family family
	hash   crypto.Hash
	curve  elliptic.Curve
}{
	"HS256": {familyHMAC, crypto.SHA256, nil},
	"HS384": {familyHMAC, crypto.SHA384, nil},
	"HS512": {familyHMAC, crypto.SHA512, nil},
	"RS256": {familyRSA, crypto.SHA256, nil},
	"RS384": {familyRSA, crypto.SHA384, nil},
	"RS512": {familyRSA, crypto.SHA512, nil},
	"PS256": {familyPSS, crypto.SHA256, nil},
	"PS384": {familyPSS, crypto.SHA384, nil},
	"PS512": {familyPSS, crypto.SHA512, nil},
	"ES256": {familyECDSA, crypto.SHA256, elliptic.P256()},
	"ES384": {familyECDSA, crypto.SHA384, elliptic.P384()},
	"ES512": {familyECDSA, crypto.SHA512, elliptic.P521()},
	"EdDSA": {familyEdDSA, 0, nil},
}

// key signs tokens. Its private half is a crypto.Signer, or the bytes of a
// shared secret.
type key struct {
	id        string
	algorithm string
	private   any
	published bool
}

func (k *key) public() crypto.PublicKey {
	if signer, ok := k.private.(crypto.Signer); ok {
		return signer.Public()
	}
	return nil
}

// generate makes a private key for the algorithm.
func generate(algorithm string) (crypto.Signer, error) {
	switch a := algorithms[algorithm]; a.family {
	case familyRSA, familyPSS:
		return rsa.GenerateKey(rand.Reader, 2048)
	case familyECDSA:
		return ecdsa.GenerateKey(a.curve, rand.Reader)
	case familyEdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return nil, fmt.Errorf("no key can be made for %q", algorithm)
	}
}

// signAs signs the input under the algorithm, with a key that may be of another
// curve or strength than it asks for.
func signAs(algorithm string, private any, input string) []byte {
	signature, err := trySign(algorithm, private, input)
	if err != nil {
		panic(fmt.Errorf("authtest: sign with %s: %w", algorithm, err))
	}
	return signature
}

func trySign(algorithm string, private any, input string) ([]byte, error) {
	a := algorithms[algorithm]
	switch a.family {
	case familyHMAC:
		mac := hmac.New(a.hash.New, private.([]byte))
		mac.Write([]byte(input))
		return mac.Sum(nil), nil
	case familyRSA:
		return rsa.SignPKCS1v15(rand.Reader, private.(*rsa.PrivateKey), a.hash, digest(a.hash, input))
	case familyPSS:
		return signPSS(algorithm, private.(*rsa.PrivateKey), input, rsa.PSSSaltLengthEqualsHash)
	case familyECDSA:
		// RFC 7518 §3.4: R and S in big-endian order, 32 octets each for ES256,
		// 48 for ES384 and 66 for ES512.
		r, s, err := ecdsa.Sign(rand.Reader, private.(*ecdsa.PrivateKey), digest(a.hash, input))
		if err != nil {
			return nil, err
		}
		return joinRS(r, s, (a.curve.Params().BitSize+7)/8), nil
	case familyEdDSA:
		return ed25519.Sign(private.(ed25519.PrivateKey), []byte(input)), nil
	default:
		return nil, fmt.Errorf("%q is not known", algorithm)
	}
}

// signPSS signs with a salt of the given length. RFC 7518 §3.5: "The size of
// the salt value is the same size as the hash function output."
func signPSS(algorithm string, private *rsa.PrivateKey, input string, salt int) ([]byte, error) {
	hash := algorithms[algorithm].hash
	return rsa.SignPSS(rand.Reader, private, hash, digest(hash, input), &rsa.PSSOptions{SaltLength: salt})
}

func joinRS(r, s *big.Int, size int) []byte {
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

func digest(hash crypto.Hash, input string) []byte {
	h := hash.New()
	h.Write([]byte(input))
	return h.Sum(nil)
}

// foreign returns a key of somebody else's that fits the algorithm.
func foreign(algorithm string) any {
	if algorithms[algorithm].family == familyHMAC {
		return []byte("a secret of somebody else, as long as the longest hash would ask")
	}
	return shared("foreign", algorithm)
}

// sharedKeys holds the keys that are not any issuer's own, made once in a
// process. That is safe because nothing they sign is ever good.
var sharedKeys sync.Map // of func() crypto.Signer by name and algorithm

func shared(name, algorithm string) crypto.Signer {
	if f := algorithms[algorithm].family; f == familyRSA || f == familyPSS {
		algorithm = "RS256" // one for all of them
	}
	once, _ := sharedKeys.LoadOrStore(name+" "+algorithm, sync.OnceValue(func() crypto.Signer {
		private, err := generate(algorithm)
		if err != nil {
			panic(fmt.Errorf("authtest: %w", err))
		}
		return private
	}))
	return once.(func() crypto.Signer)()
}
