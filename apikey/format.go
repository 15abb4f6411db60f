// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"crypto/rand"
	"errors"
	"hash/crc32"
	"strings"
)

// The text of a key has five parts:
//
//	prefix_environment_id_secretchecksum
//
// The first three are public. The secret is 43 random characters of an alphabet
// of 62, which is 256 bits. The checksum is the CRC-32 of everything before it
// in base 62. It detects typing errors and random strings and has no
// cryptographic purpose.
const (
	alphabet       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	maxNameChars   = 16 // of prefix and environment, each
	idChars        = 16 // 95 bits
	secretChars    = 43 // log2(62^43) = 256.03
	checksumChars  = 6  // log2(62^6) = 35.7
	maxKeyChars    = 2*maxNameChars + idChars + secretChars + checksumChars + 3
	minPrefixChars = 2
)

// nameRule describes the names that isName accepts.
const nameRule = "1 to 16 lower-case letters and digits, a letter first"

// ErrMalformed is the error of [Parse]: the format or the checksum of the text is
// invalid.
var ErrMalformed = errors.New("apikey: malformed API key")

// Label is the public part of a key.
type Label struct{ Prefix, Environment, ID string }

// String returns the label in the format of a key, without the secret:
// "acme_live_0123456789ABCDEF".
func (l Label) String() string { return l.Prefix + "_" + l.Environment + "_" + l.ID }

// Parse checks the format and the checksum of a key of any prefix and
// environment and returns its label. It does not check whether the key exists.
// The error is [ErrMalformed].
func Parse(text string) (Label, error) {
	label, ok := split(text)
	if !ok || !isChecksum(text[len(text)-checksumChars:], []byte(text[:len(text)-checksumChars])) {
		return Label{}, ErrMalformed
	}
	return label, nil
}

// Pattern returns a regular expression for secret scanners that finds the keys of
// a prefix in a text. It is valid in RE2 and most other dialects. Use [Parse] to
// verify the checksum of a match.
func Pattern(prefix string) string {
	return `\b` + prefix + `_[a-z][a-z0-9]{0,15}_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}[0-4][0-9A-Za-z]{5}\b`
}

// split splits a text that has the format of a key, without its checksum.
func split(text string) (label Label, ok bool) {
	// The last two parts have fixed lengths.
	const tail = 1 + idChars + 1 + secretChars + checksumChars
	at := len(text) - tail
	if at < 0 || len(text) > maxKeyChars || text[at] != '_' || text[at+1+idChars] != '_' {
		return Label{}, false
	}
	label.Prefix, label.Environment, _ = strings.Cut(text[:at], "_")
	label.ID = text[at+1 : at+1+idChars]
	ok = len(label.Prefix) >= minPrefixChars && isName(label.Prefix) && isName(label.Environment) &&
		isBase62(label.ID) && isBase62(text[len(text)-secretChars-checksumChars:])
	return label, ok
}

// isName reports whether s is a valid prefix or environment.
func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxNameChars
}

const noDigit = 255

// base62 is the value of each digit, noDigit for all other bytes.
var base62 = func() (values [256]uint8) {
	for i := range values {
		values[i] = noDigit
	}
	for value, digit := range []byte(alphabet) {
		values[digit] = uint8(value)
	}
	return values
}()

func isBase62(s string) bool {
	for i := range len(s) {
		if base62[s[i]] == noDigit {
			return false
		}
	}
	return true
}

func checksum(body []byte) string {
	var digits [checksumChars]byte
	sum := crc32.ChecksumIEEE(body)
	for i := checksumChars - 1; i >= 0; i-- {
		digits[i] = alphabet[sum%62]
		sum /= 62
	}
	return string(digits[:])
}

// isChecksum reports whether digits, all of them base 62, are the checksum of
// body. Each checksum has exactly one encoding in six digits.
func isChecksum(digits string, body []byte) bool {
	var n uint64
	for i := range len(digits) {
		n = n*62 + uint64(base62[digits[i]])
	}
	return n == uint64(crc32.ChecksumIEEE(body))
}

// newKeyText returns the text of a key with a new secret. The hash covers the
// text before the checksum.
func newKeyText(label Label) []byte {
	text := make([]byte, 0, maxKeyChars)
	text = append(text, label.String()...)
	text = append(text, '_')
	text = appendRandom(text, secretChars)
	return append(text, checksum(text)...)
}

func newID() string { return string(appendRandom(nil, idChars)) }

// appendRandom appends n uniformly random characters: of the 64 values of six bits
// it discards the two that have no character.
func appendRandom(b []byte, n int) []byte {
	var pool [64]byte
	for n > 0 {
		_, _ = rand.Read(pool[:]) // never fails, see crypto/rand
		for _, r := range pool {
			if r &= 63; n > 0 && int(r) < len(alphabet) {
				b = append(b, alphabet[r])
				n--
			}
		}
	}
	clear(pool[:])
	return b
}
