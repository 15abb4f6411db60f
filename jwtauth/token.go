// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"encoding/base64"
	"errors"
	"strings"
)

// compact is a JWS in compact serialization, RFC 7515 section 7.1, cut in
// three but not decoded.
type compact struct {
	header, payload, signature string
	signingInput               string
}

var errSegments = errors.New("not three segments")

func cut(token string) (compact, error) {
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first < 0 || first == last || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return compact{}, errSegments
	}
	return compact{
		header:       token[:first],
		payload:      token[first+1 : last],
		signature:    token[last+1:],
		signingInput: token[:last],
	}, nil
}

// looksLike reports whether a credential has the shape of a JWS: two dots.
func looksLike(token string) bool {
	_, err := cut(token)
	return err == nil
}

var (
	strict    = base64.RawURLEncoding.Strict()
	errBase64 = errors.New("not canonical base64url")
)

// decode appends the bytes that a segment stands for to buffer.
//
// The decoder of the standard library skips line breaks even when it is
// strict, so those are looked for first: two texts must never be one token.
//
//	RFC 7515 §2: Base64url Encoding is used "with all trailing '=' characters
//	omitted ... and without the inclusion of any line breaks, whitespace, or
//	other additional characters."
func decode(buffer []byte, segment string) ([]byte, error) {
	if segment == "" || strings.ContainsAny(segment, "\r\n") {
		return nil, errBase64
	}
	decoded, err := strict.AppendDecode(buffer, []byte(segment))
	if err != nil {
		return nil, errBase64
	}
	return decoded, nil
}
