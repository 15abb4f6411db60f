// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// header holds the parameters of a JOSE header that this package uses.
type header struct {
	text      string // the whole JSON object
	algorithm Algorithm
	kid       string
	typ       string
	x5t       bool // has the thumbprint of a certificate
}

// headerTable lists the parameters that parseHeader reads, in this order. From crit on
// they are forbidden, because they change the meaning of the token or carry a key. A
// token with one is rejected: another verifier might obey the parameter.
//
//	RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not understood
//	and supported by the recipient, then the JWS is invalid." None
//	is supported, so that crit is never valid.
//
// Implements RFC 8725 §3.6, §3.10 (jku); ASVS 5.0 §9.1.3.
var headerTable = strictjson.NewTable(
	"alg", "kid", "typ", "x5t", "x5t#S256",
	"crit", "b64", "cty", "zip", "jwk", "jku", "x5u", "x5c",
	"enc", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c",
)

const maxKid = 256 // bytes

var (
	errForbidden = errors.New("has a parameter that is never accepted")
	errHeader    = errors.New("has a malformed parameter")
)

// Implements RFC 7515 §4.1.1, §4.1.4; RFC 8725 §3.10 (kid).
func parseHeader(object string) (header, error) {
	var alg, kid, typ, x5t, x5tS256, bad string
	err := headerTable.Read(object, strictjson.Limits{Depth: 4, Members: 32}, &alg, &kid, &typ, &x5t, &x5tS256,
		&bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad)
	if name, ok := errors.AsType[strictjson.CaseError](err); ok {
		switch name {
		case "alg", "kid", "typ", "x5t", "x5t#S256":
			return header{}, errHeader
		}
		return header{}, errForbidden
	}
	switch {
	case err != nil:
		return header{}, err
	case bad != "":
		return header{}, errForbidden
	}
	h := header{text: object, x5t: x5t != "" || x5tS256 != ""}
	name, ok := strictjson.String(alg)
	h.algorithm = Algorithm(name)
	ok = ok && name != ""
	if kid != "" {
		h.kid, _ = strictjson.String(kid)
		ok = ok && h.kid != "" && len(h.kid) <= maxKid && text.IsPrintable(h.kid)
	}
	if typ != "" {
		h.typ, _ = strictjson.String(typ)
		ok = ok && h.typ != ""
	}
	for _, thumbprint := range [...]string{x5t, x5tS256} {
		_, isString := strictjson.String(thumbprint)
		ok = ok && (isString || thumbprint == "")
	}
	if !ok {
		return header{}, errHeader
	}
	return h, nil
}

// isAccessTokenType reports whether typ is valid for an access token.
//
//	RFC 9068 §4 (typ): "The resource server MUST verify that the "typ" header
//	value is "at+jwt" or "application/at+jwt" and reject tokens carrying any
//	other value."
//
//	RFC 2045 section 5.1 says that media types are "not case sensitive".
//
// Implements RFC 7515 §4.1.9; RFC 8725 §3.11, §3.12; ASVS 5.0 §9.2.2.
func isAccessTokenType(typ string, p Profile) bool {
	if strings.EqualFold(mediaType(typ), "at+jwt") {
		return true
	}
	return p == Compatible && (typ == "" || strings.EqualFold(typ, "JWT"))
}

// headerCache holds parsed headers by their encoded text, because all tokens of one key
// usually have the same header. It stores only headers of accepted tokens, so that
// invalid tokens evict nothing. It is safe for concurrent use.
type headerCache struct {
	seed  maphash.Seed
	slots [64]atomic.Pointer[cachedHeader]
}

type cachedHeader struct {
	segment string
	head    header
}

func newHeaderCache() *headerCache { return &headerCache{seed: maphash.MakeSeed()} }

// slot returns the slot that a seeded hash selects. Most headers differ only in a few
// characters of the kid.
func (c *headerCache) slot(segment string) *atomic.Pointer[cachedHeader] {
	return &c.slots[maphash.String(c.seed, segment)%uint64(len(c.slots))]
}

// get returns the header of a segment, nil if the cache does not contain it. c may be
// nil.
func (c *headerCache) get(segment string) *header {
	if c == nil {
		return nil
	}
	if h := c.slot(segment).Load(); h != nil && h.segment == segment {
		return &h.head
	}
	return nil
}

func (c *headerCache) put(segment string, head *header) {
	c.slot(segment).Store(&cachedHeader{strings.Clone(segment), *head})
}
