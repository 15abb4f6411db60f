// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// Thumbprint returns the JWK thumbprint of a public key, RFC 7638, with SHA-256. The text
// of the error follows a name of the key, such as "is nil".
//
//	RFC 7638 §3: "Construct a JSON object [RFC7159] containing only the required
//	members of a JWK representing the key and with no whitespace or line breaks
//	before or after any syntactic elements and with the required members ordered
//	lexicographically by the Unicode [UNICODE] code points of the member names."
func Thumbprint(public crypto.PublicKey) (string, error) {
	members := Members(public)
	if len(members) == 0 {
		return "", fmt.Errorf("is a %T, want *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey", public)
	}
	text, err := json.Marshal(members) // sorted by name
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// Members returns the required members of a JWK: RFC 7518 section 6, RFC 8037
// section 2. It is empty for other types of keys.
func Members(public crypto.PublicKey) map[string]string {
	encode := base64.RawURLEncoding.EncodeToString
	jwk := make(map[string]string)
	switch p := public.(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(p.N.Bytes()), encode(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		size := (p.Params().BitSize + 7) / 8
		jwk["kty"], jwk["crv"] = "EC", p.Params().Name
		jwk["x"], jwk["y"] = encode(p.X.FillBytes(make([]byte, size))), encode(p.Y.FillBytes(make([]byte, size)))
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", encode(p)
	}
	return jwk
}
