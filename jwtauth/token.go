// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-go/gatehouse"
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
	if first == last || strings.IndexByte(token[first+1:last], '.') >= 0 {
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
	if segment == "" || strings.IndexByte(segment, '\r') >= 0 || strings.IndexByte(segment, '\n') >= 0 {
		return nil, errBase64
	}
	decoded, err := strict.AppendDecode(buffer, []byte(segment))
	if err != nil {
		return nil, errBase64
	}
	return decoded, nil
}

// token is a token that has been read, and of which nothing is believed yet.
type token struct {
	compact
	head   header
	claims claims
}

// read takes a token apart strictly. maxBytes bounds the whole of it, and its
// header a quarter of that. A header that is among those known is not read
// again.
func read(text string, maxBytes int, known *headers) (token, error) {
	if len(text) > maxBytes {
		return token{}, refuse(gatehouse.ReasonTokenOversized, nil, nil)
	}
	parts, err := cut(text)
	if err != nil {
		return token{}, refuse(gatehouse.ReasonTokenMalformed, nil, err)
	}
	if len(parts.header) > maxBytes/4 {
		return token{}, refuse(gatehouse.ReasonTokenOversized, nil, errors.New("the header is too long"))
	}
	t := token{compact: parts}
	if head := known.find(parts.header); head != nil {
		t.head = *head
	} else if t.head, err = readHeader(parts.header); err != nil {
		return token{}, err
	}
	var room [1024]byte
	decoded, err := decode(room[:0], parts.payload)
	if err != nil {
		return token{}, refuse(gatehouse.ReasonTokenMalformed, nil, fmt.Errorf("payload: %w", err))
	}
	if t.claims, err = parseClaims(string(decoded)); err != nil {
		reason := gatehouse.ReasonTokenMalformed
		if _, ok := errors.AsType[claimError](err); ok {
			reason = gatehouse.ReasonTokenClaims
		}
		return token{}, refuse(reason, nil, err)
	}
	return t, nil
}

func readHeader(segment string) (header, error) {
	decoded, err := decode(nil, segment)
	if err != nil {
		return header{}, refuse(gatehouse.ReasonTokenMalformed, nil, fmt.Errorf("header: %w", err))
	}
	h, err := parseHeader(string(decoded))
	if err != nil {
		reason := gatehouse.ReasonTokenMalformed
		if errors.Is(err, errForbidden) {
			reason = gatehouse.ReasonTokenHeader
		}
		return header{}, refuse(reason, nil, fmt.Errorf("header: %w", err))
	}
	return h, nil
}
