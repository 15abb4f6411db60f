// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
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
		if len(signature) != 2*((a.curve.Params().BitSize+7)/8) {
			return false
		}
		var der [maxASN1Bytes]byte
		return ecdsa.VerifyASN1(k, digest, appendASN1(der[:0], signature))
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

// digest returns the hash of the signing input, or the input itself if the algorithm
// hashes it.
func (a algorithm) digest(signingInput string) []byte {
	if a.hash == 0 {
		return []byte(signingInput)
	}
	sum := a.sum(signingInput)
	return sum[:a.hash.Size()]
}

// sum returns the hash of a text, which it copies to the stack if it has a usual size.
func (a algorithm) sum(text string) (sum [sha512.Size]byte) {
	var buffer [1024]byte
	switch input := append(buffer[:0], text...); {
	case a.hash == crypto.SHA256:
		short := sha256.Sum256(input)
		copy(sum[:], short[:])
	case a.hash == crypto.SHA384:
		short := sha512.Sum384(input)
		copy(sum[:], short[:])
	default:
		sum = sha512.Sum512(input)
	}
	return sum
}

// maxASN1Bytes is the length of a signature for P-521 in ASN.1: a sequence of two
// integers of 66 bytes.
const maxASN1Bytes = 3 + 2*(2+66)

// appendASN1 appends the ASN.1 form of an ECDSA signature: a sequence of the two halves
// as integers, without leading zeros except for the sign.
func appendASN1(der, signature []byte) []byte {
	half := len(signature) / 2
	r, s := integer(signature[:half]), integer(signature[half:])
	der = append(der, 0x30)
	length := 2 + len(r.sign) + len(r.digits) + 2 + len(s.sign) + len(s.digits)
	if length >= 0x80 {
		der = append(der, 0x81)
	}
	der = append(der, byte(length)) //nolint:gosec // at most 136
	for _, n := range [...]asn1Integer{r, s} {
		der = append(der, 2, byte(len(n.sign)+len(n.digits))) //nolint:gosec // at most 66
		der = append(append(der, n.sign...), n.digits...)
	}
	return der
}

// asn1Integer is a number that is not negative.
type asn1Integer struct {
	sign   string // a zero byte if the first bit of digits is set, or if there are none
	digits []byte
}

func integer(digits []byte) asn1Integer {
	digits = bytes.TrimLeft(digits, "\x00")
	if len(digits) == 0 || digits[0] >= 0x80 {
		return asn1Integer{"\x00", digits}
	}
	return asn1Integer{"", digits}
}

// RFC 7518 §3.5: "The size of the salt value is the same size as the hash function
// output."
func pssOptions(hash crypto.Hash) *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
}
