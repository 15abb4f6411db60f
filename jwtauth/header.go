// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// header holds the parameters of a JOSE header that this package uses.
type header struct {
	algorithm Algorithm
	kid       string
	typ       string
	x5t       bool // has the thumbprint of a certificate
}

// The header parameters that this package knows, as indexes of headerTable. From
// headerForbidden on they are rejected.
const (
	headerAlg = iota
	headerKid
	headerTyp
	headerX5t
	headerX5tS256
	headerForbidden
)

// headerNames lists the known parameters. The forbidden ones change the meaning
// of the token or carry a key. They are rejected and not ignored, because an
// attacker who sends them expects another verifier to obey them.
//
//	RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not
//	understood and supported by the recipient, then the JWS is invalid." None
//	is supported, so that crit is never valid.
var headerNames = [...]string{
	headerAlg: "alg", headerKid: "kid", headerTyp: "typ", headerX5t: "x5t", headerX5tS256: "x5t#S256",
	headerForbidden: "crit", "b64", "cty", "zip", "jwk", "jku", "x5u", "x5c",
	"enc", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c",
}

var headerTable = strictjson.NewTable(headerNames[:]...)

const maxKid = 256 // bytes

var (
	errForbidden = errors.New("has a parameter that is never accepted")
	errHeader    = errors.New("has a malformed parameter")
)

func parseHeader(object string) (header, error) {
	var raw [len(headerNames)]string
	if err := headerTable.Read(object, strictjson.Limits{Depth: 4, Members: 32}, raw[:]); err != nil {
		switch name, ok := errors.AsType[strictjson.CaseError](err); {
		case !ok:
			return header{}, err
		case slices.Contains(headerNames[:headerForbidden], string(name)):
			return header{}, errHeader
		}
		return header{}, errForbidden
	}
	for _, value := range raw[headerForbidden:] {
		if value != "" {
			return header{}, errForbidden
		}
	}
	alg, ok := strictjson.String(raw[headerAlg])
	h := header{algorithm: Algorithm(alg), x5t: raw[headerX5t] != "" || raw[headerX5tS256] != ""}
	ok = ok && alg != ""
	if raw[headerKid] != "" {
		h.kid, _ = strictjson.String(raw[headerKid])
		ok = ok && h.kid != "" && len(h.kid) <= maxKid && text.IsPrintable(h.kid)
	}
	if raw[headerTyp] != "" {
		h.typ, _ = strictjson.String(raw[headerTyp])
		ok = ok && h.typ != ""
	}
	for _, value := range raw[headerX5t:headerForbidden] {
		if value != "" {
			_, isString := strictjson.String(value)
			ok = ok && isString
		}
	}
	if !ok {
		return header{}, errHeader
	}
	return h, nil
}

// isAccessTokenType reports whether typ is valid for an access token.
//
//	RFC 9068 §4: "The resource server MUST verify that the "typ" header value is
//	"at+jwt" or "application/at+jwt" and reject tokens carrying any other value."
//
//	RFC 2045 §5.1: media types are "not case sensitive".
func isAccessTokenType(typ string, p Profile) bool {
	if strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt") {
		return true
	}
	return p == Compatible && (typ == "" || strings.EqualFold(typ, "JWT"))
}

// headerCache holds parsed headers by their encoded text: all tokens that one
// key signs have the same header. Only headers of accepted tokens are stored, so
// that invalid tokens evict nothing. It is safe for concurrent use.
type headerCache struct {
	slots [8]atomic.Pointer[cachedHeader]
}

type cachedHeader struct {
	segment string
	head    header
}

// slot selects by characters from the middle and the end, because headers mostly
// begin alike.
func (c *headerCache) slot(segment string) *atomic.Pointer[cachedHeader] {
	return &c.slots[(segment[len(segment)/2]^segment[len(segment)-1])%8]
}

// get returns the header of a segment, nil if the cache does not have it. The
// receiver may be nil.
func (c *headerCache) get(segment string) *header {
	if c == nil || segment == "" {
		return nil
	}
	if h := c.slot(segment).Load(); h != nil && h.segment == segment {
		return &h.head
	}
	return nil
}

func (c *headerCache) put(t *token) {
	if slot := c.slot(t.header); slot.Load() == nil || slot.Load().segment != t.header {
		slot.Store(&cachedHeader{strings.Clone(t.header), t.head})
	}
}
