// SPDX-License-Identifier: Apache-2.0

// Package pkce implements Proof Key for Code Exchange, RFC 7636, which binds an
// authorization code to the client instance that requested it.
//
// A client generates a verifier for each authorization request, sends the
// challenge with that request, keeps the verifier, and sends it when it redeems
// the code:
//
//	verifier := pkce.NewVerifier()
//	query.Set("code_challenge", pkce.Challenge(verifier))
//	query.Set("code_challenge_method", pkce.Method)
//	…
//	form.Set("code_verifier", string(verifier.Reveal()))
//
// An authorization server calls [CheckRequest] at the authorization endpoint,
// stores the challenge with the code, and calls [Verify] at the token endpoint.
// It must require a challenge in every authorization request.
//
// S256 is the only method. The method "plain" is not supported, and neither is a
// request without a method, which means "plain". The package uses no HTTP.
package pkce

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// Method is the value of code_challenge_method.
const Method = "S256"

// RFC 7636 §4.1 (grammar): "with a minimum length of 43 characters and a
// maximum length of 128 characters."
const (
	minVerifierChars = 43
	maxVerifierChars = 128
)

// verifierBytes is the length of the random part of a new verifier.
//
//	RFC 7636 §7.1: "The client SHOULD create a "code_verifier" with a minimum
//	of 256 bits of entropy."
const verifierBytes = 32

// challengeChars is the length of a SHA-256 hash in base64url.
const challengeChars = 43

var (
	// ErrRequest means that the PKCE parameters of an authorization request are
	// missing or invalid. The server answers with invalid_request, RFC 7636 section
	// 4.4.1.
	ErrRequest = errors.New("pkce: invalid authorization request")

	// ErrMismatch means that a code_verifier is malformed or does not match the
	// code_challenge. The server answers with invalid_grant, RFC 7636 section 4.6.
	ErrMismatch = errors.New("pkce: the code_verifier does not match the code_challenge")
)

// NewVerifier returns a code_verifier of 256 random bits, 43 characters long. Use it for
// one authorization request.
//
//	RFC 7636 §4.1 (entropy): "the output of a suitable random number generator
//	be used to create a 32-octet sequence. The octet sequence is then
//	base64url-encoded to produce a 43-octet URL safe string to use as the code
//	verifier."
func NewVerifier() gatehouse.Secret {
	var random [verifierBytes]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	return gatehouse.NewSecret([]byte(base64.RawURLEncoding.EncodeToString(random[:])))
}

// Challenge returns the code_challenge of a verifier: the public value that the
// client sends in the authorization request.
//
//	RFC 7636 §4.2 (transform): code_challenge =
//	BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))
//
// Implements RFC 7636 §B.
func Challenge(verifier gatehouse.Secret) string {
	sum := sha256.Sum256(verifier.Reveal())
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// CheckRequest checks the parameters code_challenge and code_challenge_method
// of an authorization request, "" for one that is missing. It accepts S256 and
// a challenge in canonical base64url only; the error wraps [ErrRequest] and
// contains no part of the parameters.
//
//	RFC 7636 §4.3 (method): code_challenge_method "OPTIONAL, defaults to
//	"plain" if not present in the request."
//
// Therefore a request without a method is rejected.
//
// Implements RFC 7636 §4.2 (S256).
func CheckRequest(challenge, method string) error {
	switch {
	case method != Method:
		return fmt.Errorf("%w: code_challenge_method must be S256", ErrRequest)
	case !isChallenge(challenge):
		return fmt.Errorf("%w: code_challenge must be a SHA-256 hash in base64url, 43 characters", ErrRequest)
	}
	return nil
}

// Verify returns nil if verifier, the code_verifier of a token request, matches
// the challenge that was stored with the code, and [ErrMismatch] if it does not
// or if one of them is malformed or empty. It compares in constant time.
//
//	RFC 7636 §4.6: BASE64URL-ENCODE(SHA256(ASCII(code_verifier))) == code_challenge
func Verify(challenge string, verifier gatehouse.Secret) error {
	if !isVerifier(string(verifier.Reveal())) ||
		subtle.ConstantTimeCompare([]byte(Challenge(verifier)), []byte(challenge)) != 1 {
		return ErrMismatch
	}
	return nil
}

func isChallenge(challenge string) bool {
	_, err := base64url.Decode(nil, challenge)
	return err == nil && len(challenge) == challengeChars
}

// isVerifier reports whether verifier has the form of a code_verifier.
//
//	RFC 7636 §4.1 (grammar): code-verifier = 43*128unreserved
//	unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"
func isVerifier(verifier string) bool {
	for i := range len(verifier) {
		if c := verifier[i]; !text.IsAlphanumeric(c) && strings.IndexByte("-._~", c) < 0 {
			return false
		}
	}
	return len(verifier) >= minVerifierChars && len(verifier) <= maxVerifierChars
}
