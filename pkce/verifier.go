// SPDX-License-Identifier: Apache-2.0

package pkce

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
)

// RFC 7636 §4.1: "with a minimum length of 43 characters and a maximum length
// of 128 characters."
const (
	minVerifierChars = 43
	maxVerifierChars = 128
)

// verifierOctets is how much randomness a new verifier has.
//
//	RFC 7636 §7.1: "The client SHOULD create a "code_verifier" with a minimum
//	of 256 bits of entropy."
const verifierOctets = 32

const redacted = "[redacted]"

// ErrVerifier says that a text is not a code_verifier. A server answers with
// invalid_grant.
var ErrVerifier = errors.New("pkce: a code_verifier is 43 to 128 letters, digits, '-', '.', '_' and '~'")

// Verifier is the secret behind one authorization request, the code_verifier.
// It redacts itself in every verb of fmt, in encoding/json and in log/slog,
// also as an unexported field of another struct.
//
// The zero value is no verifier: its challenge is the zero [Challenge], and it
// satisfies none.
type Verifier struct {
	// A function, because nothing looks into one: fmt does not call the methods
	// of unexported fields and would print a string.
	text func() string
}

func newVerifier(text string) Verifier { return Verifier{func() string { return text }} }

// NewVerifier returns a verifier of 256 random bits, 43 characters long.
//
//	RFC 7636 §4.1: "the output of a suitable random number generator be used to
//	create a 32-octet sequence. The octet sequence is then base64url-encoded to
//	produce a 43-octet URL safe string to use as the code verifier."
func NewVerifier() Verifier {
	var octets [verifierOctets]byte
	_, _ = rand.Read(octets[:]) // never fails, see crypto/rand
	return newVerifier(base64.RawURLEncoding.EncodeToString(octets[:]))
}

// ParseVerifier reads a code_verifier. The error is [ErrVerifier] and carries
// nothing of the text.
//
//	RFC 7636 §4.1: code-verifier = 43*128unreserved
func ParseVerifier(text string) (Verifier, error) {
	if len(text) < minVerifierChars || len(text) > maxVerifierChars {
		return Verifier{}, ErrVerifier
	}
	for i := range len(text) {
		if !isUnreserved(text[i]) {
			return Verifier{}, ErrVerifier
		}
	}
	return newVerifier(text), nil
}

// RFC 7636 §4.1: unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"
func isUnreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case c == '-', c == '.', c == '_', c == '~':
		return true
	}
	return false
}

// Challenge returns what is sent in the authorization request.
//
//	RFC 7636 §4.2: code_challenge = BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))
func (v Verifier) Challenge() Challenge {
	if v.text == nil {
		return Challenge{}
	}
	sum := sha256.Sum256([]byte(v.text()))
	return Challenge{base64.RawURLEncoding.EncodeToString(sum[:])}
}

// Reveal returns the verifier itself, for the token request, and "" for the
// zero value. It must not be sent anywhere else.
func (v Verifier) Reveal() string {
	if v.text == nil {
		return ""
	}
	return v.text()
}

// String implements fmt.Stringer.
func (Verifier) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Verifier) GoString() string { return redacted }

// Format implements fmt.Formatter for every verb.
func (Verifier) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (Verifier) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, and so encoding/json too.
func (Verifier) MarshalText() ([]byte, error) { return []byte(redacted), nil }
