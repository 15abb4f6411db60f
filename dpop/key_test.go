// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/dpop"
)

func parseURL(s string) *url.URL { return must(url.Parse(s)) }

// Every algorithm makes proofs that the verifier accepts.
//
// Covers RFC 9449 §4.2 (proof).
func TestKeyProof(t *testing.T) {
	for _, algorithm := range []dpop.Algorithm{
		dpop.ES256, dpop.ES384, dpop.ES512, dpop.PS256, dpop.PS384, dpop.PS512, dpop.RS256, dpop.RS384, dpop.RS512, dpop.EdDSA, dpop.Ed25519,
	} {
		c := newClient(string(algorithm))
		key := must(dpop.NewKey(algorithm, c.private))
		if key.Thumbprint() != c.jkt || key.Algorithm() != algorithm {
			t.Errorf("%s: Thumbprint = %q, Algorithm = %s, want %q", algorithm, key.Thumbprint(), key.Algorithm(), c.jkt)
		}
		v := newVerifier(withNonces(nonceKey), func(c *dpop.Config) { c.Algorithms = []dpop.Algorithm{algorithm} })
		r := dpop.ProofRequest{Method: "GET", URL: parseURL(target + "?page=2#top"), AccessToken: token}
		first := must(key.Proof(r))
		if claims := claimsOf(first); strings.Contains(claims, `"nonce"`) {
			t.Errorf("%s: claims %s, want no nonce", algorithm, claims)
		}
		r.Nonce = check(t, v, request("GET", target+"?page=2", first), c.jkt, dpop.ReasonNonce)
		check(t, v, request("GET", target+"?page=2", must(key.Proof(r))), c.jkt, "")
		check(t, v, request("GET", target+"?page=2", must(key.Proof(r))), c.jkt, "") // another jti
		r.AccessToken = ""
		check(t, v, request("GET", target, must(key.Proof(r))), c.jkt, dpop.ReasonToken)
		if jkt, _, err := v.Thumbprint(request("GET", target, must(key.Proof(r)))); jkt != c.jkt || err != nil {
			t.Errorf("%s: Thumbprint of a proof with a nonce = %q, %v, want %q", algorithm, jkt, err, c.jkt)
		}
		r.AccessToken, r.URL = token, parseURL(origin)
		proof := must(key.Proof(r))
		check(t, v, request("GET", "/", proof), c.jkt, "")
		if claims := claimsOf(proof); !strings.Contains(claims, `"`+origin+`/"`) {
			t.Errorf("%s: claims %s, want htu with a path", algorithm, claims)
		}
		r.URL = parseURL(origin + "/a%2Fb/%c3%A9")
		check(t, v, request("GET", "/a%2Fb/%C3%A9?x", must(key.Proof(r))), c.jkt, "")
	}
}

func claimsOf(proof string) string {
	return string(must(base64.RawURLEncoding.DecodeString(strings.Split(proof, ".")[1])))
}

// broken is a signer that fails, or returns no signature.
type broken struct {
	crypto.Signer
	signature []byte
	err       error
}

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return b.signature, b.err
}

func TestKeyErrors(t *testing.T) {
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for name, err := range map[string]error{
		"nil":               second(dpop.NewKey(dpop.ES256, nil)),
		"typed nil":         second(dpop.NewKey(dpop.ES256, (*ecdsa.PrivateKey)(nil))),
		"symmetric":         second(dpop.NewKey("HS256", ec)),
		"another type":      second(dpop.NewKey(dpop.PS256, ec)),
		"another curve":     second(dpop.NewKey(dpop.ES384, ec)),
		"P-224":             second(dpop.NewKey(dpop.ES256, must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)))),
		"RSA of 1024 bits":  second(dpop.NewKey(dpop.PS256, weak{})),
		"signature missing": second(must(dpop.NewKey(dpop.ES256, broken{ec, nil, nil})).Proof(dpop.ProofRequest{URL: parseURL(target)})),
		"signer fails":      second(must(dpop.NewKey(dpop.ES256, broken{ec, nil, errors.New("no module")})).Proof(dpop.ProofRequest{URL: parseURL(target)})),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "dpop: ") {
			t.Errorf("%s: error = %v, want one of package dpop", name, err)
		}
	}
}

// weak is a signer with a short RSA key.
type weak struct{ crypto.Signer }

func (weak) Public() crypto.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).Rsh(rsaKey().N, 1024), E: 65537}
}

func second[T any](_ T, err error) error { return err }

func TestKeyPrintsNoSecret(t *testing.T) {
	c := newClient("EdDSA")
	key := must(dpop.NewKey(dpop.EdDSA, c.private))
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, value := range []any{key, *key, struct{ k dpop.Key }{*key}} {
			printed := fmt.Sprintf(format, value)
			if private := fmt.Sprintf(format, c.private); strings.Contains(printed, strings.Trim(private, "[]{}&")) {
				t.Errorf("%s prints the private key", format)
			}
		}
	}
}
