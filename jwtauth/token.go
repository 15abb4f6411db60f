// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

var (
	errOversized       = errors.New("the token is longer than MaxTokenBytes")
	errOversizedHeader = errors.New("the header is longer than a quarter of MaxTokenBytes")
)

// isCompact reports whether a credential has the format of a JWS: two dots.
func isCompact(token string) bool {
	_, err := jose.Split(token)
	return err == nil
}

// token is a parsed token whose signature and claims are not checked yet.
type token struct {
	jose.Compact
	text   string // the whole token, "" if it is not kept
	head   *header
	claims claims

	newHeader bool // the header was not in the cache of headers
}

// parse sets t to a compact token of at most maxBytes bytes, with a header of at most a
// quarter of that. headers may be nil. keep copies the token too, because a string from a
// request can be part of a much larger string; both copies are one allocation.
func (t *token) parse(text string, maxBytes int, headers *headerCache, keep bool) error {
	if len(text) > maxBytes {
		return reject(ReasonOversized, nil, errOversized)
	}
	var err error
	if t.Compact, err = jose.Split(text); err != nil {
		return reject(ReasonMalformed, nil, err)
	}
	if len(t.Header) > maxBytes/4 {
		return reject(ReasonOversized, nil, errOversizedHeader)
	}
	head := headers.get(t.Header)
	if t.newHeader = head == nil; t.newHeader {
		if head, err = decodeHeader(t.Header); err != nil {
			return err
		}
	}
	t.head = head
	var buffer [1024]byte
	decoded, err := base64url.Decode(buffer[:0], t.Payload)
	if err != nil {
		return reject(ReasonMalformed, nil, fmt.Errorf("payload: %w", err))
	}
	var kept strings.Builder
	if keep {
		kept.Grow(len(text) + len(decoded))
		kept.WriteString(text)
	}
	kept.Write(decoded)
	t.text = kept.String()[:kept.Len()-len(decoded)]
	if err := t.claims.parse(kept.String()[len(t.text):]); err != nil {
		reason := ReasonMalformed
		if _, ok := errors.AsType[claimError](err); ok {
			reason = ReasonClaims
		}
		return reject(reason, nil, err)
	}
	return nil
}

func decodeHeader(segment string) (*header, error) {
	decoded, err := base64url.Decode(nil, segment)
	if err != nil {
		return nil, reject(ReasonMalformed, nil, fmt.Errorf("header: %w", err))
	}
	h, err := parseHeader(string(decoded))
	if err != nil {
		reason := ReasonMalformed
		if errors.Is(err, errForbidden) {
			reason = ReasonHeader
		}
		return nil, reject(reason, nil, fmt.Errorf("header: %w", err))
	}
	return &h, nil
}
