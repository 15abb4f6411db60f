// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// header is the JOSE header of a token, as far as it may say anything.
type header struct {
	algorithm Algorithm
	kid       string
	typ       string
	x5t       bool // a thumbprint was there
}

// forbidden are header parameters that change what the token means or bring a
// key along. They are refused rather than ignored: whoever sends them counts on
// somebody who does not ignore them.
//
//	RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not
//	understood and supported by the recipient, then the JWS is invalid." None
//	are, so that crit cannot be there at all.
var forbidden = map[string]bool{
	"crit": true, "b64": true, "cty": true, "zip": true,
	"jwk": true, "jku": true, "x5u": true, "x5c": true,
	"enc": true, "epk": true, "apu": true, "apv": true, "iv": true, "tag": true, "p2s": true, "p2c": true,
}

const maxKid = 256

var (
	errForbidden = errors.New("has a parameter that is never accepted")
	errHeader    = errors.New("has a parameter of the wrong form")
)

func parseHeader(text string) (header, error) {
	var h header
	err := strictjson.Object(text, strictjson.Limits{Depth: 4, Members: 32}, func(name, value string) error {
		var ok bool
		switch name {
		case "alg":
			var alg string
			alg, ok = strictjson.String(value)
			h.algorithm = Algorithm(alg)
		case "kid":
			h.kid, _ = strictjson.String(value)
			ok = h.kid != "" && len(h.kid) <= maxKid && isVisible(h.kid)
		case "typ":
			h.typ, _ = strictjson.String(value)
			ok = h.typ != ""
		case "x5t", "x5t#S256":
			_, ok = strictjson.String(value)
			h.x5t = true
		default:
			folded := strictjson.Fold(name)
			if forbidden[folded] {
				return errForbidden
			}
			// "ALG" is no parameter that anyone defines, but other readers
			// would take it for alg.
			ok = !isHeaderName(folded)
		}
		if !ok {
			return errHeader
		}
		return nil
	})
	if err == nil && h.algorithm == "" {
		err = errHeader
	}
	return h, err
}

// isHeaderName leaves out alg: without the right one there is no algorithm, and
// beside it any other spelling is a second member of that name.
func isHeaderName(name string) bool {
	switch name {
	case "kid", "typ", "x5t", "x5t#s256":
		return true
	}
	return false
}

// isVisible reports whether s is printable ASCII.
func isVisible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// isAccessTokenType reports whether typ may be that of an access token.
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
