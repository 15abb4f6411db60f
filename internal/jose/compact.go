// SPDX-License-Identifier: Apache-2.0

// Package jose has the parts of JOSE that several packages need: the compact
// serialization of a JWS, public keys, their thumbprints, and signatures. It is strict:
// it rejects input that parsers read differently.
package jose

import (
	"errors"
	"strings"
)

// Compact is a JWS in compact serialization, RFC 7515 section 7.1, split into its
// segments but not decoded.
type Compact struct {
	Header, Payload, Signature string
	SigningInput               string
}

var errSegments = errors.New("number of segments: must be 3")

// Split splits a token at its two dots.
//
// Implements RFC 7515 §7.1.
func Split(token string) (Compact, error) {
	// Search forwards: strings.LastIndexByte reads byte by byte.
	first := strings.IndexByte(token, '.')
	second := strings.IndexByte(token[first+1:], '.')
	last := first + 1 + second
	if first < 0 || second < 0 || strings.IndexByte(token[last+1:], '.') >= 0 {
		return Compact{}, errSegments
	}
	return Compact{
		Header:       token[:first],
		Payload:      token[first+1 : last],
		Signature:    token[last+1:],
		SigningInput: token[:last],
	}, nil
}

// maxDate is the last second of the year 9999, the last one that RFC 3339 can
// express.
const maxDate = 253402300799

// NumericDate parses a date that is a plain decimal, without sign and exponent. Fractions
// of a second are truncated. value is the raw JSON value, whose syntax package strictjson
// has checked.
//
//	RFC 7519 §2: NumericDate is "A JSON numeric value representing the number of
//	seconds from 1970-01-01T00:00:00Z UTC until the specified UTC date/time".
func NumericDate(value string) (seconds int64, ok bool) {
	fraction := false
	for i := range len(value) {
		switch c := value[i]; {
		case c == '.' && !fraction:
			fraction = true // strictjson has checked for digits on both sides
		case c < '0' || c > '9':
			return 0, false
		case !fraction:
			if seconds = 10*seconds + int64(c-'0'); seconds > maxDate {
				return 0, false
			}
		}
	}
	return seconds, value != ""
}
