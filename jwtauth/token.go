// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// compact is a JWS in compact serialization, RFC 7515 section 7.1, split into its
// segments but not decoded.
type compact struct {
	header, payload, signature string
	signingInput               string
}

var (
	errOversized       = errors.New("the token is longer than MaxTokenBytes")
	errOversizedHeader = errors.New("the header is longer than a quarter of MaxTokenBytes")
)

var errSegments = errors.New("number of segments: must be 3")

// Implements RFC 7515 §7.1.
func split(token string) (compact, error) {
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

// isCompact reports whether a credential has the shape of a JWS: two dots.
func isCompact(token string) bool {
	_, err := split(token)
	return err == nil
}

var (
	strict    = base64.RawURLEncoding.Strict()
	errBase64 = errors.New("not canonical base64url")
)

// decode appends the decoded bytes of a segment to buffer.
//
// The strict decoder of the standard library skips line breaks. They are
// rejected here, so that no two texts are the same token.
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

// token is a parsed token whose signature and claims are not checked yet.
type token struct {
	compact
	head   header
	claims claims
}

// parse parses a compact token of at most maxBytes, whose header has at most a
// quarter of that. headers may be nil.
func parse(text string, maxBytes int, headers *headerCache) (token, error) {
	if len(text) > maxBytes {
		return token{}, reject(ReasonOversized, nil, errOversized)
	}
	parts, err := split(text)
	if err != nil {
		return token{}, reject(ReasonMalformed, nil, err)
	}
	if len(parts.header) > maxBytes/4 {
		return token{}, reject(ReasonOversized, nil, errOversizedHeader)
	}
	t := token{compact: parts}
	if head := headers.get(parts.header); head != nil {
		t.head = *head
	} else if t.head, err = decodeHeader(parts.header); err != nil {
		return token{}, err
	}
	var buffer [1024]byte
	decoded, err := decode(buffer[:0], parts.payload)
	if err != nil {
		return token{}, reject(ReasonMalformed, nil, fmt.Errorf("payload: %w", err))
	}
	if err := t.claims.parse(string(decoded)); err != nil {
		reason := ReasonMalformed
		if _, ok := errors.AsType[claimError](err); ok {
			reason = ReasonClaims
		}
		return token{}, reject(reason, nil, err)
	}
	return t, nil
}

func decodeHeader(segment string) (header, error) {
	decoded, err := decode(nil, segment)
	if err != nil {
		return header{}, reject(ReasonMalformed, nil, fmt.Errorf("header: %w", err))
	}
	h, err := parseHeader(string(decoded))
	if err != nil {
		reason := ReasonMalformed
		if errors.Is(err, errForbidden) {
			reason = ReasonHeader
		}
		return header{}, reject(reason, nil, fmt.Errorf("header: %w", err))
	}
	return h, nil
}
