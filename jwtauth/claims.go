// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// claims are the claims of a token that mean something to this package, read
// from the raw text and not yet judged. Text that is "" was not there.
type claims struct {
	text string // all of them

	issuer, subject, client, id string
	session                     string // sid
	audience                    string // raw
	expires, issued, notBefore  date
	authTime                    date
	scope, tenant, roles        string // raw
	actor                       string // raw

	confirmed bool // cnf is there
	foreign   bool // the mark of a token that is not an access token is there
}

// date is a NumericDate. The zero value was not there.
type date struct {
	seconds int64
	present bool
}

// maxDate is the last second of the year 9999. RFC 3339 knows no later one, and
// nor do most libraries.
const maxDate = 253402300799

const (
	maxDepth   = 16
	maxMembers = 256 // of all objects and arrays together; providers put up to 200 groups in
	maxText    = 255 // bytes of a subject, a client, a jti, a tenant or a role
)

var errClaim = errors.New("has the wrong form")

type claimError string

func (c claimError) Error() string { return "claim " + string(c) + " has the wrong form" }

// parseClaims reads the payload of a token. i says which claims of its own the
// issuer uses; it may be nil while the issuer is not known.
func parseClaims(text string) (claims, error) {
	c := claims{text: text}
	err := strictjson.Object(text, strictjson.Limits{Depth: maxDepth, Members: maxMembers}, func(name, value string) error {
		var ok bool
		switch name {
		case "iss":
			c.issuer, ok = strictjson.String(value)
		case "sub":
			c.subject, ok = plainText(value)
		case "client_id":
			c.client, ok = plainText(value)
		case "jti":
			c.id, ok = plainText(value)
		case "sid":
			c.session, ok = plainText(value)
		case "aud":
			c.audience, ok = value, true
		case "exp":
			c.expires, ok = numericDate(value)
		case "iat":
			c.issued, ok = numericDate(value)
		case "nbf":
			c.notBefore, ok = numericDate(value)
		case "auth_time":
			c.authTime, ok = numericDate(value)
		case "scope":
			c.scope, ok = value, true
		case "tenant":
			c.tenant, ok = value, true
		case "roles":
			c.roles, ok = value, true
		case "act":
			c.actor, ok = value, true
		case "cnf":
			c.confirmed, ok = true, true
		case "azp", "cid":
			ok = true // read if there is no client_id
		case "nonce", "at_hash", "c_hash", "s_hash", "events":
			// OpenID Connect Core 1.0 §2 and §3.3.2.11; RFC 8417 §2.2.
			c.foreign, ok = true, true
		case "typ", "token_use":
			// Two providers say in a claim what others say in the header.
			var kind string
			kind, ok = strictjson.String(value)
			c.foreign = c.foreign || !slices.ContainsFunc(accessKinds, func(k string) bool { return strings.EqualFold(k, kind) })
		default:
			// "ISS" is no claim that anyone defines, but a reader that folds
			// case would take it for iss.
			ok = !isClaimName(strictjson.Fold(name))
		}
		if !ok {
			return claimError(name)
		}
		return nil
	})
	return c, err
}

// accessKinds are what an access token says in a claim that it is.
var accessKinds = []string{"Bearer", "access", "at+jwt", "JWT"}

func isClaimName(name string) bool {
	switch name {
	case "iss", "sub", "client_id", "jti", "sid", "aud", "exp", "iat", "nbf", "auth_time", "scope", "tenant", "roles", "act", "cnf",
		"nonce", "at_hash", "c_hash", "s_hash", "events", "typ", "token_use", "azp", "cid":
		return true
	}
	return false
}

// member returns the raw value of one claim.
func (c *claims) member(name string) string {
	var found string
	_ = strictjson.Object(c.text, strictjson.Limits{Depth: maxDepth, Members: maxMembers}, func(n, value string) error {
		if n == name {
			found = value
		}
		return nil
	})
	return found
}

// plainText returns a text that can be an identifier: short, and without
// characters that would write their own line in a log.
func plainText(value string) (string, bool) {
	text, _ := strictjson.String(value)
	return text, isIdentifier(text)
}

func isIdentifier(text string) bool {
	if text == "" || len(text) > maxText {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f {
			return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' })
		}
	}
	return true
}

// numericDate reads a date that is written as a plain decimal, without sign and
// exponent. Fractions of a second are cut off.
//
//	RFC 7519 §2: NumericDate is "A JSON numeric value representing the number of
//	seconds from 1970-01-01T00:00:00Z UTC until the specified UTC date/time".
func numericDate(value string) (date, bool) {
	seconds, fraction := int64(0), false
	for i := range len(value) {
		switch c := value[i]; {
		case c == '.' && !fraction:
			fraction = true // the scanner has seen that digits stand on both sides
		case c < '0' || c > '9':
			return date{}, false
		case !fraction:
			if seconds = 10*seconds + int64(c-'0'); seconds > maxDate {
				return date{}, false
			}
		}
	}
	return date{seconds, true}, value != ""
}
