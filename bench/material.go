// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	issuerURL = "https://auth.example.com"
	audience  = "https://api.example.com"
)

// distinct is how many tokens take turns where a token must be one that has
// not been seen before; far more than the cache of that contestant holds.
var distinct = 512

// material is what the contestants of one algorithm share.
type material struct {
	algorithm string
	profile   jwtauth.Profile
	private   any
	public    crypto.PublicKey // nil for HS256
	secret    []byte
	jwks      []byte
	jwksURL   string
	tokens    []string
}

func newMaterial(algorithm string) (*material, error) { return newMaterialOf(algorithm, distinct, 1) }

// newMaterialOf has a number of tokens, with a number of kids that take turns.
func newMaterialOf(algorithm string, tokens, kids int) (*material, error) {
	m := &material{algorithm: algorithm}
	jwk := map[string]any{"kid": "k1", "alg": algorithm, "use": "sig"}
	switch algorithm {
	case "HS256":
		m.secret = make([]byte, 32)
		_, _ = rand.Read(m.secret) // never fails
		m.private = m.secret
		jwk["kty"], jwk["k"] = "oct", b64(m.secret)
	case "RS256", "PS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		m.private, m.public = key, &key.PublicKey
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes())
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		m.private, m.public = key, &key.PublicKey
		point, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case "EdDSA":
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		m.private, m.public = private, public
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(public)
	default:
		return nil, fmt.Errorf("no keys for %s", algorithm)
	}
	var err error
	if m.jwks, err = json.Marshal(map[string]any{"keys": []any{jwk}}); err != nil {
		return nil, err
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(m.jwks)
	}))
	m.jwksURL = server.URL // until the process ends
	now := time.Now().Unix()
	for n := range tokens {
		token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), jwt.MapClaims{
			"iss": issuerURL, "aud": audience, "sub": "7b0c3ff6-2a5c-4c0f-8b6e-8f3d1a2b4c5d", "client_id": "web-frontend",
			"iat": now, "exp": now + 3600, "jti": fmt.Sprintf("b2f1c5b4-7c1d-4f7a-9b57-%012d", n),
			"scope": "reports:read reports:write profile", "tenant": "acme",
		})
		token.Header["typ"], token.Header["kid"] = "at+jwt", fmt.Sprintf("k%d", 1+n%kids)
		signed, err := token.SignedString(m.private)
		if err != nil {
			return nil, err
		}
		m.tokens = append(m.tokens, signed)
	}
	return m, nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// requests are those of an ordinary HTTP client, one for each token.
func requests(tokens []string) []*http.Request {
	list := make([]*http.Request, 0, len(tokens))
	for _, token := range tokens {
		r := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Accept-Encoding", "gzip")
		r.Header.Set("User-Agent", "bench/1")
		list = append(list, r)
	}
	return list
}
