// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// The claims that this package reads, as indexes of claimTable.
const (
	claimIss = iota
	claimSub
	claimClientID
	claimJTI
	claimSID
	claimAud
	claimExp
	claimIat
	claimNbf
	claimAuthTime
	claimScope
	claimTenant
	claimRoles
	claimAct
	claimCnf
	claimAzp
	claimCid
	claimTyp
	claimTokenUse
	claimNonce
	claimAtHash
	claimCHash
	claimSHash
	claimEvents
	claimCount
)

var claimNames = [claimCount]string{
	claimIss: "iss", claimSub: "sub", claimClientID: "client_id", claimJTI: "jti", claimSID: "sid", claimAud: "aud",
	claimExp: "exp", claimIat: "iat", claimNbf: "nbf", claimAuthTime: "auth_time",
	claimScope: "scope", claimTenant: "tenant", claimRoles: "roles", claimAct: "act", claimCnf: "cnf",
	claimAzp: "azp", claimCid: "cid", claimTyp: "typ", claimTokenUse: "token_use",
	claimNonce: "nonce", claimAtHash: "at_hash", claimCHash: "c_hash", claimSHash: "s_hash", claimEvents: "events",
}

var claimTable = strictjson.NewTable(claimNames[:]...)

// claims are the claims that this package reads, parsed but not validated. The
// zero value of a field means that the token does not have the claim.
type claims struct {
	text string // the whole JSON object

	issuer, subject, client, id string
	session                     string // sid
	audience                    string // raw
	expires, issued, notBefore  date
	authTime                    date
	scope, tenant, roles        string // raw
	actor                       string // raw
	party, cid                  string // raw azp and cid

	confirmation string // raw cnf

	foreign bool // has a claim that marks another kind of token
}

// date is a NumericDate. The zero value means that the claim is missing.
type date struct {
	seconds int64
	present bool
}

// maxDate is the last second of the year 9999, the last one that RFC 3339 can
// express.
const maxDate = 253402300799

const (
	maxDepth   = 16
	maxMembers = 256 // of all objects and arrays together; some providers send 200 groups
	maxText    = 255 // bytes of a subject, a client, a jti, a tenant or a role
)

var errClaim = errors.New("is malformed")

// claimError is the name of a claim that is malformed.
type claimError string

func (c claimError) Error() string { return "claim " + string(c) + " is malformed" }

// jsonLimits bound the JSON objects in a token.
var jsonLimits = strictjson.Limits{Depth: maxDepth, Members: maxMembers}

// parse sets c to the claims in the payload of a token. A known claim of the wrong
// type and a claim whose name differs from a known one only in case are a
// claimError.
func (c *claims) parse(text string) error {
	var r claimReader
	if err := claimTable.Read(text, jsonLimits, r.raw[:]); err != nil {
		if name, ok := errors.AsType[strictjson.CaseError](err); ok {
			err = claimError(name)
		}
		return err
	}
	*c = claims{
		text:     text,
		issuer:   r.text(claimIss, strictjson.String),
		subject:  r.text(claimSub, identifier),
		client:   r.text(claimClientID, identifier),
		id:       r.text(claimJTI, identifier),
		session:  r.text(claimSID, identifier),
		audience: r.raw[claimAud],
		expires:  r.date(claimExp), issued: r.date(claimIat), notBefore: r.date(claimNbf), authTime: r.date(claimAuthTime),
		scope: r.raw[claimScope], tenant: r.raw[claimTenant], roles: r.raw[claimRoles], actor: r.raw[claimAct],
		party: r.raw[claimAzp], cid: r.raw[claimCid],
		confirmation: r.raw[claimCnf],
		// OpenID Connect Core 1.0 §2 and §3.3.2.11; RFC 8417 §2.2.
		foreign: r.raw[claimNonce] != "" || r.raw[claimAtHash] != "" || r.raw[claimCHash] != "" || r.raw[claimSHash] != "" || r.raw[claimEvents] != "",
	}
	// Two providers state the kind of a token in a claim instead of the header.
	for _, n := range [...]int{claimTyp, claimTokenUse} {
		if kind := r.text(n, strictjson.String); r.raw[n] != "" && !isAccessKind(kind) {
			c.foreign = true
		}
	}
	if r.malformed != "" {
		return claimError(r.malformed)
	}
	return nil
}

// claimReader decodes raw claims and keeps the name of the first malformed one.
type claimReader struct {
	raw       [claimCount]string
	malformed string
}

func (r *claimReader) text(n int, decode func(value string) (string, bool)) string {
	if r.raw[n] == "" {
		return ""
	}
	text, ok := decode(r.raw[n])
	r.check(n, ok)
	return text
}

func (r *claimReader) date(n int) date {
	if r.raw[n] == "" {
		return date{}
	}
	d, ok := numericDate(r.raw[n])
	r.check(n, ok)
	return d
}

func (r *claimReader) check(n int, ok bool) {
	if !ok && r.malformed == "" {
		r.malformed = claimNames[n]
	}
}

// isAccessKind reports whether the value of a typ or token_use claim is one that
// access tokens have.
func isAccessKind(kind string) bool {
	return slices.ContainsFunc([]string{"Bearer", "access", "at+jwt", "JWT"}, func(k string) bool { return strings.EqualFold(k, kind) })
}

// member returns the raw value of any claim, "" if the token does not have it.
func (c *claims) member(name string) string {
	var found string
	_ = strictjson.Object(c.text, jsonLimits, func(n, value string) error {
		if n == name {
			found = value
		}
		return nil
	})
	return found
}

// identifier decodes a raw string that names something: not empty, at most
// maxText bytes, without control characters and line separators, so that it is
// safe to log.
func identifier(value string) (string, bool) {
	s, _ := strictjson.String(value)
	return s, isIdentifier(s)
}

func isIdentifier(s string) bool { return s != "" && text.IsClean(s, maxText) }

// numericDate parses a date that is a plain decimal, without sign and exponent.
// Fractions of a second are cut off.
//
//	RFC 7519 §2: NumericDate is "A JSON numeric value representing the number of
//	seconds from 1970-01-01T00:00:00Z UTC until the specified UTC date/time".
func numericDate(value string) (date, bool) {
	seconds, fraction := int64(0), false
	for i := range len(value) {
		switch c := value[i]; {
		case c == '.' && !fraction:
			fraction = true // strictjson has checked for digits on both sides
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
