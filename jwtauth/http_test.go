// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// The public attack kit against each algorithm, with remote keys.
//
// Covers RFC 7515 §2, §4, §4.1.11; RFC 7519 §4 (unique), §7.2 (reject); RFC
// 8725 §3.10 (jku); RFC 9068 §4 (alg); ASVS 5.0 §9.1.3.
func TestAttacks(t *testing.T) {
	racetest.Skip(t)
	algorithms := []string{"ES256", "RS256", "PS256", "EdDSA"} // Covers RFC 7518 §3.5.
	if os.Getenv("GATEHOUSE_SLOW") != "1" {
		algorithms = algorithms[:1] // authtest attacks with all in one issuer
	}
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{algorithm}})
			noError(t, issuer.PublishOddKeys())
			a := newAuthenticator(t, jwtauth.Config{Issuers: []jwtauth.Issuer{{
				URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.Algorithm(algorithm)},
				Keys: jwtauth.RemoteKeys(issuer.KeysURL),
			}}})
			authtest.Attack(t, serve(a), issuer)
		})
	}
}

// The statuses of RFC 6750 section 3.1, through a gate.
//
// Covers RFC 6750 §3.1 (invalid_token); RFC 7515 §7.1; RFC 9068 §4 (error).
func TestStatuses(t *testing.T) {
	h := serve(newAuthenticator(t, config()))
	valid := token(nil, nil)
	for want, headers := range map[int][][]string{
		200: {{"Bearer " + valid}, {"bearer " + valid}, {"BEARER   " + valid}},
		// The core package tests the grammar of the header.
		400: {{"Bearer"}, {"Bearer " + valid + " " + valid}, {"Bearer\t" + valid}, {"Bearer " + valid + "\r\n"}, {"Bearer " + valid, "Bearer " + valid}, {""}},
		401: {
			nil,
			{"Bearer a"},
			{"Bearer a.b.c"},
			{"Bearer .."},
			{"Bearer a.b.c.d.e"},
			{"Basic " + valid},
			{valid},
			{"DPoP " + valid},
			{"Bearer " + strings.Repeat(".", 100_000)},
			{"Bearer " + strings.Repeat("a", 1_000_000)},
		},
	} {
		for _, authorization := range headers {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			if authorization != nil {
				r.Header["Authorization"] = authorization
			}
			equal(t, fmt.Sprintf("Authorization %.60q: status", authorization), status(h, r), want)
		}
	}
}

// A credential that has not the form of a JWT is left to other authenticators,
// unless it is oversized.
func TestAuthenticate(t *testing.T) {
	a := newAuthenticator(t, config())
	two := get("a.b.c")
	two.Header.Add("Authorization", "Bearer d.e.f")
	for name, test := range map[string]struct {
		r    *http.Request
		want gatehouse.Reason // "" for ErrNoCredentials
	}{
		"no header":     {httptest.NewRequest(http.MethodGet, "/", http.NoBody), ""},
		"no dot":        {get("a"), ""},
		"one dot":       {get("a.b"), ""},
		"three dots":    {get("a.b.c.d"), ""},
		"API key":       {get("acme_live_0123"), ""},
		"8 KiB":         {get(strings.Repeat("a", 8<<10)), ""},
		"8 KiB and 1 B": {get(strings.Repeat("a", 8<<10+1)), jwtauth.ReasonOversized},
		"empty":         {get(".."), jwtauth.ReasonMalformed},
		"two tokens":    {two, gatehouse.ReasonSeveralCredentials},
	} {
		if _, err := a.Authenticate(test.r); reasonOf(err) != test.want || (test.want == "") != errors.Is(err, gatehouse.ErrNoCredentials) {
			t.Errorf("%s: Authenticate error = %v, want reason %q, or ErrNoCredentials", name, err, test.want)
		}
	}
	proof, err := a.Authenticate(get(token(nil, nil)))
	if err != nil || proof.Principal().Subject != "alice" || proof.Header != nil {
		t.Errorf("Authenticate = %+v, %v, want alice without a header", proof, err)
	}
	// An oversized header is rejected before it is decoded.
	check(t, a, "header of a quarter and 1 B", strings.Repeat("*", 2<<10+1)+".e30.AA", jwtauth.ReasonOversized)
	check(t, a, "header of a quarter", strings.Repeat("*", 2<<10)+".e30.AA", jwtauth.ReasonMalformed)
	equal(t, "Reads", a.Reads(), gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}, Rechecks: true})
}

// No part of a token is in a response or in the log, which has the issuer and the
// reason, and every invalid token has the same response.
//
// Covers RFC 9068 §4 (error).
func TestRejectionDisclosesNothing(t *testing.T) {
	var log bytes.Buffer
	h := serve(newAuthenticator(t, config()), gatehouse.Log(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	var first string
	for name, credential := range map[string]string{
		"valid":        token(nil, nil),
		"expired":      token(nil, object{"exp": 1, "iat": 0}),
		"audience":     token(nil, object{"aud": "x"}),
		"malformed":    token(object{"alg": []any{"x"}}, nil),
		"bad claim":    token(nil, object{"sub": "a\nb"}),
		"bad scope":    token(nil, object{"scope": "a  b"}),
		"unknown":      token(nil, object{"iss": "https://unknown.example.com"}),
		"signature":    unsigned(token(nil, nil)) + strings.Repeat("A", 86),
		"not base64":   "eyJhbGciOiJFUzI1NiJ9.eyJpc3Mi*iJ9.c2lnbmF0dXJl",
		"no JWT":       "a.b.c",
		"unclaimed":    "sk-live-0123456789abcdefghijklmnopqrstuvwxyz",
		"key mismatch": token(object{"kid": "a-kid-that-is-unknown"}, nil),
	} {
		log.Reset()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, get(credential))
		response := fmt.Sprint(w.Code, w.Header(), w.Body)
		for n := 0; n+8 <= len(credential); n++ {
			if piece := credential[n : n+8]; strings.Contains(response+log.String(), piece) {
				t.Errorf("%s: %q of the token is in the response or the log:\n%s\n%s", name, piece, response, &log)
				break
			}
		}
		if name == "valid" {
			continue
		}
		if !strings.Contains(log.String(), "reason=") {
			t.Errorf("%s: log = %s, want a reason", name, &log)
		}
		if strings.Contains(response+log.String(), "unknown.example.com") {
			t.Errorf("%s: the unknown issuer is in the response or the log:\n%s\n%s", name, response, &log)
		}
		if name == "not base64" {
			continue // breaks the grammar of the header: 400
		}
		if first == "" {
			first = response
		}
		if response != first || w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `"invalid_token"`) {
			t.Errorf("%s: response\n%s\nwant invalid_token as for the other tokens:\n%s", name, response, first)
		}
	}
	log.Reset()
	h.ServeHTTP(httptest.NewRecorder(), get(token(nil, object{"aud": "x"})))
	for _, want := range []string{issuerURL, "jwtauth_audience", "token-1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log = %s, want %s in it", &log, want)
		}
	}
}
