// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
)

// oddKey is a key that occurs in key sets and must not verify a token.
type oddKey struct {
	name string
	jwk  jwk

	// algorithm and sign make a token that is valid if a verifier uses the key.
	// Malformed keys have none. sign returns nil for inputs that it cannot sign.
	algorithm string
	sign      func(input string) []byte

	// usable says that the key is valid and shares its kid with another key.
	usable bool
}

// PublishOddKeys adds unusable keys to the key set: keys for encryption, with private or
// symmetric parts, too weak, of unknown types, or not on their curve. It also adds pairs
// of keys with one kid. A verifier must ignore the unusable keys and still use the
// others. [Attacks] then includes tokens that the unusable keys have signed. Call
// PublishOddKeys before the handler fetches the key set.
func (i *Issuer) PublishOddKeys() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.oddKeys != nil {
		return nil
	}
	odd, err := i.makeOddKeys()
	if err != nil {
		return fmt.Errorf("authtest: odd keys: %w", err)
	}
	i.oddKeys = odd
	return nil
}

func (i *Issuer) makeOddKeys() ([]oddKey, error) {
	algorithm := i.config.Algorithms[0]
	if algorithms[algorithm].family == familyHMAC {
		return nil, fmt.Errorf("an issuer with %s has no key set", algorithm)
	}
	odd := []oddKey{
		misused("use enc", algorithm, jwk{"use": "enc"}),
		misused("use unknown", algorithm, jwk{"use": "tls"}),
		misused("key_ops encrypt", algorithm, jwk{"use": nil, "key_ops": []string{"encrypt", "wrapKey"}}),
		misused("key_ops sign", algorithm, jwk{"use": nil, "key_ops": []string{"sign"}}),
		misused("key_ops empty", algorithm, jwk{"use": nil, "key_ops": []string{}}),
		misused("alg of another", algorithm, jwk{"alg": otherAlgorithm(algorithm)}),
		private("private parts", algorithm),
		symmetric("oct", []byte("a symmetric key that was published, 64 bytes long, for all to see")),
		symmetric("oct of one byte", []byte("k")),
	}
	uses := func(families ...family) string {
		for _, a := range i.config.Algorithms {
			if slices.Contains(families, algorithms[a].family) {
				return a
			}
		}
		return ""
	}
	if a := uses(familyRSA, familyPSS); a != "" {
		odd = append(odd, weakRSA(a))
	}
	if uses(familyRSA) != "" {
		odd = append(odd, exponentOne(uses(familyRSA)), exponentTwo(uses(familyRSA)))
	}
	if slices.Contains(i.config.Algorithms, "ES256") {
		odd = append(odd, foreignCurve())
	}
	if uses(familyEdDSA) != "" {
		odd = append(odd, lowOrder())
	}
	odd = append(odd, unreadable()...)
	odd = append(odd, oddKey{
		name: "x5u of the attacker",
		jwk: newJWK(oddID("x5u"), algorithm, shared("exponent one", algorithm).Public()).with(jwk{
			"use": "enc", "x5u": i.attackerURL("odd key: x5u of the attacker"),
		}),
	})
	other := "ES256"
	if algorithms[algorithm].family == familyECDSA {
		other = "EdDSA"
	}
	for _, company := range []struct{ name, algorithm string }{
		{"one kid, two types", other}, {"one kid, two of a type", algorithm},
	} {
		pair, err := i.twins(company.name, algorithm, company.algorithm)
		if err != nil {
			return nil, err
		}
		odd = append(odd, pair...)
	}
	return odd, nil
}

// misused is a valid key whose JWK gives it another purpose. They are all one key
// with several IDs, because to make an RSA key takes long.
func misused(name, algorithm string, members jwk) oddKey {
	k := shared("misused", algorithm)
	return oddKey{
		name:      name,
		jwk:       newJWK(oddID(name), algorithm, k.Public()).with(members),
		algorithm: algorithm,
		sign:      func(input string) []byte { return signAs(algorithm, k, input) },
	}
}

func oddID(name string) string { return "odd: " + name }

// otherAlgorithm returns another algorithm for the same type of key, or for another
// type if there is none.
func otherAlgorithm(algorithm string) string {
	switch a := algorithms[algorithm]; {
	case a.family == familyRSA && algorithm != "RS512":
		return "RS512"
	case a.family == familyPSS && algorithm != "PS512":
		return "PS512"
	case a.family == familyECDSA && algorithm != "ES384":
		return "ES384"
	}
	return "RS256"
}

// private is a key whose private part is published.
func private(name, algorithm string) oddKey {
	odd := misused(name, algorithm, nil)
	switch k := shared("misused", algorithm).(type) {
	case *rsa.PrivateKey:
		p := k.Precomputed
		odd.jwk = odd.jwk.with(jwk{
			"d": encode(k.D.Bytes()), "p": encode(k.Primes[0].Bytes()), "q": encode(k.Primes[1].Bytes()),
			"dp": encode(p.Dp.Bytes()), "dq": encode(p.Dq.Bytes()), "qi": encode(p.Qinv.Bytes()),
		})
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		if err != nil {
			panic(fmt.Errorf("authtest: %w", err))
		}
		odd.jwk = odd.jwk.with(jwk{"d": encode(d)})
	case ed25519.PrivateKey:
		odd.jwk = odd.jwk.with(jwk{"d": encode(k.Seed())})
	}
	return odd
}

func symmetric(name string, secret []byte) oddKey {
	return oddKey{
		name:      name,
		jwk:       jwk{"kty": "oct", "kid": oddID(name), "alg": "HS256", "use": "sig", "k": encode(secret)},
		algorithm: "HS256",
		sign:      func(input string) []byte { return signAs("HS256", secret, input) },
	}
}

// unreadable are malformed keys that a parser has to skip.
func unreadable() []oddKey {
	rsaKey := newJWK("", "RS256", shared("exponent one", "RS256").Public())
	ecKey := newJWK("", "ES256", shared("unreadable", "ES256").Public())
	point := encode(new(big.Int).Lsh(big.NewInt(1), 200).FillBytes(make([]byte, 32)))
	odd := []oddKey{
		{name: "kty unknown", jwk: jwk{"kty": "XYZ", "x": "AQAB"}},
		{name: "kty missing", jwk: ecKey.with(jwk{"kty": nil})},
		{name: "curve unknown", jwk: jwk{"kty": "OKP", "crv": "Ed448", "x": encode(make([]byte, 57))}},
		{name: "point off the curve", jwk: ecKey.with(jwk{"x": point, "y": point})},
		{name: "modulus not base64", jwk: rsaKey.with(jwk{"n": "!!!"})},
		{name: "modulus a number", jwk: rsaKey.with(jwk{"n": 65537})},
	}
	for n := range odd {
		odd[n].jwk = odd[n].jwk.with(jwk{"kid": oddID(odd[n].name)})
	}
	return odd
}

// twins are two valid keys of one kid, of which the second signs.
//
//	RFC 7517 §4.5: "One example in which different keys might use the same "kid"
//	value is if they have different "kty" (key type) values but are considered to
//	be equivalent alternatives by the application using them."
func (i *Issuer) twins(name, algorithm, first string) ([]oddKey, error) {
	other, err := i.generate(first)
	if err != nil {
		return nil, err
	}
	own, err := i.generate(algorithm)
	if err != nil {
		return nil, err
	}
	return []oddKey{
		{name: name + ", the other", jwk: newJWK(oddID(name), first, other.Public())},
		{
			name: name, usable: true,
			jwk:       newJWK(oddID(name), algorithm, own.Public()),
			algorithm: algorithm,
			sign:      func(input string) []byte { return signAs(algorithm, own, input) },
		},
	}, nil
}
