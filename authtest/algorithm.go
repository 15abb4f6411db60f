// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

var algorithmAttacks = []func(*kit){
	algorithmNone, algorithmMalformed, algorithmUnavailable, keyAsSecret, weakSecret, crossFamily, wrongCurve,
}

func algorithmNone(k *kit) {
	k.row = "alg none"
	for _, none := range []string{"none", "None", "NONE", "nOnE", "none ", " none", "none\x00", "none\u200b"} {
		input := signingInput(k.header().set("alg", quote(none)), k.claims())
		k.forged(fmt.Sprintf("%q", none), input+".")
	}
	header := k.header().set("alg", `"none"`)
	k.signed("none, with a valid signature", header, k.claims())
	k.forged("none, two segments", signingInput(header, k.claims()))
	k.forged(k.key.algorithm+", empty signature", signingInput(k.header(), k.claims())+".")
}

func algorithmMalformed(k *kit) {
	k.row = "alg malformed"
	name := k.key.algorithm
	k.signed("missing", k.header().without("alg"), k.claims())
	for _, value := range []string{
		"null", "true", "256", `""`, "[]", "{}",
		"[" + quote(name) + "]",
		`{"alg":` + quote(name) + "}",
		quote(name + " "), quote(" " + name), quote(name + "\x00"), quote(name + "\n"),
		quote(strings.ToLower(name)), quote(name + ",none"), quote("none," + name), quote(strings.Replace(name, "S", "ſ", 1)),
	} {
		if value != quote(name) {
			k.signed(value, k.header().set("alg", value), k.claims())
		}
	}
}

// algorithmUnavailable names an algorithm that the issuer does not use, with a
// signature that is valid for one that it uses.
func algorithmUnavailable(k *kit) {
	k.row = "alg unavailable"
	for _, algorithm := range []string{
		"HS256 ", "hs256", "HS1", "RS1", "Ed25519", "Ed448", "ES256K", "ESP256", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
		"RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "dir", "A128KW", "A256GCMKW", "ECDH-ES", "PBES2-HS256+A128KW",
	} {
		k.signed(algorithm, k.header().set("alg", quote(algorithm)), k.claims())
	}
}

// keyAsSecret makes an HMAC whose secret is an encoding of the public key
// (algorithm confusion), RFC 8725 section 2.1.
func keyAsSecret(k *kit) {
	k.row = "public key as a secret"
	for _, signer := range k.keys(familyRSA, familyPSS, familyECDSA, familyEdDSA) {
		secrets := publicTexts(signer)
		if i := slices.IndexFunc(secrets, func(s secretText) bool { return s.name == "JWK Set" }); i >= 0 {
			secrets[i].secret = k.issuer.KeySet()
		}
		for _, text := range secrets {
			for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
				k.hmac(fmt.Sprintf("%s by the %s of %s", algorithm, text.name, signer.id), algorithm, text.secret, k.issuer.header(signer))
			}
		}
	}
}

type secretText struct {
	name   string
	secret []byte
}

// publicTexts returns the usual encodings of a public key.
func publicTexts(signer *key) []secretText {
	public := signer.public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err)) // not for a key of this package
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	texts := []secretText{
		{"PEM", text},
		{"PEM without the last line break", text[:len(text)-1]},
		{"DER", der},
		{"JWK", []byte(newJWK(signer.id, signer.algorithm, public).String())},
		{"JWK Set", nil},
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		der := x509.MarshalPKCS1PublicKey(public)
		return append(texts, []secretText{
			{"PKCS #1 PEM", pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der})},
			{"PKCS #1 DER", der},
			{"modulus", public.N.Bytes()},
			{"modulus in base64url", []byte(encode(public.N.Bytes()))},
		}...)
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(fmt.Errorf("authtest: %w", err))
		}
		return append(texts, secretText{"point", point}, secretText{"coordinates", point[1:]})
	case ed25519.PublicKey:
		return append(texts, secretText{"raw bytes", public}, secretText{"base64url", []byte(encode(public))})
	}
	return texts
}

// weakSecret uses secrets of tutorials and of common mistakes.
func weakSecret(k *kit) {
	k.row = "weak secret"
	for _, secret := range []string{
		"", "\x00", "secret", "password", "changeme", "key", "jwt", "your-256-bit-secret", "your_jwt_secret", "AllYourBase",
		k.key.id, k.issuer.URL, k.issuer.Audience,
	} {
		name := fmt.Sprintf("%q", secret)
		switch secret {
		case k.key.id:
			name = "the kid"
		case k.issuer.URL:
			name = "the issuer"
		case k.issuer.Audience:
			name = "the audience"
		}
		k.hmac(name, "HS256", []byte(secret), k.header())
	}
}

// crossFamily uses a key with another algorithm that fits its type.
//
//	RFC 8725 §3.1: "Each key MUST be used with exactly one algorithm, and this
//	MUST be checked when the cryptographic operation is performed."
func crossFamily(k *kit) {
	k.row = "key of another algorithm"
	for _, signer := range k.keys(familyRSA, familyPSS, familyHMAC) {
		candidates := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		if algorithms[signer.algorithm].family == familyHMAC {
			candidates = []string{"HS256", "HS384", "HS512"}
		}
		for _, algorithm := range candidates {
			// A secret has no kid that could say for which algorithm it is.
			if algorithm == signer.algorithm || k.issuer.Secret.Len() > 0 && slices.Contains(k.issuer.Algorithms, algorithm) {
				continue
			}
			k.signedAs(algorithm+" by "+signer.id, algorithm, signer)
		}
	}
}

// wrongCurve signs under the algorithm of one curve with a key on another.
//
//	RFC 7518 §3.4: "ECDSA using P-256 and SHA-256" is ES256, and so on.
func wrongCurve(k *kit) {
	k.row = "key of another curve"
	for _, signer := range k.keys(familyECDSA) {
		for _, algorithm := range []string{"ES256", "ES384", "ES512"} {
			if algorithm == signer.algorithm {
				continue
			}
			own, other := algorithms[signer.algorithm].curve, algorithms[algorithm].curve
			if own.Params().BitSize > other.Params().BitSize {
				continue // r and s do not fit
			}
			k.signedAs(algorithm+" by "+signer.id, algorithm, signer)
		}
	}
}

// signedAs is a token that a key of the issuer has signed under another algorithm
// than its own.
func (k *kit) signedAs(name, algorithm string, signer *key) {
	as := &key{id: signer.id, algorithm: algorithm, private: signer.private}
	a := k.attempt(name, as.sign(k.issuer.header(as).String(), k.claims().String()))
	a.signer = as
	k.emit(a)
}
