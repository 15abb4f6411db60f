// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func newVerifier(t testing.TB, keys jwtauth.Keys, change ...func(*jwtauth.VerifierConfig)) *jwtauth.Verifier {
	t.Helper()
	c := jwtauth.VerifierConfig{Issuer: jwtauth.Issuer{URL: issuerURL, Audiences: []string{"web"}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys}}
	for _, f := range change {
		f(&c)
	}
	v := must(jwtauth.NewVerifier(c))
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
		"typ with application/":         {object{"typ": "application/logout+jwt"}, nil, jwtauth.VerifiedJWT{Type: "application/logout+jwt", Subject: "alice"}},
		"several audiences":             {nil, object{"aud": []string{"other", "web"}}, jwtauth.VerifiedJWT{Type: "JWT", Subject: "alice"}},
		"an azp that the caller checks": {nil, object{"azp": 1}, jwtauth.VerifiedJWT{Type: "JWT", Subject: "alice"}},
		"within the skew":               {nil, object{"exp": now - 2, "iat": now - 100}, jwtauth.VerifiedJWT{Type: "JWT", Subject: "alice"}},
	} {
		payload := idClaims().with(test.claims)
		test.want.Claims = must(gatehouse.NewClaims(payload))
		header := object{"alg": "ES256", "kid": "k1", "typ": "JWT"}.with(test.header)
		got, err := v.Verify(t.Context(), keyFor(jwtauth.ES256).sign(header, payload))
		equal(t, name+": error of Verify", err, nil)
		equal(t, name+": JWT", got, test.want)
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
		jwtauth.ReasonClaims:      {idToken(nil, object{"aud": []string{}}), idToken(nil, object{"aud": nil}), idToken(nil, object{"sub": 1})},
	} {
		for _, token := range tokens {
			_, err := v.Verify(t.Context(), token)
			if e := rejected(t, err); e.Reason != want || e.Code != gatehouse.CodeInvalidToken {
				t.Errorf("Verify(%s) = %v (%v), want reason %s", token, err, e.Cause, want)
			}
		}
	}
}

// The times that each kind of JWT requires: an ID token has both, MaxAge replaces a missing
// exp, and the JWT of a response needs none, but those that it has are valid.
func TestVerifierTimes(t *testing.T) {
	keys, now := config().Issuers[0].Keys, time.Now().Unix()
	plain, aged := newVerifier(t, keys), newVerifier(t, keys, func(c *jwtauth.VerifierConfig) { c.MaxAge = time.Minute })
	const claims, expired, future = jwtauth.ReasonClaims, jwtauth.ReasonExpired, jwtauth.ReasonNotYetValid
	for name, test := range map[string]struct {
		claims                              object
		plain, aged, response, agedResponse gatehouse.Reason // "" if it is valid
	}{
		"both":           {nil, "", "", "", ""},
		"no exp":         {object{"exp": nil}, claims, "", "", ""},
		"no exp, 75 s":   {object{"exp": nil, "iat": now - 75}, claims, "", "", ""},
		"no exp, old":    {object{"exp": nil, "iat": now - 120}, claims, expired, "", expired},
		"no iat":         {object{"iat": nil}, claims, claims, "", ""},
		"no times":       {object{"exp": nil, "iat": nil}, claims, claims, "", ""},
		"expired":        {object{"exp": now - 60, "iat": now - 70}, expired, expired, expired, expired},
		"clock ahead":    {object{"exp": nil, "iat": now + 5}, claims, "", "", ""},
		"future iat":     {object{"exp": nil, "iat": now + 600}, claims, future, future, future},
		"no aud":         {object{"exp": nil, "iat": nil, "aud": nil}, claims, claims, claims, claims},
		"another aud":    {object{"exp": nil, "iat": nil, "aud": "other"}, claims, claims, jwtauth.ReasonAudience, jwtauth.ReasonAudience},
		"another issuer": {object{"iss": "https://evil.example"}, jwtauth.ReasonIssuer, jwtauth.ReasonIssuer, jwtauth.ReasonIssuer, jwtauth.ReasonIssuer},
	} {
		text := idToken(nil, test.claims)
		_, err1 := plain.Verify(t.Context(), text)
		_, err2 := aged.Verify(t.Context(), text)
		_, err3 := plain.VerifyResponse(t.Context(), text)
		_, err4 := aged.VerifyResponse(t.Context(), text)
		for n, want := range []gatehouse.Reason{test.plain, test.aged, test.response, test.agedResponse} {
			if err := []error{err1, err2, err3, err4}[n]; reasonOf(err) != want || (err == nil) != (want == "") {
				t.Errorf("%s: %s error = %v, want %q", name, []string{"Verify", "Verify with MaxAge", "VerifyResponse", "VerifyResponse with MaxAge"}[n], err, want)
			}
		}
	}
}

// A JWT with invalid claims causes no fetch, and a key set that is unavailable or too old
// is 503.
func TestVerifierFetches(t *testing.T) {
	s := &keyServer{serve: serverError}
	v := newVerifier(t, jwtauth.RemoteKeys(issuerURL+"/jwks.json"), func(c *jwtauth.VerifierConfig) { c.Transport = s })
	_, err := v.Verify(t.Context(), idToken(nil, object{"exp": 1, "iat": 0}))
	equal(t, "reason of an expired JWT", rejected(t, err).Reason, jwtauth.ReasonExpired)
	equal(t, "fetches", s.count(), 0)
	_, err = v.Verify(t.Context(), idToken(nil, nil))
	equal(t, "code without keys", rejected(t, err).Code, gatehouse.CodeTemporarilyUnavailable)
	equal(t, "fetches", s.count(), 1)
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		v := newVerifier(t, jwtauth.RemoteKeys(issuerURL+"/jwks.json"), func(c *jwtauth.VerifierConfig) { c.Transport = s })
		noError(t, v.Ready(t.Context()))
		s.set(serverError)
		time.Sleep(25 * time.Hour) // MaxStale is 24 h
		if err := v.Ready(t.Context()); err == nil {
			t.Error("Ready with keys that are too old = nil, want an error")
		}
		_, err := v.Verify(t.Context(), idToken(nil, nil))
		equal(t, "reason with keys that are too old", rejected(t, err).Reason, jwtauth.ReasonKeysUnavailable)
	})
}

func TestVerifierConfig(t *testing.T) {
	for config, fields := range map[*jwtauth.VerifierConfig][]string{
		{Skew: -1}:                   {"Skew: ", "Issuer.URL: ", "Issuer.Audiences: ", "Issuer.Algorithms: ", "Issuer.Keys: "},
		{MaxAge: -1}:                 {"MaxAge: got -1ns, want 0 to 168h0m0s"},
		{MaxAge: 8 * 24 * time.Hour}: {"MaxAge: got 192h0m0s, "},
	} {
		_, err := jwtauth.NewVerifier(*config)
		for _, want := range fields {
			if want = "jwtauth: VerifierConfig." + want; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("NewVerifier = %v, want %s in it", err, want)
			}
		}
	}
	newVerifier(t, config().Issuers[0].Keys, func(c *jwtauth.VerifierConfig) { c.MaxAge = 7 * 24 * time.Hour }) // the limit
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
		if _, _, err := ring.SignDetached(typ, payload); err == nil || !strings.Contains(err.Error(), strconv.Quote(typ)) {
			t.Errorf("SignDetached(%q) error = %v, want one that names the type", typ, err)
		}
	}
	if _, _, err := ring.SignDetached("jwt-list", payload); err != nil {
		t.Errorf("SignDetached(jwt-list) error = %v, want nil", err)
	}
}
