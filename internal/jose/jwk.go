// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"

	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// Key is a public key with its JWK thumbprint, RFC 7638.
type Key struct {
	Public     crypto.PublicKey // an *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	Thumbprint string
	Algorithm  string // alg, "" if the JWK has none
}

// jwkTable lists the members of a JWK that ParseKey reads, in this order. From d on
// they are private or symmetric key material.
var jwkTable = strictjson.NewTable("kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "d", "k", "p", "q", "dp", "dq", "qi", "oth")

var (
	errKey      = errors.New("is not a JWK with a public key of an accepted type")
	errPrivate  = errors.New("is a private or symmetric key")
	errEncoding = errors.New("is not in the canonical form")
	errUse      = errors.New("is not for verifying signatures")
)

// ParseKey parses a JWK that contains one public key, and checks the key as [CheckKey]
// does. Every number must be in its canonical encoding, so that a key has one thumbprint.
// The text of the error follows a name of the key, such as "is nil".
//
// Implements RFC 7517 §4.2, §4.3; RFC 7518 §6.2.1.
func ParseKey(jwk string) (Key, error) {
	var kty, crv, x, y, n, e, alg, use, operations, private string
	err := jwkTable.Read(jwk, strictjson.Limits{Depth: 4, Members: 64}, &kty, &crv, &x, &y, &n, &e, &alg, &use, &operations,
		&private, &private, &private, &private, &private, &private, &private, &private)
	switch {
	case err != nil:
		return Key{}, errKey
	case private != "":
		return Key{}, errPrivate
	}
	for _, member := range [...]*string{&kty, &crv, &x, &y, &n, &e, &alg, &use} {
		text, ok := strictjson.String(*member)
		if *member != "" && (!ok || text == "") {
			return Key{}, errKey
		}
		*member = text // "" is an error below, wherever it is needed
	}
	verifies := operations == ""
	if !verifies && !strictjson.Strings(operations, func(op string) bool { verifies = verifies || op == "verify"; return true }) {
		return Key{}, errKey
	}
	if !verifies || use != "" && use != "sig" {
		return Key{}, errUse
	}
	var public crypto.PublicKey
	var required string
	switch kty {
	case "EC":
		required = `{"crv":"` + crv + `","kty":"EC","x":"` + x + `","y":"` + y + `"}`
		public, err = parseEC(crv, x, y)
	case "RSA":
		required = `{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`
		public, err = parseRSA(n, e)
	case "OKP":
		required = `{"crv":"` + crv + `","kty":"OKP","x":"` + x + `"}`
		public, err = parseOKP(crv, x)
	default:
		return Key{}, errKey
	}
	if err != nil {
		return Key{}, err
	}
	// Every value is canonical base64url or a name of this file, so that it is the
	// same in the JSON of the thumbprint.
	sum := sha256.Sum256([]byte(required))
	return Key{public, base64.RawURLEncoding.EncodeToString(sum[:]), alg}, nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// RFC 7518 §6.2.1.2: "The length of this octet string MUST be the full size of a
// coordinate for the curve specified in the "crv" parameter."
func parseEC(crv, x, y string) (crypto.PublicKey, error) {
	curve := curves[crv]
	if curve == nil {
		return nil, errKey
	}
	size := (curve.Params().BitSize + 7) / 8
	var buffer [1 + 2*66]byte
	point := append(buffer[:0], 4) // uncompressed
	for n, coordinate := range [...]string{x, y} {
		var err error
		if point, err = base64url.Decode(point, coordinate); err != nil || len(point) != 1+(n+1)*size {
			return nil, errEncoding
		}
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errors.New("is not a point on its curve")
	}
	return public, nil
}

// RFC 7518 §2 (Base64urlUInt): the representation "MUST utilize the minimum number
// of octets needed to represent the value."
func parseRSA(n, e string) (crypto.PublicKey, error) {
	modulus, err := base64url.Decode(nil, n)
	if err != nil || modulus[0] == 0 {
		return nil, errEncoding
	}
	exponent, err := base64url.Decode(nil, e)
	if err != nil || exponent[0] == 0 {
		return nil, errEncoding
	}
	if len(exponent) > 4 || len(exponent) == 4 && exponent[0] > 0x7f {
		return nil, errors.New("is an RSA key with an exponent of more than 31 bits")
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}
	return public, CheckKey(public)
}

func parseOKP(crv, x string) (crypto.PublicKey, error) {
	if crv != "Ed25519" {
		return nil, errKey
	}
	decoded, err := base64url.Decode(nil, x)
	if err != nil {
		return nil, errEncoding
	}
	public := ed25519.PublicKey(decoded)
	return public, CheckKey(public)
}
