// SPDX-License-Identifier: Apache-2.0

package pkce

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// Method is the code_challenge_method, the only one.
const Method = "S256"

// challengeChars is the length of 32 octets in base64url.
const challengeChars = 43

// The mistakes in an authorization request, to which a server answers with
// invalid_request, RFC 7636 section 4.4.1, and the one in a token request, to
// which it answers with invalid_grant, section 4.6.
var (
	ErrMethod    = errors.New("pkce: the code_challenge_method must be S256")
	ErrChallenge = errors.New("pkce: a code_challenge is the 43 characters of a SHA-256 in base64url")
	ErrMismatch  = errors.New("pkce: the code_verifier is not that of the code_challenge")
)

// Challenge is the public half: the code_challenge that is sent in an
// authorization request. It says nothing about the [Verifier] behind it.
//
// The zero value is no challenge: no verifier satisfies it.
type Challenge struct{ text string }

// ParseChallenge reads the parameters code_challenge and code_challenge_method
// of an authorization request, "" for one that is missing. It accepts S256 and
// nothing else; the error is [ErrMethod] or [ErrChallenge].
//
//	RFC 7636 §4.3: code_challenge_method "OPTIONAL, defaults to "plain" if not
//	present in the request."
//
// That is why a missing method is refused. A challenge which could be written
// in two ways is refused as well.
func ParseChallenge(challenge, method string) (Challenge, error) {
	if method != Method {
		return Challenge{}, ErrMethod
	}
	// The decoder would skip line breaks. Strict refuses bits behind the last
	// octet.
	if len(challenge) != challengeChars || strings.ContainsAny(challenge, "\r\n") {
		return Challenge{}, ErrChallenge
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(challenge); err != nil {
		return Challenge{}, ErrChallenge
	}
	return Challenge{challenge}, nil
}

// Verify returns nil if v is the verifier behind the challenge, and
// [ErrMismatch] if it is not. The time that it takes does not depend on how
// much of the two is equal.
//
//	RFC 7636 §4.6: BASE64URL-ENCODE(SHA256(ASCII(code_verifier))) == code_challenge
func (c Challenge) Verify(v Verifier) error {
	if c.text == "" || subtle.ConstantTimeCompare([]byte(v.Challenge().text), []byte(c.text)) != 1 {
		return ErrMismatch
	}
	return nil
}

// String returns the challenge as it is sent, and "" for the zero value.
func (c Challenge) String() string { return c.text }
