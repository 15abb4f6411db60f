// SPDX-License-Identifier: Apache-2.0

// Package base64url decodes base64url without padding, RFC 4648 section 5, as JOSE uses
// it. It is strict: each sequence of bytes has one text.
package base64url

import (
	"encoding/binary"
	"errors"
	"slices"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// foreign marks a character that is not in the alphabet.
const foreign = 1 << 31

// values are the values of each character as the first to the fourth of a group, in the
// place where they belong: a group of four costs four look-ups, half of what the
// decoder of the standard library needs.
var values = func() (v [4][256]uint32) {
	for n := range v {
		for c := range v[n] {
			v[n][c] = foreign
		}
		for value := range uint32(len(alphabet)) {
			v[n][alphabet[value]] = value << (18 - 6*n)
		}
	}
	return v
}()

var errText = errors.New("not canonical base64url")

// Decode appends the decoded bytes of text to buffer. An empty text is an error, and so
// are padding, a line break, and bits behind the last byte that are not zero.
//
//	RFC 7515 §2: Base64url Encoding is used "with all trailing '=' characters
//	omitted ... and without the inclusion of any line breaks, whitespace, or
//	other additional characters."
func Decode[T string | []byte](buffer []byte, text T) ([]byte, error) {
	if len(text) == 0 || len(text)%4 == 1 {
		return nil, errText
	}
	start, size := len(buffer), len(text)/4*3+len(text)%4*3/4
	buffer = slices.Grow(buffer, size)[:start+size]
	to := buffer[start:]
	var all uint32
	for len(text) >= 8 && len(to) >= 8 { // two groups, and two bytes that the next ones replace
		high := values[0][text[0]] | values[1][text[1]] | values[2][text[2]] | values[3][text[3]]
		low := values[0][text[4]] | values[1][text[5]] | values[2][text[6]] | values[3][text[7]]
		all |= high | low
		binary.BigEndian.PutUint64(to, uint64(high)<<40|uint64(low)<<16)
		text, to = text[8:], to[6:]
	}
	for ; len(text) >= 4; text, to = text[4:], to[3:] {
		group := values[0][text[0]] | values[1][text[1]] | values[2][text[2]] | values[3][text[3]]
		all |= group
		to[0], to[1], to[2] = byte(group>>16), byte(group>>8), byte(group) //nolint:gosec // one byte each
	}
	var rest uint32
	for n := range len(text) {
		rest |= values[n][text[n]]
	}
	for n := range to {
		to[n] = byte(rest >> (16 - 8*n)) //nolint:gosec // one byte
		rest &^= 0xff << (16 - 8*n)
	}
	if all >= foreign || rest != 0 {
		return nil, errText
	}
	return buffer, nil
}
