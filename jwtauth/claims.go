// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"

	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// The indices of the claims that are read from every token.
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
	claimAppid
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
	"iss", "sub", "client_id", "jti", "sid", "aud", "exp", "iat", "nbf", "auth_time", "scope", "tenant", "roles", "act", "cnf",
	"azp", "cid", "appid", "typ", "token_use", "nonce", "at_hash", "c_hash", "s_hash", "events",
}

var claimTable = strictjson.NewTable(claimNames[:]...)

// claims are the claims that this package reads, parsed but not validated. The
// zero value of a field means that the token does not have the claim.
type claims struct {
	text  string             // the whole JSON object
	raw   [claimCount]string // raw values
	extra []string           // raw values of other claims that the Issuer names

	// The values that issuer.decode decodes.
	issuer, subject, client, id string
	session                     string // sid
	expires, issued, notBefore  date
	authTime                    date
}

// date is a NumericDate. The zero value means that the claim is missing.
type date struct {
	seconds int64
	present bool
}

const (
	maxDepth   = 16
	maxMembers = 2048 // in all objects and arrays together; some providers send 1,000 permissions
	maxText    = 255  // bytes of a client, a jti, a tenant or a role
	maxSubject = 512  // bytes of a subject; one provider builds it from long names
)

// claimError is the name of a malformed claim, as an error.
type claimError string

func (c claimError) Error() string { return "claim " + string(c) + " is malformed" }

// jsonLimits bound the JSON objects in a token.
var jsonLimits = strictjson.Limits{Depth: maxDepth, Members: maxMembers}

// parse sets c to the claims in the payload of a token and decodes iss, which selects the
// issuer that decodes the others. It returns a claimError for a malformed iss, and for a
// claim whose name differs from a known name only in case.
//
// Implements RFC 7519 §4 (unknown), §4.1.1, §4.1.6.
func (c *claims) parse(text string) error {
	*c = claims{text: text}
	var values [claimCount]*string
	for n := range values {
		values[n] = &c.raw[n]
	}
	if err := read(claimTable, text, values[:]); err != nil {
		return err
	}
	var d claimDecoder
	c.issuer = d.text("iss", c.raw[claimIss])
	return d.err()
}

// read reads the members in table.
func read(table *strictjson.Table, text string, values []*string) error {
	err := table.Read(text, jsonLimits, values...)
	if name, ok := errors.AsType[strictjson.CaseError](err); ok {
		return claimError(name)
	}
	return err
}

// decode decodes the claims of a token of this issuer. It returns a claimError for a
// claim of the wrong type.
func (i *issuer) decode(c *claims) error {
	if i.Profile == Compatible {
		c.dropNulls()
	}
	if i.extra != nil {
		c.extra = make([]string, i.extraCount)
		values := make([]*string, i.extraCount)
		for n := range values {
			values[n] = &c.extra[n]
		}
		if err := read(i.extra, c.text, values); err != nil {
			return err
		}
	}
	var d claimDecoder
	c.subject = i.decodeSubject(c, &d)
	c.client = i.decodeClient(c, &d)
	c.id, c.session = d.identifier("jti", c.raw[claimJTI]), d.identifier("sid", c.raw[claimSID])
	c.expires, c.issued = d.date("exp", c.raw[claimExp]), d.date("iat", c.raw[claimIat])
	c.notBefore = d.date("nbf", c.raw[claimNbf])
	if i.Profile == Compatible {
		// One provider sends a string, which is ignored: without AuthTime, a step-up
		// policy requires another login.
		c.authTime = new(claimDecoder).date("auth_time", c.raw[claimAuthTime])
	} else {
		c.authTime = d.date("auth_time", c.raw[claimAuthTime])
	}
	return d.err()
}

// dropNulls treats optional claims that are null as missing. The other claims decide the
// kind and the audience of the token: there null is malformed, or counts as present.
func (c *claims) dropNulls() {
	for n := range c.raw {
		switch n {
		case claimAud, claimCnf, claimNonce, claimAtHash, claimCHash, claimSHash, claimEvents:
		default:
			if c.raw[n] == "null" {
				c.raw[n] = ""
			}
		}
	}
}

// decodeSubject decodes the first of SubjectClaims that is present and not empty.
func (i *issuer) decodeSubject(c *claims, d *claimDecoder) string {
	if i.subject == nil {
		return d.bounded("sub", c.raw[claimSub], maxSubject)
	}
	for _, s := range i.subject {
		if raw := c.value(s); raw != "" && raw != `""` && raw != "null" {
			return d.bounded(s.name, raw, maxSubject)
		}
	}
	return ""
}

// decodeClient decodes the first of ClientClaims that is present.
func (i *issuer) decodeClient(c *claims, d *claimDecoder) string {
	if i.ClientClaims != nil {
		for _, s := range i.client {
			if raw := i.optional(c, s); raw != "" {
				return d.identifier(s.name, raw)
			}
		}
		return ""
	}
	names := [...]int{claimClientID, claimAzp, claimCid, claimAppid}
	known := names[:]
	if i.Profile == RFC9068 {
		known = known[:1]
	}
	for _, n := range known {
		if c.raw[n] != "" {
			return d.identifier(claimNames[n], c.raw[n])
		}
	}
	return ""
}

// optional returns the raw value of an optional claim.
func (i *issuer) optional(c *claims, s *selector) string {
	raw := c.value(s)
	if raw == "null" && i.Profile == Compatible {
		return ""
	}
	return raw
}

// claimDecoder decodes raw values of claims and keeps the name of the last malformed
// claim. A raw value of "" is a missing claim.
type claimDecoder struct{ malformed string }

func (d *claimDecoder) text(name, raw string) string {
	s, ok := strictjson.String(raw)
	d.check(name, ok || raw == "")
	return s
}

func (d *claimDecoder) identifier(name, raw string) string { return d.bounded(name, raw, maxText) }

// bounded decodes an identifier of at most limit bytes.
func (d *claimDecoder) bounded(name, raw string, limit int) string {
	if raw == "" {
		return ""
	}
	s, _ := strictjson.String(raw)
	d.check(name, s != "" && text.IsClean(s, limit))
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

// identifier decodes a raw string that names something: not empty, at most
// maxText bytes, without control characters and line separators, so that it is
// safe to log.
func identifier(value string) (string, bool) {
	s, _ := strictjson.String(value)
	return s, isIdentifier(s)
}

func isIdentifier(s string) bool { return s != "" && text.IsClean(s, maxText) }
