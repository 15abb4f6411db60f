// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func newVerifier(t testing.TB, keys jwtauth.Keys) *jwtauth.Verifier {
	t.Helper()
	s, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: jwtauth.Issuer{
		URL: issuerURL, Audience: "web", Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// statement is a good ID token for the client web with changes.
func statement(header, claims object) string {
	now := time.Now().Unix()
	k := keyFor(jwtauth.ES256)
	return k.sign(object{"alg": "ES256", "kid": "k1", "typ": "JWT"}.with(header), object{
		"iss": issuerURL, "aud": "web", "sub": "alice", "nonce": "n", "iat": now, "exp": now + 300,
	}.with(claims))
}

func TestVerifier(t *testing.T) {
	s := newVerifier(t, config().Issuers[0].Keys)
	now := time.Now().Unix()
	for name, token := range map[string]string{
		"good":           statement(nil, nil),
		"no typ":         statement(object{"typ": nil}, nil),
		"many audiences": statement(nil, object{"aud": []string{"other", "web"}}),
		"just expired":   statement(nil, object{"exp": now - 20, "iat": now - 100}),
	} {
		got, err := s.Verify(t.Context(), token)
		if err != nil || got.Subject != "alice" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		var claims struct {
			Nonce string `json:"nonce"`
		}
		if err := got.Claims.Decode(&claims); err != nil || claims.Nonce != "n" {
			t.Errorf("%s: claims = %v, %v", name, got.Claims, err)
		}
	}
	if got, err := s.Verify(t.Context(), statement(object{"typ": "logout+jwt"}, nil)); err != nil || got.Type != "logout+jwt" {
		t.Errorf("typ = %q, %v", got.Type, err)
	}

	good := statement(nil, nil)
	cut := strings.LastIndexByte(good, '.')
	for name, test := range map[string]struct {
		token  string
		reason gatehouse.Reason
	}{
		"empty":            {"", jwtauth.ReasonMalformed},
		"no signature":     {good[:cut+1], jwtauth.ReasonMalformed},
		"line break":       {good + "\n", jwtauth.ReasonMalformed},
		"oversized":        {good + strings.Repeat("A", 8<<10), jwtauth.ReasonOversized},
		"other's":          {good[:cut] + statement(nil, object{"sub": "bob"})[strings.LastIndexByte(statement(nil, object{"sub": "bob"}), '.'):], jwtauth.ReasonSignature},
		"crit":             {statement(object{"crit": []string{"exp"}}, nil), jwtauth.ReasonHeader},
		"ALG":              {statement(object{"ALG": "none"}, nil), jwtauth.ReasonMalformed},
		"alg none":         {statement(object{"alg": "none"}, nil), jwtauth.ReasonAlgorithm},
		"alg HS256":        {statement(object{"alg": "HS256"}, nil), jwtauth.ReasonAlgorithm},
		"kid":              {statement(object{"kid": "k2"}, nil), jwtauth.ReasonKey},
		"iss":              {statement(nil, object{"iss": issuerURL + "/"}), jwtauth.ReasonIssuer},
		"no iss":           {statement(nil, object{"iss": nil}), jwtauth.ReasonIssuer},
		"aud":              {statement(nil, object{"aud": audience}), jwtauth.ReasonAudience},
		"aud empty":        {statement(nil, object{"aud": []string{}}), jwtauth.ReasonClaims},
		"no aud":           {statement(nil, object{"aud": nil}), jwtauth.ReasonClaims},
		"no exp":           {statement(nil, object{"exp": nil}), jwtauth.ReasonClaims},
		"no iat":           {statement(nil, object{"iat": nil}), jwtauth.ReasonClaims},
		"sub a number":     {statement(nil, object{"sub": 1}), jwtauth.ReasonClaims},
		"expired":          {statement(nil, object{"iat": now - 300, "exp": now - 60}), jwtauth.ReasonExpired},
		"from the future":  {statement(nil, object{"iat": now + 60}), jwtauth.ReasonNotYetValid},
		"not yet":          {statement(nil, object{"nbf": now + 60}), jwtauth.ReasonNotYetValid},
		"for ever":         {statement(nil, object{"exp": now + 90_000}), jwtauth.ReasonLifetime},
		"ends as it began": {statement(nil, object{"exp": now, "iat": now}), jwtauth.ReasonLifetime},
	} {
		_, err := s.Verify(t.Context(), test.token)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != test.reason || e.Code != gatehouse.CodeInvalidToken {
			t.Errorf("%s: %v, want %s", name, err, test.reason)
		}
	}
}

// A statement whose claims are bad causes no fetch, and keys that cannot be had
// are no verdict.
func TestVerifierFetch(t *testing.T) {
	fetches := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches++
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	s := newVerifier(t, jwtauth.RemoteKeys(server.URL))
	_, err := s.Verify(t.Context(), statement(nil, object{"exp": 1, "iat": 0}))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != jwtauth.ReasonExpired || fetches != 0 {
		t.Errorf("expired: %v after %d fetches", err, fetches)
	}
	_, err = s.Verify(context.Background(), statement(nil, nil))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != gatehouse.CodeTemporarilyUnavailable {
		t.Errorf("no keys: %v", err)
	}
}

func TestVerifierConfig(t *testing.T) {
	_, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{})
	for _, want := range []string{"VerifierConfig", "URL", "Audience", "Algorithms", "Keys"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func TestSignJWT(t *testing.T) {
	ring := newRing(t, signingKey("k1", jwtauth.ES256))
	now := time.Now().Unix()
	token, err := ring.SignJWT("logout+jwt", map[string]any{"iss": issuerURL, "aud": "web", "sub": "alice", "iat": now, "exp": now + 60})
	if err != nil {
		t.Fatal(err)
	}
	got, err := newVerifier(t, ring).Verify(t.Context(), string(token.Reveal()))
	if err != nil || got.Type != "logout+jwt" || got.Subject != "alice" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ring.SignJWT("", map[string]any{"f": func() {}}); err == nil {
		t.Error("a function was signed")
	}
}
