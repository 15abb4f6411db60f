// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"

	"github.com/golang-jwt/jwt/v5"
)

// Algorithm is a signature algorithm of RFC 7518 section 3.1, RFC 8037 or RFC 9864.
type Algorithm string

// The algorithms. "none" is not supported. There is no default algorithm.
const (
	RS256 Algorithm = "RS256"
	RS384 Algorithm = "RS384"
	RS512 Algorithm = "RS512"
	PS256 Algorithm = "PS256"
	PS384 Algorithm = "PS384"
	PS512 Algorithm = "PS512"
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
	EdDSA Algorithm = "EdDSA" // only with Ed25519

	// Ed25519 is the name of RFC 9864 for the same algorithm as EdDSA. A key whose alg is
	// either name verifies tokens whose alg is either name, if Issuer.Algorithms contains
	// the alg of the token.
	Ed25519 Algorithm = "Ed25519"

	// The symmetric algorithms: every verifier can also sign.
	HS256 Algorithm = "HS256"
	HS384 Algorithm = "HS384"
	HS512 Algorithm = "HS512"
)

// algorithms holds the verification method of each asymmetric algorithm, and a function
// that reports whether a key fits the algorithm.
//
// Implements RFC 8725 §3.2; RFC 9068 §2.1; ASVS 5.0 §9.1.2.
var algorithms = map[Algorithm]struct {
	method jwt.SigningMethod
	fits   func(crypto.PublicKey) bool
}{
	RS256: {jwt.SigningMethodRS256, isRSA},
	RS384: {jwt.SigningMethodRS384, isRSA},
	RS512: {jwt.SigningMethodRS512, isRSA},
	PS256: {pss(jwt.SigningMethodPS256), isRSA},
	PS384: {pss(jwt.SigningMethodPS384), isRSA},
	PS512: {pss(jwt.SigningMethodPS512), isRSA},
	ES256: {jwt.SigningMethodES256, onCurve(elliptic.P256())},
	ES384: {jwt.SigningMethodES384, onCurve(elliptic.P384())},
	ES512: {jwt.SigningMethodES512, onCurve(elliptic.P521())},
	EdDSA: {jwt.SigningMethodEdDSA, isEd25519},

	Ed25519: {jwt.SigningMethodEdDSA, isEd25519},
}

// canonical returns one name for each algorithm.
func (a Algorithm) canonical() Algorithm {
	if a == Ed25519 {
		return EdDSA
	}
	return a
}

// hmacHashes holds the hash of each symmetric algorithm.
var hmacHashes = map[Algorithm]crypto.Hash{
	HS256: crypto.SHA256,
	HS384: crypto.SHA384,
	HS512: crypto.SHA512,
}

// pss returns m with the salt length that the RFC requires: golang-jwt accepts any.
//
//	RFC 7518 §3.5: "The size of the salt value is the same size as the hash
//	function output."
func pss(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash},
	}
}

func isRSA(key crypto.PublicKey) bool {
	_, ok := key.(*rsa.PublicKey)
	return ok
}

func isEd25519(key crypto.PublicKey) bool {
	_, ok := key.(ed25519.PublicKey)
	return ok
}

// onCurve binds an algorithm to its curve: golang-jwt does not.
//
//	RFC 7518 §3.4: ES256 is "ECDSA using P-256 and SHA-256"
func onCurve(curve elliptic.Curve) func(crypto.PublicKey) bool {
	return func(key crypto.PublicKey) bool {
		k, ok := key.(*ecdsa.PublicKey)
		return ok && k.Curve == curve
	}
}
