// SPDX-License-Identifier: Apache-2.0

package pkce_test

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/pkce"
)

// RFC 7636, appendix B.
const (
	vectorVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	vectorChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var (
	verifierABNF  = regexp.MustCompile(`\A[A-Za-z0-9._~-]{43,128}\z`)
	challengeABNF = regexp.MustCompile(`\A[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\z`)
)

func secret(text string) gatehouse.Secret { return gatehouse.NewSecret([]byte(text)) }

// verify checks that a verifier is accepted for its own challenge or rejected.
func verify(t *testing.T, verifier string, want error) {
	t.Helper()
	challenge := pkce.Challenge(secret(verifier))
	if err := pkce.Verify(challenge, secret(verifier)); !errors.Is(err, want) {
		t.Errorf("Verify(Challenge(%.200q), same) error = %v, want %v", verifier, err, want)
	}
}

// Covers RFC 7636 §4.2 (transform), §B.
func TestAppendixB(t *testing.T) {
	if got := pkce.Challenge(secret(vectorVerifier)); got != vectorChallenge {
		t.Errorf("Challenge(%s) = %s, want %s", vectorVerifier, got, vectorChallenge)
	}
	if err := pkce.Verify(vectorChallenge, secret(vectorVerifier)); err != nil {
		t.Errorf("Verify error = %v, want nil", err)
	}
}

// Covers RFC 7636 §4.1 (entropy), §4.6; RFC 7636 §7.1.
func TestNewVerifier(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		v := pkce.NewVerifier()
		text := string(v.Reveal())
		random, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(random) != 32 {
			t.Fatalf("NewVerifier = %d bytes, error %v, want 32", len(random), err)
		}
		for i := range 4 { // each 64 bits
			if seen[string(random[8*i:8*i+8])] {
				t.Fatalf("NewVerifier = %x with a part of an earlier one", random)
			}
			seen[string(random[8*i:8*i+8])] = true
		}
		verify(t, text, nil)
		if err := pkce.CheckRequest(pkce.Challenge(v), pkce.Method); err != nil {
			t.Fatalf("CheckRequest(Challenge) error = %v, want nil", err)
		}
		if err := pkce.Verify(pkce.Challenge(v), pkce.NewVerifier()); !errors.Is(err, pkce.ErrMismatch) {
			t.Fatalf("Verify(another verifier) error = %v, want %v", err, pkce.ErrMismatch)
		}
	}
}

// Every length near the limits, and every byte at the start, inside and at the end.
//
// Covers RFC 7636 §4.1 (grammar).
func TestVerifyGrammar(t *testing.T) {
	for _, length := range []int{0, 1, 42, 43, 44, 127, 128, 129, 1 << 20} {
		verifyGrammar(t, strings.Repeat("a", length))
	}
	for c := range 256 {
		for _, at := range []int{0, 20, 42} {
			text := []byte(strings.Repeat("a", 43))
			text[at] = byte(c)
			verifyGrammar(t, string(text))
		}
	}
}

func verifyGrammar(t *testing.T, text string) {
	t.Helper()
	var want error
	if !verifierABNF.MatchString(text) {
		want = pkce.ErrMismatch
	}
	verify(t, text, want)
}

func TestCheckRequest(t *testing.T) {
	for _, test := range []struct {
		name, challenge, method string
		err                     string // behind the text of ErrRequest, "" for none
	}{
		{"S256", vectorChallenge, "S256", ""},
		{"no method, which means plain", vectorChallenge, "", "method"}, // Covers RFC 7636 §4.3 (method).
		{"plain", vectorChallenge, "plain", "method"},                   // Covers RFC 7636 §4.2 (S256).
		{"plain with its verifier", vectorVerifier, "plain", "method"},
		{"method in lower case", vectorChallenge, "s256", "method"},
		{"method with a space", vectorChallenge, "S256 ", "method"},
		{"unknown method", vectorChallenge, "S512", "method"},
		{"no parameters", "", "", "method"},
		{"no challenge", "", "S256", "challenge"},
		{"one character less", vectorChallenge[:42], "S256", "challenge"},
		{"one character more", vectorChallenge + "A", "S256", "challenge"},
		{"padded", vectorChallenge + "=", "S256", "challenge"},
		{"padding inside the length", vectorChallenge[:42] + "=", "S256", "challenge"},
		{"bits after the last octet", vectorChallenge[:42] + "N", "S256", "challenge"},
		{"standard alphabet, plus", "+" + vectorChallenge[1:], "S256", "challenge"},
		{"standard alphabet, slash", "/" + vectorChallenge[1:], "S256", "challenge"},
		{"unreserved, but not base64url", "~" + vectorChallenge[1:], "S256", "challenge"},
		{"line feed inside", vectorChallenge[:41] + "\nA", "S256", "challenge"},
		{"line feed behind", vectorChallenge + "\n", "S256", "challenge"},
		{"line feed in place of the last octets", strings.Repeat("A", 42) + "\n", "S256", "challenge"},
		{"carriage return at the end", vectorChallenge[:42] + "\r", "S256", "challenge"},
		{"five line feeds for four characters", vectorChallenge[:38] + "\n\n\n\n\n", "S256", "challenge"},
		{"hexadecimal", strings.Repeat("0123456789abcdef", 4), "S256", "challenge"},
		{"a megabyte", strings.Repeat("A", 1<<20), "S256", "challenge"},
		{"secret in the challenge", "secret%secret%secret%secret%secret%secret%sec", "S256", "challenge"},
		{"secret in the method", vectorChallenge, "secret", "method"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := pkce.CheckRequest(test.challenge, test.method)
			if (err == nil) != (test.err == "") || err != nil && !errors.Is(err, pkce.ErrRequest) {
				t.Fatalf("CheckRequest error = %v, want one about %q", err, test.err)
			}
			if err == nil {
				return
			}
			if text := err.Error(); strings.Contains(text, "secret") ||
				!strings.HasPrefix(text, map[string]string{
					"method":    pkce.ErrRequest.Error() + ": code_challenge_method ",
					"challenge": pkce.ErrRequest.Error() + ": code_challenge ",
				}[test.err]) {
				t.Errorf("CheckRequest error = %v, want one about the %s without its value", err, test.err)
			}
		})
	}
}

// Covers RFC 7636 §4.2 (S256), §4.6.
func TestVerifyRejects(t *testing.T) {
	plain := strings.Repeat("A", 43) // a well-formed verifier and a well-formed challenge
	empty := pkce.Challenge(gatehouse.Secret{})
	for _, test := range []struct{ name, challenge, verifier string }{
		{"method plain", plain, plain},
		{"no challenge", "", vectorVerifier}, // RFC 9700 §4.8.2
		{"no verifier", vectorChallenge, ""},
		{"nothing", "", ""},
		{"challenge of an empty verifier", empty, ""},
		{"challenge with a character more", vectorChallenge + "A", vectorVerifier},
		{"challenge with padding", vectorChallenge + "=", vectorVerifier},
		{"challenge with bits after the last octet", vectorChallenge[:42] + "N", vectorVerifier},
		{"challenge in place of the verifier", vectorChallenge, vectorChallenge},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := pkce.Verify(test.challenge, secret(test.verifier)); !errors.Is(err, pkce.ErrMismatch) {
				t.Errorf("Verify error = %v, want %v", err, pkce.ErrMismatch)
			}
		})
	}
}

// Covers RFC 7636 §4.1 (grammar).
func FuzzVerify(f *testing.F) {
	for _, seed := range []string{"", vectorVerifier, vectorVerifier[:42], vectorVerifier + "\n", strings.Repeat("~", 128), strings.Repeat("a", 129)} {
		f.Add(seed)
	}
	f.Fuzz(verifyGrammar)
}

func FuzzCheckRequest(f *testing.F) {
	for _, seed := range []string{"", vectorChallenge, vectorChallenge[:42] + "N", vectorChallenge[:41] + "\nA", vectorChallenge + "="} {
		f.Add(seed, "S256")
		f.Add(seed, "")
	}
	f.Add(vectorVerifier, "plain")
	f.Fuzz(func(t *testing.T, challenge, method string) {
		err := pkce.CheckRequest(challenge, method)
		if (err == nil) != (method == "S256" && challengeABNF.MatchString(challenge)) {
			t.Fatalf("CheckRequest(%q, %q) error = %v", challenge, method, err)
		}
	})
}
