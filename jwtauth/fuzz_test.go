// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// library reads a token with golang-jwt, strictly configured, and returns its
// claims.
func library(t *testing.T, token string) (jwt.MapClaims, error) {
	t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuerURL), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding(), jwt.WithLeeway(30e9),
	).ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return keyFor(jwtauth.ES256).public, nil })
	return claims, err
}

// accepted checks what must hold of every token that is accepted: another
// library accepts it and reads the same of it, and it is its own re-encoding.
func accepted(t *testing.T, a *jwtauth.Authenticator, token string) {
	t.Helper()
	p, err := a.Verify(t.Context(), token)
	if err != nil {
		return
	}
	claims, err := library(t, token)
	if err != nil {
		t.Fatalf("accepted %q, but golang-jwt says %v", token, err)
	}
	if claims["sub"] != p.Subject || claims["iss"] != p.Issuer || claims["jti"] != p.Credential || claims["client_id"] != p.Client {
		t.Fatalf("read %+v in %v", p, claims)
	}
	if tenant, ok := claims["tenant"]; ok && tenant != p.Tenant {
		t.Fatalf("read tenant %q in %v", p.Tenant, claims)
	}
	for segment := range strings.SplitSeq(token, ".") {
		decoded, err := base64.RawURLEncoding.DecodeString(segment)
		if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != segment {
			t.Fatalf("accepted %q, which is not its own re-encoding", token)
		}
	}
}

// Any text as a token.
//
// Covers RFC 7515 §2, §7.1; RFC 7519 §7.2 (reject).
func FuzzToken(f *testing.F) {
	f.Add(token(nil, nil))
	f.Add(token(object{"typ": "JWT"}, nil))
	f.Add("a.b.c")
	f.Add("..")
	f.Add(strings.Repeat(".", 100))
	f.Add("")
	a := newAuthenticator(f, config())
	f.Fuzz(func(t *testing.T, token string) { accepted(t, a, token) })
}

// Any payload, truly signed.
func FuzzClaims(f *testing.F) {
	for _, seed := range []object{
		nil, {"aud": []any{audience, "x"}}, {"scope": "a  b"}, {"act": object{"sub": "x"}}, {"exp": 1.5}, {"roles": []any{"x"}}, {"ISS": "x"},
	} {
		f.Add(goodClaims().with(seed))
	}
	f.Add(strings.Replace(goodClaims().with(nil), `"sub"`, `"\u0073ub"`, 1))
	f.Add(strings.Replace(goodClaims().with(nil), `"iat"`, `"sub":"bob","iat"`, 1))
	a, k := newAuthenticator(f, config()), keyFor(jwtauth.ES256)
	f.Fuzz(func(t *testing.T, payload string) {
		accepted(t, a, k.sign(goodHeader(k.algorithm).with(nil), payload))
	})
}

// Any header, truly signed.
func FuzzHeader(f *testing.F) {
	for _, seed := range []object{nil, {"typ": "application/at+jwt"}, {"crit": []any{"exp"}}, {"kid": nil}, {"ALG": "none"}, {"x": object{"y": 1}}} {
		f.Add(goodHeader(jwtauth.ES256).with(seed))
	}
	a, k := newAuthenticator(f, config()), keyFor(jwtauth.ES256)
	f.Fuzz(func(t *testing.T, header string) {
		token := k.sign(header, goodClaims().with(nil))
		accepted(t, a, token)
		if _, err := a.Verify(t.Context(), token); err != nil {
			return
		}
		var members map[string]any
		if json.Unmarshal([]byte(header), &members) != nil || members["alg"] != "ES256" || members["crit"] != nil || members["jwk"] != nil {
			t.Fatalf("accepted %q", header)
		}
	})
}

// Any document as a key set: whatever it is, it never makes a key that was not
// ours verify.
func FuzzKeySet(f *testing.F) {
	f.Add(`{"keys":[` + ecJWK("k1", keyFor(jwtauth.ES384)) + `]}`)
	f.Add(`{"keys":[{"kty":"oct","k":"` + b64(secret) + `"},` + rsaJWK("k1", &rsaKey().PublicKey) + `]}`)
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQ"}]}`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, text string) {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: document(text)}))
		if got := reason(t, a, token(nil, nil)); got == "" && !strings.Contains(text, "crv") {
			t.Fatalf("%q verifies", text)
		}
	})
}
