// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

var signatureAttacks = []func(*kit){tampered, foreignKey, pssSalt, rsaPadding, ecdsaValues, malleable, edwards}

func tampered(k *kit) {
	k.row = "signature altered"
	families := []family{familyHMAC, familyRSA, familyPSS, familyECDSA, familyEdDSA}
	for _, signer := range k.keys(families...) {
		forge := func(name string, change func(input string, signature []byte) (string, []byte)) {
			input, signature := change(k.parts(signer))
			k.forged(signer.algorithm+", "+name, input+"."+encode(signature))
		}
		keep := func(change func([]byte) []byte) func(string, []byte) (string, []byte) {
			return func(input string, signature []byte) (string, []byte) { return input, change(signature) }
		}
		forge("first bit", keep(func(s []byte) []byte { s[0] ^= 0x80; return s }))
		forge("last bit", keep(func(s []byte) []byte { s[len(s)-1] ^= 1; return s }))
		forge("one byte short", keep(func(s []byte) []byte { return s[:len(s)-1] }))
		forge("the first half", keep(func(s []byte) []byte { return s[:len(s)/2] }))
		forge("one byte more", keep(func(s []byte) []byte { return append(s, 0) }))
		forge("twice", keep(func(s []byte) []byte { return append(s, s...) }))
		forge("all zero", keep(func(s []byte) []byte { return make([]byte, len(s)) }))
		forge("of another token", func(input string, _ []byte) (string, []byte) {
			// With a claim, because all tokens of one second are equal if the issuer has no jti.
			other := signingInput(k.issuer.header(signer), k.claims().set("x", "1"))
			return input, signAs(signer.algorithm, signer.private, other)
		})
		forge("of the payload alone", func(input string, _ []byte) (string, []byte) {
			_, payload, _ := strings.Cut(input, ".")
			return input, signAs(signer.algorithm, signer.private, payload)
		})
		forge("claims changed", func(_ string, signature []byte) (string, []byte) {
			return signingInput(k.issuer.header(signer), k.claims().set("sub", `"mallory"`)), signature
		})
		forge("header changed", func(input string, signature []byte) (string, []byte) {
			_, payload, _ := strings.Cut(input, ".")
			return encode(k.issuer.header(signer).set("x", "1").String()) + "." + payload, signature
		})
	}
}

func foreignKey(k *kit) {
	k.row = "signature of a foreign key"
	for _, signer := range k.keys(familyHMAC, familyRSA, familyPSS, familyECDSA, familyEdDSA) {
		input, _ := k.parts(signer)
		k.forged(signer.algorithm, input+"."+encode(signAs(signer.algorithm, foreign(signer.algorithm), input)))
	}
}

// pssSalt makes PSS signatures with one wrong parameter.
//
//	RFC 7518 §3.5: "The size of the salt value is the same size as the hash
//	function output."
func pssSalt(k *kit) {
	k.row = "PSS salt"
	for _, signer := range k.keys(familyPSS) {
		private := signer.private.(*rsa.PrivateKey)
		hash := algorithms[signer.algorithm].hash
		longest := (private.N.BitLen()+6)/8 - hash.Size() - 2
		for _, salt := range []struct {
			name   string
			length int
		}{
			{"none", 0},
			{"of 20 bytes", 20},
			{"one byte short", hash.Size() - 1},
			{"one byte more", hash.Size() + 1},
			{"the longest", longest},
		} {
			input, _ := k.parts(signer)
			em := padPSS(hash, hash, digest(hash, input), private.N.BitLen()-1, salt.length)
			k.forged(signer.algorithm+", "+salt.name, input+"."+encode(rawRSA(private, em)))
		}
		input, _ := k.parts(signer)
		em := padPSS(hash, crypto.SHA1, digest(hash, input), private.N.BitLen()-1, hash.Size())
		k.forged(signer.algorithm+", mask of SHA-1", input+"."+encode(rawRSA(private, em)))
	}
}

// rsaPadding makes signatures that a verifier may accept if it parses the padding
// instead of comparing it: Bleichenbacher's forgery of 2006 and similar ones. The
// key of the issuer makes them, so that only the padding is wrong.
func rsaPadding(k *kit) {
	k.row = "PKCS #1 padding"
	for _, signer := range k.keys(familyRSA) {
		private := signer.private.(*rsa.PrivateKey)
		for _, padding := range paddings {
			input, _ := k.parts(signer)
			hash := algorithms[signer.algorithm].hash
			em := padding.make(private.Size(), hash, digest(hash, input))
			k.forged(signer.algorithm+", "+padding.name, input+"."+encode(rawRSA(private, em)))
		}
		input, signature := k.parts(signer)
		k.forged(signer.algorithm+", a leading zero byte", input+"."+encode(append([]byte{0}, signature...)))
		// RFC 8017 §8.2.2 step 2 with §5.2.2 step 1: a representative that is
		// not between 0 and n - 1 is out of range.
		for n, sum := 0, new(big.Int); ; n++ {
			input := signingInput(k.issuer.header(signer), k.claims().set("x", strconv.Itoa(n)))
			signature := signAs(signer.algorithm, private, input)
			sum.Add(new(big.Int).SetBytes(signature), private.N)
			if sum.BitLen() <= 8*private.Size() {
				k.forged(signer.algorithm+", the modulus added", input+"."+encode(sum.FillBytes(signature)))
				break
			}
		}
	}
}

// ecdsaValues puts values outside their range into r and s (psychic signatures,
// CVE-2022-21449), and r and s into encodings that RFC 7518 does not define.
func ecdsaValues(k *kit) {
	k.row = "ECDSA values"
	for _, signer := range k.keys(familyECDSA) {
		order := signer.private.(*ecdsa.PrivateKey).Params().N
		zero, one := new(big.Int), big.NewInt(1)
		forge := func(name string, change func(r, s *big.Int, size int) []byte) {
			input, signature := k.parts(signer)
			size := len(signature) / 2
			r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
			k.forged(signer.algorithm+", "+name, input+"."+encode(change(r, s, size)))
		}
		forge("r = s = 0", func(_, _ *big.Int, size int) []byte { return joinRS(zero, zero, size) })
		forge("r = 0", func(_, s *big.Int, size int) []byte { return joinRS(zero, s, size) })
		forge("s = 0", func(r, _ *big.Int, size int) []byte { return joinRS(r, zero, size) })
		forge("r = s = 1", func(_, _ *big.Int, size int) []byte { return joinRS(one, one, size) })
		forge("r = s = n", func(_, _ *big.Int, size int) []byte { return joinRS(order, order, size) })
		forge("r = n", func(_, s *big.Int, size int) []byte { return joinRS(order, s, size) })
		forge("s = n", func(r, _ *big.Int, size int) []byte { return joinRS(r, order, size) })
		forge("swapped", func(r, s *big.Int, size int) []byte { return joinRS(s, r, size) })
		forge("too long", func(r, s *big.Int, size int) []byte { return joinRS(r, s, size+1) })
		forge("s too long", func(r, s *big.Int, size int) []byte {
			return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size+1))...)
		})
		forge("n added to both", func(r, s *big.Int, size int) []byte {
			r.Add(r, order)
			s.Add(s, order)
			return joinRS(r, s, max(size, (max(r.BitLen(), s.BitLen())+7)/8))
		})
		forge("DER", func(r, s *big.Int, _ int) []byte {
			der, err := asn1.Marshal([]*big.Int{r, s})
			if err != nil {
				panic(fmt.Errorf("authtest: %w", err))
			}
			return der
		})
	}
}

// malleable turns (r, s) into (r, n - s), which is valid too: a program must not
// identify tokens by their signatures.
func malleable(k *kit) {
	k.row = "ECDSA malleability"
	for _, signer := range k.keys(familyECDSA) {
		input, signature := k.parts(signer)
		half := signature[len(signature)/2:]
		s := new(big.Int).SetBytes(half)
		s.Sub(signer.private.(*ecdsa.PrivateKey).Params().N, s).FillBytes(half)
		k.validToken(signer, signer.algorithm+", (r, n - s)", input+"."+encode(signature))
	}
}

// edwards makes Ed25519 signatures that some verifiers accept and RFC 8032 rejects.
func edwards(k *kit) {
	k.row = "EdDSA values"
	for _, signer := range k.keys(familyEdDSA) {
		private := signer.private.(ed25519.PrivateKey)
		forge := func(name string, change func(input string, signature []byte) []byte) {
			input, signature := k.parts(signer)
			k.forged(name, input+"."+encode(change(input, signature)))
		}
		// RFC 8032 §5.1.7: S is decoded "in the range 0 <= s < L".
		forge("L added to S", func(_ string, signature []byte) []byte {
			s := signature[32:] // in little-endian order
			slices.Reverse(s)
			new(big.Int).Add(new(big.Int).SetBytes(s), ed25519Order).FillBytes(s)
			slices.Reverse(s)
			return signature
		})
		forge("R neutral, S = 0", func(string, []byte) []byte { return lowOrder().sign("") })
		forge("Ed25519ph", func(input string, _ []byte) []byte {
			sum := sha512.Sum512([]byte(input))
			return ed25519Variant(private, sum[:], &ed25519.Options{Hash: crypto.SHA512})
		})
		forge("Ed25519ctx", func(input string, _ []byte) []byte {
			return ed25519Variant(private, []byte(input), &ed25519.Options{Context: "JWT"})
		})
		forge("in base64 again", func(_ string, signature []byte) []byte {
			return []byte(base64.StdEncoding.EncodeToString(signature))
		})
	}
}

func ed25519Variant(private ed25519.PrivateKey, message []byte, options *ed25519.Options) []byte {
	signature, err := private.Sign(rand.Reader, message, options)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err))
	}
	return signature
}

// ed25519Order is L, the order of the base point, RFC 8032 section 5.1.
var ed25519Order, _ = new(big.Int).SetString(
	"7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
