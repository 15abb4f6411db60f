// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Key is the key pair of a client, which signs proofs. It is immutable and safe for
// concurrent use, and its private key cannot be printed.
type Key struct {
	algorithm  Algorithm
	thumbprint string
	header     string                             // of all proofs, encoded
	sign       func(input string) ([]byte, error) // a function, because fmt cannot print its contents
}

// GenerateKey returns a new key for ES256. Tokens that are bound to it are lost with
// the process: see [NewKey] for a key from a file or a hardware module.
func GenerateKey() (*Key, error) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // an error is a nil key
	return NewKey(ES256, private)
}

// NewKey returns a key that signs with private, whose public key is an
// *rsa.PublicKey, an *ecdsa.PublicKey or an ed25519.PublicKey that fits the
// algorithm.
func NewKey(algorithm Algorithm, private crypto.Signer) (*Key, error) {
	if typednil.Is(private) {
		return nil, errors.New("dpop: NewKey: private: required")
	}
	public := private.Public()
	if err := jose.CheckKey(public); err != nil {
		return nil, fmt.Errorf("dpop: NewKey: private: the public key %w", err)
	}
	if !jose.Fits(string(algorithm), public) {
		return nil, fmt.Errorf("dpop: NewKey: algorithm: %q is not an asymmetric algorithm for a key of type %T", string(algorithm), public)
	}
	thumbprint, _ := jose.Thumbprint(public) // cannot fail: CheckKey accepts the same types
	text, _ := json.Marshal(map[string]any{"typ": typ, "alg": algorithm, "jwk": jose.Members(public)})
	return &Key{
		algorithm: algorithm, thumbprint: thumbprint, header: base64.RawURLEncoding.EncodeToString(text),
		sign: func(input string) ([]byte, error) { return jose.Sign(string(algorithm), private, input) },
	}, nil
}

// Algorithm returns the signature algorithm of the key.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// Thumbprint returns the JWK thumbprint of the public key, RFC 7638: the value of the
// parameter dpop_jkt of an authorization request, and of the member jkt of the cnf
// claim of tokens that are bound to the key.
func (k *Key) Thumbprint() string { return k.thumbprint }

// ProofRequest describes the request for which [Key.Proof] returns a proof.
type ProofRequest struct {
	Method string
	URL    *url.URL // absolute; query and fragment are left out

	// AccessToken is the token that is sent with the proof, "" for a request to an
	// authorization server.
	AccessToken string

	// Nonce is the last nonce of the server, "" if it has sent none.
	Nonce string
}

// Proof returns the value of the header DPoP for one request. A [Transport] does this for
// an HTTP client. Create a new proof for every attempt.
//
// Implements RFC 9449 §4.2 (proof).
func (k *Key) Proof(r ProofRequest) (string, error) {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	claims := map[string]any{
		"jti": rand.Text(), "htm": r.Method, "htu": r.URL.Scheme + "://" + r.URL.Host + path, "iat": time.Now().Unix(),
	}
	if r.AccessToken != "" {
		claims["ath"] = hash(r.AccessToken)
	}
	if r.Nonce != "" {
		claims["nonce"] = r.Nonce
	}
	text, _ := json.Marshal(claims) // cannot fail: there are only strings and a number in it
	input := k.header + "." + base64.RawURLEncoding.EncodeToString(text)
	signature, err := k.sign(input)
	if err != nil {
		return "", fmt.Errorf("dpop: proof: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
