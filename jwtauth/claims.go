// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// claimTable lists the claims that claims.parse reads, in this order.
var claimTable = strictjson.NewTable(
	"iss", "sub", "client_id", "jti", "sid", "aud", "exp", "iat", "nbf", "auth_time", "scope", "tenant", "roles", "act", "cnf",
	"azp", "cid", "typ", "token_use", "nonce", "at_hash", "c_hash", "s_hash", "events",
)

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

const (
	maxDepth   = 16
	maxMembers = 2048 // of all objects and arrays together; some providers send 1,000 permissions
	maxText    = 255 // bytes of a subject, a client, a jti, a tenant or a role
)

// claimError is the name of a claim that is malformed.
type claimError string

func (c claimError) Error() string { return "claim " + string(c) + " is malformed" }

// jsonLimits bound the JSON objects in a token.
var jsonLimits = strictjson.Limits{Depth: maxDepth, Members: maxMembers}

// parse sets c to the claims in the payload of a token. A known claim of the wrong
// type and a claim whose name differs from a known one only in case are a
// claimError.
//
// Implements RFC 7519 §4 (unknown), §4.1.1, §4.1.6.
func (c *claims) parse(text string) error {
	*c = claims{text: text}
	var iss, sub, client, jti, sid, exp, iat, nbf, authTime, typ, use string
	var foreign string // a claim of OIDC Core §2 and §3.3.2.11 or RFC 8417 §2.2
	err := claimTable.Read(text, jsonLimits, &iss, &sub, &client, &jti, &sid, &c.audience, &exp, &iat, &nbf, &authTime,
		&c.scope, &c.tenant, &c.roles, &c.actor, &c.confirmation, &c.party, &c.cid, &typ, &use, &foreign, &foreign, &foreign, &foreign, &foreign)
	if err != nil {
		if name, ok := errors.AsType[strictjson.CaseError](err); ok {
			return claimError(name)
		}
		return err
	}
	var d claimDecoder
	c.issuer = d.text("iss", iss)
	c.subject, c.client = d.identifier("sub", sub), d.identifier("client_id", client)
	c.id, c.session = d.identifier("jti", jti), d.identifier("sid", sid)
	c.expires, c.issued = d.date("exp", exp), d.date("iat", iat)
	c.notBefore, c.authTime = d.date("nbf", nbf), d.date("auth_time", authTime)
	// Two providers state the kind of a token in a claim instead of the header.
	c.foreign = foreign != "" || typ != "" && !isAccessKind(d.text("typ", typ)) || use != "" && !isAccessKind(d.text("token_use", use))
	return d.err()
}

// claimDecoder decodes raw values of claims, "" for a missing one, and keeps the
// name of the last malformed claim.
type claimDecoder struct{ malformed string }

func (d *claimDecoder) text(name, raw string) string {
	s, ok := strictjson.String(raw)
	d.check(name, ok || raw == "")
	return s
}

func (d *claimDecoder) identifier(name, raw string) string {
	s, ok := identifier(raw)
	d.check(name, ok || raw == "")
	return s
}

func (d *claimDecoder) date(name, raw string) date {
	seconds, ok := jose.NumericDate(raw)
	d.check(name, ok || raw == "")
	return date{seconds, ok}
}

func (d *claimDecoder) check(name string, ok bool) {
	if !ok {
		d.malformed = name
	}
}

func (d *claimDecoder) err() error {
	if d.malformed == "" {
		return nil
	}
	return claimError(d.malformed)
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
