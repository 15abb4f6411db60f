// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// The keys of the standards.
const (
	rfc7638Key = `{"kty":"RSA","e":"AQAB","alg":"RS256","kid":"2011-04-29","n":"` +
		`0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst` +
		`n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr` +
		`n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`
	rfc7515A3Key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	rfc8037A2Key = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

func keyOf(t *testing.T, jwk string, a Algorithm) *key {
	t.Helper()
	k, err := parseKey(jwk, []Algorithm{a})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// RFC 7638 section 3.1, RFC 8037 section A.3.
//
// Covers RFC 7638 §3.
func TestThumbprintVectors(t *testing.T) {
	for jwk, c := range map[string]struct {
		algorithm Algorithm
		want      string
	}{
		rfc7638Key:   {RS256, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		rfc8037A2Key: {EdDSA, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		if got, err := Thumbprint(keyOf(t, jwk, c.algorithm).public); err != nil || got != c.want {
			t.Errorf("%s, %v, want %s", got, err, c.want)
		}
	}
	for _, other := range []crypto.PublicKey{nil, []byte("key"), "key"} {
		if got, err := Thumbprint(other); err == nil {
			t.Errorf("%T: %s", other, got)
		}
	}
}

// RFC 7515 sections A.1 and A.3, RFC 8037 section A.4. None of these tokens says
// what an access token has to say, so only their signatures are looked at.
func TestSignatureVectors(t *testing.T) {
	const claims = ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
	secret, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	if err != nil {
		t.Fatal(err)
	}
	hmac := newHMACKey(crypto.SHA256, secret)
	ecdsa, ed25519 := keyOf(t, rfc7515A3Key, ES256), keyOf(t, rfc8037A2Key, EdDSA)
	for name, c := range map[string]struct {
		token  string
		verify func(signingInput string, signature []byte) bool
	}{
		"HS256": {"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" + claims + "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", hmac.verify},
		"ES256": {
			"eyJhbGciOiJFUzI1NiJ9" + claims + "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
			func(in string, sig []byte) bool { return ecdsa.verify(ES256, in, sig) },
		},
		"EdDSA": {
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
				"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
			func(in string, sig []byte) bool { return ed25519.verify(EdDSA, in, sig) },
		},
	} {
		parts, err := jose.Split(c.token)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := base64url.Decode(nil, parts.Signature)
		if err != nil {
			t.Fatal(err)
		}
		if !c.verify(parts.SigningInput, signature) {
			t.Errorf("%s: the vector does not verify", name)
		}
		if c.verify(strings.Replace(parts.SigningInput, ".", ".A", 1), signature) {
			t.Errorf("%s: another text verifies", name)
		}
		for _, n := range []int{0, len(signature) - 1} {
			signature[n] ^= 1
			if c.verify(parts.SigningInput, signature) {
				t.Errorf("%s: another signature verifies", name)
			}
			signature[n] ^= 1
		}
	}
}
