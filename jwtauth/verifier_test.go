// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func newVerifier(t testing.TB, keys jwtauth.Keys) *jwtauth.Verifier {
	t.Helper()
	issuer := jwtauth.Issuer{URL: issuerURL, Audiences: []string{"web"}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys}
	v := must(jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: issuer}))
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func idClaims() object {
	now := time.Now().Unix()
	return object{"iss": issuerURL, "aud": "web", "sub": "alice", "nonce": "n", "iat": now, "exp": now + 300}
}

// idToken returns a valid ID token for the client web with changes.
func idToken(header, claims object) string {
	return keyFor(jwtauth.ES256).sign(object{"alg": "ES256", "kid": "k1", "typ": "JWT"}.with(header), idClaims().with(claims))
}

// Covers OIDC Back-Channel Logout §2.6 (validation); OIDC Core §3.1.3.7 (step
// 7, step 9); OIDC Core §2 (claims).
func TestVerifier(t *testing.T) {
	v := newVerifier(t, config().Issuers[0].Keys)
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		header, claims object
		want           jwtauth.VerifiedJWT
	}{
		"valid":                         {nil, nil, jwtauth.VerifiedJWT{Type: "JWT", Subject: "alice"}},
		"no typ":                        {object{"typ": nil}, nil, jwtauth.VerifiedJWT{Subject: "alice"}},
		"logout token":                  {object{"typ": "logout+jwt"}, object{"sub": nil, "sid": "s"}, jwtauth.VerifiedJWT{Type: "logout+jwt"}},
		"several audiences":             {nil, object{"aud": []string{"other", "web"}}, jwtauth.VerifiedJWT{Type: "JWT", Subject: "alice"}},
		"an azp that the caller checks": {nil, object{"azp": 1}, jwtauth.VerifiedJWT{Type: "JWT", Subject: "alice"}},
		"within the skew":               {nil, object{"exp": now - 2, "iat": now - 100}, jwtauth.VerifiedJWT{Type: "JWT", Subject: "alice"}},
	} {
		payload := idClaims().with(test.claims)
		test.want.Claims = must(gatehouse.NewClaims(payload))
		header := object{"alg": "ES256", "kid": "k1", "typ": "JWT"}.with(test.header)
		got, err := v.Verify(t.Context(), keyFor(jwtauth.ES256).sign(header, payload))
		if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(gatehouse.Claims{})); err != nil || diff != "" {
			t.Errorf("%s: Verify error %v, JWT (-want +got):\n%s", name, err, diff)
		}
	}

	valid, other := idToken(nil, nil), idToken(nil, object{"sub": "bob"})
	signature := func(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }
	for want, tokens := range map[gatehouse.Reason][]string{
		jwtauth.ReasonMalformed:   {"", "a.b", unsigned(valid), valid + "\n", idToken(object{"ALG": "none"}, nil)},
		jwtauth.ReasonOversized:   {valid + strings.Repeat("A", 8<<10)},
		jwtauth.ReasonSignature:   {unsigned(valid) + signature(other)},
		jwtauth.ReasonHeader:      {idToken(object{"crit": []string{"exp"}}, nil)},
		jwtauth.ReasonAlgorithm:   {idToken(object{"alg": "none"}, nil), idToken(object{"alg": "HS256"}, nil)},
		jwtauth.ReasonKey:         {idToken(object{"kid": "k2"}, nil)},
		jwtauth.ReasonIssuer:      {idToken(nil, object{"iss": issuerURL + "/"}), idToken(nil, object{"iss": nil})},
		jwtauth.ReasonAudience:    {idToken(nil, object{"aud": audience})},
		jwtauth.ReasonExpired:     {idToken(nil, object{"iat": now - 300, "exp": now - 60})},
		jwtauth.ReasonNotYetValid: {idToken(nil, object{"iat": now + 600}), idToken(nil, object{"nbf": now + 600})},
		jwtauth.ReasonLifetime:    {idToken(nil, object{"exp": now + 90_000}), idToken(nil, object{"exp": now, "iat": now})},
		jwtauth.ReasonClaims: {
			idToken(nil, object{"aud": []string{}}), idToken(nil, object{"aud": nil}), idToken(nil, object{"exp": nil}), idToken(nil, object{"iat": nil}),
			idToken(nil, object{"sub": 1}),
		},
	} {
		for _, token := range tokens {
			_, err := v.Verify(t.Context(), token)
			if e := rejected(t, err); e.Reason != want || e.Code != gatehouse.CodeInvalidToken {
				t.Errorf("Verify(%s) = %v (%v), want reason %s", token, err, e.Cause, want)
			}
		}
	}
}

// A JWT with invalid claims causes no fetch, and an unavailable key set is 503.
func TestVerifierFetches(t *testing.T) {
	fetches := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches++
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	v := newVerifier(t, jwtauth.RemoteKeys(server.URL))
	_, err := v.Verify(t.Context(), idToken(nil, object{"exp": 1, "iat": 0}))
	if e := rejected(t, err); e.Reason != jwtauth.ReasonExpired || fetches != 0 {
		t.Errorf("expired: Verify = %v after %d fetches, want reason %s after 0", err, fetches, jwtauth.ReasonExpired)
	}
	_, err = v.Verify(t.Context(), idToken(nil, nil))
	if e := rejected(t, err); e.Code != gatehouse.CodeTemporarilyUnavailable || fetches != 1 {
		t.Errorf("no keys: Verify = %v after %d fetches, want temporarily_unavailable after 1", err, fetches)
	}
}

func TestVerifierConfig(t *testing.T) {
	_, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{Skew: -1})
	for _, want := range []string{"Skew", "Issuer.URL", "Issuer.Audiences", "Issuer.Algorithms", "Issuer.Keys"} {
		if want = "jwtauth: VerifierConfig." + want + ":"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewVerifier = %v, want %s in it", err, want)
		}
	}
}

func TestSignJWT(t *testing.T) {
	ring := newRing(signingKey("k1", jwtauth.ES256))
	token := must(ring.SignJWT("logout+jwt", idClaims()))
	got, err := newVerifier(t, ring).Verify(t.Context(), string(token.Reveal()))
	if err != nil || got.Type != "logout+jwt" || got.Subject != "alice" {
		t.Errorf("Verify(SignJWT(logout+jwt)) = %+v, %v, want type logout+jwt and subject alice", got, err)
	}
	if _, err := ring.SignJWT("", map[string]any{"f": func() {}}); err == nil {
		t.Error("SignJWT signed a function, want an error")
	}
}

func TestSignDetached(t *testing.T) {
	ring := newRing(signingKey("k1", jwtauth.ES256))
	payload := []byte(`{"url":"https://example.com/?a&b"}`)
	protected, signature, err := ring.SignDetached("JOSE", payload)
	if err != nil {
		t.Fatal(err)
	}
	decode := base64.RawURLEncoding.DecodeString
	if header := string(must(decode(protected))); header != `{"alg":"ES256","kid":"k1","typ":"JOSE"}` {
		t.Errorf("SignDetached: header %s, want alg, kid and typ", header)
	}
	input := protected + "." + base64.RawURLEncoding.EncodeToString(payload)
	if !jose.Verify("ES256", signingKey("k1", jwtauth.ES256).Private.Public(), input, must(decode(signature))) {
		t.Error("SignDetached: the signature is invalid")
	}
	for _, typ := range []string{"", "JWT", "at+jwt"} {
		if _, _, err := ring.SignDetached(typ, payload); err == nil {
			t.Errorf("SignDetached(%q) = nil, want an error", typ)
		}
	}
}

// A JWT without exp is valid for MaxAge, if there is one.
func TestVerifierMaxAge(t *testing.T) {
	issuer := jwtauth.Issuer{URL: issuerURL, Audiences: []string{"web"}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: config().Issuers[0].Keys}
	v := must(jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: issuer, MaxAge: time.Minute}))
	t.Cleanup(func() { _ = v.Close() })
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		claims object
		want   gatehouse.Reason // "" if it is valid
	}{
		"new":     {object{"exp": nil}, ""},
		"old":     {object{"exp": nil, "iat": now - 120}, jwtauth.ReasonExpired},
		"no iat":  {object{"exp": nil, "iat": nil}, jwtauth.ReasonClaims},
		"expired": {object{"exp": now - 60, "iat": now - 70}, jwtauth.ReasonExpired},
	} {
		_, err := v.Verify(t.Context(), idToken(nil, test.claims))
		if test.want == "" && err != nil || test.want != "" && rejected(t, err).Reason != test.want {
			t.Errorf("%s: Verify error = %v, want %q", name, err, test.want)
		}
	}
	for _, age := range []time.Duration{-1, 8 * 24 * time.Hour} {
		if _, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: issuer, MaxAge: age}); err == nil || !strings.Contains(err.Error(), "VerifierConfig.MaxAge: got") {
			t.Errorf("NewVerifier with MaxAge %v: error = %v", age, err)
		}
	}
}

// The JWT of a response needs no times, but it has those of a valid one.
func TestVerifyResponse(t *testing.T) {
	issuer := jwtauth.Issuer{URL: issuerURL, Audiences: []string{"web"}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: config().Issuers[0].Keys}
	v := must(jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: issuer}))
	t.Cleanup(func() { _ = v.Close() })
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		claims object
		want   gatehouse.Reason // "" if it is valid
	}{
		"no times":       {object{"exp": nil, "iat": nil}, ""},
		"no exp":         {object{"exp": nil}, ""},
		"no iat":         {object{"iat": nil}, ""},
		"expired":        {object{"exp": now - 60, "iat": now - 70}, jwtauth.ReasonExpired},
		"clock ahead":    {object{"exp": nil, "iat": now + 5}, ""},
		"future iat":     {object{"exp": nil, "iat": now + 600}, jwtauth.ReasonNotYetValid},
		"no aud":         {object{"exp": nil, "iat": nil, "aud": nil}, jwtauth.ReasonClaims},
		"another aud":    {object{"exp": nil, "iat": nil, "aud": "other"}, jwtauth.ReasonAudience},
		"another issuer": {object{"iss": "https://evil.example"}, jwtauth.ReasonIssuer},
	} {
		_, err := v.VerifyResponse(t.Context(), idToken(nil, test.claims))
		if test.want == "" && err != nil || test.want != "" && rejected(t, err).Reason != test.want {
			t.Errorf("%s: VerifyResponse error = %v, want %q", name, err, test.want)
		}
	}
}
