// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// algorithm is a row of the table of signature algorithms.
type algorithm struct {
	hash  crypto.Hash    // zero for Ed25519, which hashes by itself
	curve elliptic.Curve // of ECDSA
	pss   bool
}

// algorithms are the asymmetric algorithms of RFC 7518 section 3.1, RFC 8037 and RFC 9864.
var algorithms = map[string]algorithm{
	"ES256":   {hash: crypto.SHA256, curve: elliptic.P256()},
	"ES384":   {hash: crypto.SHA384, curve: elliptic.P384()},
	"ES512":   {hash: crypto.SHA512, curve: elliptic.P521()},
	"PS256":   {hash: crypto.SHA256, pss: true},
	"PS384":   {hash: crypto.SHA384, pss: true},
	"PS512":   {hash: crypto.SHA512, pss: true},
	"RS256":   {hash: crypto.SHA256},
	"RS384":   {hash: crypto.SHA384},
	"RS512":   {hash: crypto.SHA512},
	"EdDSA":   {},
	"Ed25519": {},
}

// Fits reports whether a key of the type and the curve of public can be used with
// an algorithm. It is false for an algorithm that is unknown, symmetric or "none".
//
//	RFC 7518 §3.4: ES256 is "ECDSA using P-256 and SHA-256"
//
// Implements RFC 8725 §3.2.
func Fits(name string, public crypto.PublicKey) bool {
	a, ok := algorithms[name]
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ok && k.Curve == a.curve
	case *rsa.PublicKey:
		return ok && a.curve == nil && a.hash != 0
	case ed25519.PublicKey:
		return ok && a.hash == 0
	}
	return false
}

// Verify reports whether signature is that of the signing input by the key public,
// which [CheckKey] or [ParseKey] has checked, with an algorithm that fits it.
//
// Implements RFC 7515 §5.2; RFC 7518 §3.3, §3.4, §3.5.
func Verify(name string, public crypto.PublicKey, signingInput string, signature []byte) bool {
	if !Fits(name, public) {
		return false
	}
	a := algorithms[name]
	digest := a.digest(signingInput)
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		size := (a.curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(k, digest, r, s)
	case *rsa.PublicKey:
		if a.pss {
			return rsa.VerifyPSS(k, a.hash, digest, signature, pssOptions(a.hash)) == nil
		}
		return rsa.VerifyPKCS1v15(k, a.hash, digest, signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(k, digest, signature)
	}
	return false
}

// Sign returns the signature of the signing input by a private key, with an
// algorithm that fits its public key.
func Sign(name string, private crypto.Signer, signingInput string) ([]byte, error) {
	if !Fits(name, private.Public()) {
		return nil, fmt.Errorf("%s: does not fit a %T", name, private.Public())
	}
	a := algorithms[name]
	var options crypto.SignerOpts = a.hash
	if a.pss {
		options = pssOptions(a.hash)
	}
	signature, err := private.Sign(rand.Reader, a.digest(signingInput), options)
	if err != nil || a.curve == nil {
		return signature, err
	}
	var point struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(signature, &point); err != nil || len(rest) > 0 {
		return nil, errors.New("the signer returned no ECDSA signature in ASN.1")
	}
	size := (a.curve.Params().BitSize + 7) / 8
	signature = make([]byte, 2*size)
	point.R.FillBytes(signature[:size])
	point.S.FillBytes(signature[size:])
	return signature, nil
}

// digest returns what is signed: the hash of the signing input, or the input itself
// where the algorithm hashes it.
func (a algorithm) digest(signingInput string) []byte {
	if a.hash == 0 {
		return []byte(signingInput)
	}
	h := a.hash.New()
	_, _ = h.Write([]byte(signingInput))
	return h.Sum(nil)
}

// RFC 7518 §3.5: "The size of the salt value is the same size as the hash function
// output."
func pssOptions(hash crypto.Hash) *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
}
