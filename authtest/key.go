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
	_ "crypto/sha256" // registers crypto.SHA256 and others
	_ "crypto/sha512"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
)

// family is a type of key together with a way to sign.
type family int

const (
	familyHMAC family = iota + 1
	familyRSA
	familyPSS
	familyECDSA
	familyEdDSA
)

// algorithms are those of RFC 7518 section 3.1 and RFC 8037 section 3.1, without
// none.
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
		if k := spareRSA.take(); k != nil {
			return k, nil
		}
		return rsa.GenerateKey(rand.Reader, 2048)
	case familyECDSA:
		return ecdsa.GenerateKey(a.curve, rand.Reader)
	case familyEdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return nil, fmt.Errorf("algorithm %q is unknown", algorithm)
	}
}

// generate makes a private key of the issuer.
func (i *Issuer) generate(algorithm string) (crypto.Signer, error) {
	private, err := generate(algorithm)
	if k, ok := private.(*rsa.PrivateKey); ok {
		i.rsaKeys = append(i.rsaKeys, k)
	}
	return private, err
}

// spares are RSA keys that nothing uses.
type spares struct {
	mu   sync.Mutex
	keys []*rsa.PrivateKey
}

// spareRSA has the keys of issuers whose tests have ended. To make a new one takes
// longer than most tests.
var spareRSA spares

func (s *spares) add(keys []*rsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, keys...)
}

// take returns nil if there is no key.
func (s *spares) take() *rsa.PrivateKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		return nil
	}
	k := s.keys[0]
	s.keys = s.keys[1:]
	return k
}

// signAs signs the input under the algorithm. The key may have another curve or size
// than the algorithm requires.
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
		return nil, fmt.Errorf("algorithm %q is unknown", algorithm)
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

// foreign returns a key for the algorithm that is not of the issuer.
func foreign(algorithm string) any {
	if algorithms[algorithm].family == familyHMAC {
		return []byte("a secret of another issuer, long enough for the longest of the hashes")
	}
	return shared("foreign", algorithm)
}

// sharedKeys holds the keys that belong to no issuer. They are made once in a
// process, which is safe because their signatures are never valid.
var sharedKeys sync.Map // of func() crypto.Signer by name and algorithm

func shared(name, algorithm string) crypto.Signer {
	if f := algorithms[algorithm].family; f == familyRSA || f == familyPSS {
		algorithm = "RS256" // one key for all RSA algorithms
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

// jwk is a JSON Web Key, RFC 7517 section 4.
type jwk map[string]any

// newJWK returns the JWK of a public key that verifies signatures.
func newJWK(id, algorithm string, public crypto.PublicKey) jwk {
	k := jwk{"kid": id, "alg": algorithm, "use": "sig"}
	switch public := public.(type) {
	case *rsa.PublicKey:
		k["kty"] = "RSA"
		k["n"] = encode(public.N.Bytes())
		k["e"] = encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4 || X || Y
		if err != nil {
			panic(fmt.Errorf("authtest: %w", err))
		}
		half := len(point) / 2
		k["kty"] = "EC"
		k["crv"] = public.Curve.Params().Name
		k["x"] = encode(point[1 : 1+half])
		k["y"] = encode(point[1+half:])
	case ed25519.PublicKey:
		k["kty"] = "OKP"
		k["crv"] = "Ed25519"
		k["x"] = encode(public)
	}
	return k
}

// with returns a copy with more members; a nil value removes one.
func (k jwk) with(members jwk) jwk {
	all := make(jwk)
	for _, m := range []jwk{k, members} {
		for name, value := range m {
			if value == nil {
				delete(all, name)
				continue
			}
			all[name] = value
		}
	}
	return all
}

func (k jwk) String() string {
	text, err := json.Marshal(k)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err)) // it has only strings and lists of them
	}
	return string(text)
}

// KeySet returns the JWK Set that the issuer serves without a [Fault].
func (i *Issuer) KeySet() []byte {
	keys := []jwk{}
	for _, k := range i.Keys() {
		keys = append(keys, newJWK(k.ID, k.Algorithm, k.Public))
	}
	i.mu.Lock()
	for _, odd := range i.oddKeys {
		keys = append(keys, odd.jwk)
	}
	i.mu.Unlock()
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(fmt.Errorf("authtest: key set: %w", err))
	}
	return document
}

// id returns the kid as JSON.
func (k jwk) id() string { return marshal(k["kid"]) }
