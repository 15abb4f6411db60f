// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	issuerURL = "https://auth.example.com"
	audience  = "https://api.example.com"
)

var secret = []byte("h7Zl0v0mWm1hX1c8H0oW1m7kS0e7a4cVx9q2rT5uY8w3eR6tB1nM4kL7pQ0sD2fGz")

// pair is a key with which tests sign.
type pair struct {
	algorithm jwtauth.Algorithm
	private   any
	public    crypto.PublicKey
}

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	edKey  = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(secret[:32]) })
	ecKey  = sync.OnceValue(func() map[jwtauth.Algorithm]*ecdsa.PrivateKey {
		return map[jwtauth.Algorithm]*ecdsa.PrivateKey{
			jwtauth.ES256: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
			jwtauth.ES384: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
			jwtauth.ES512: must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		}
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keyFor(a jwtauth.Algorithm) pair {
	switch a {
	case jwtauth.ES256, jwtauth.ES384, jwtauth.ES512:
		k := ecKey()[a]
		return pair{a, k, &k.PublicKey}
	case jwtauth.EdDSA:
		return pair{a, edKey(), edKey().Public()}
	case jwtauth.HS256, jwtauth.HS384, jwtauth.HS512:
		return pair{a, secret, nil}
	}
	return pair{a, rsaKey(), &rsaKey().PublicKey}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sign makes a compact token of a header and a payload that are written as
// they are.
func (p pair) sign(header, payload string) string {
	input := encode(header) + "." + encode(payload)
	signature := must(jwt.GetSigningMethod(string(p.algorithm)).Sign(input, p.private))
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

type object map[string]any

func (o object) with(changes object) string {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	return string(must(json.Marshal(o)))
}

func goodHeader(a jwtauth.Algorithm) object {
	return object{"alg": string(a), "kid": "k1", "typ": "at+jwt"}
}

func goodClaims() object {
	now := time.Now().Unix()
	return object{
		"iss": issuerURL, "aud": audience, "sub": "alice", "client_id": "web", "jti": "token-1",
		"iat": now, "exp": now + 300, "scope": "reports:read", "tenant": "acme",
	}
}

// token is a good ES256 token with changes; nil takes a member away.
func token(header, claims object) string {
	k := keyFor(jwtauth.ES256)
	return k.sign(goodHeader(k.algorithm).with(header), goodClaims().with(claims))
}

// unsigned is a token up to its signature.
func unsigned(token string) string { return token[:strings.LastIndexByte(token, '.')+1] }

// config accepts what [token] makes.
func config(change ...func(*jwtauth.Config)) jwtauth.Config {
	c := jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuerURL, Audience: audience, Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
		Keys: jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: jwtauth.ES256, Public: keyFor(jwtauth.ES256).public}),
	}}}
	for _, f := range change {
		f(&c)
	}
	return c
}

func newAuthenticator(t testing.TB, c jwtauth.Config) *jwtauth.Authenticator {
	t.Helper()
	a, err := jwtauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// reason returns why a token is refused, "" if it is accepted.
func reason(t testing.TB, a *jwtauth.Authenticator, token string) gatehouse.Reason {
	t.Helper()
	p, err := a.Verify(t.Context(), token)
	if err == nil {
		if p.IsZero() {
			t.Fatal("neither a principal nor an error")
		}
		return ""
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		t.Fatalf("%T is not an *Error", err)
	}
	want := gatehouse.CodeInvalidToken
	if e.Reason == jwtauth.ReasonKeysUnavailable || e.Reason == jwtauth.ReasonRevocationsUnavailable {
		want = gatehouse.CodeTemporarilyUnavailable
	}
	if e.Code != want || !p.IsZero() {
		t.Fatalf("reason %s came with code %s and principal %v", e.Reason, e.Code, p)
	}
	return e.Reason
}

// serve puts a gate around a handler that answers 200.
func serve(t testing.TB, a *jwtauth.Authenticator) http.Handler {
	t.Helper()
	g, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a}, Realm: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

func get(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func status(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
