// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// Mark is a condition on a token: a claim or a header parameter is present, has one of
// certain values, or equals another claim. A claim that is null is not present.
type Mark struct {
	// Claim is the name of a claim, as described for [Issuer]. Header is the name of
	// a parameter of the JOSE header; the value of typ is compared as a media type.
	// Exactly one of the two is required.
	Claim, Header string

	// Values are the accepted values: the text of a string, or the JSON text of a number,
	// true or false. Without Values and Equals, the claim must be present.
	Values []string

	// Equals is the name of another claim that must have the same value, instead of
	// Values.
	Equals string
}

// mark is a checked Mark.
type mark struct {
	Mark
	claim, equals *selector // nil if they are not set
}

// addMark checks a mark.
func (b *selectors) addMark(m Mark) (mark, error) {
	m.Values = slices.Clone(m.Values)
	checked := mark{Mark: m}
	var err error
	switch {
	case (m.Claim == "") == (m.Header == ""):
		return checked, errors.New("exactly one of Claim and Header is required")
	case m.Equals != "" && m.Values != nil:
		return checked, errors.New("Equals excludes Values")
	case m.Values != nil && len(m.Values) == 0:
		return checked, errors.New("Values: at least one is required, or nil for a claim that is present")
	case m.Claim != "":
		if checked.claim, err = b.add(m.Claim); err != nil {
			return checked, fmt.Errorf("Claim: %w", err)
		}
	}
	if m.Equals != "" {
		if checked.equals, err = b.add(m.Equals); err != nil {
			return checked, fmt.Errorf("Equals: %w", err)
		}
	}
	return checked, nil
}

// name names the claim or the header parameter.
func (m *mark) name() string {
	if m.Header != "" {
		return "header parameter " + m.Header
	}
	return "claim " + m.Claim
}

// unfulfilled returns the text for a token that does not satisfy the condition.
func (m *mark) unfulfilled() string {
	switch {
	case m.equals != nil:
		return m.name() + " does not equal claim " + m.Equals
	case m.Values != nil:
		return m.name() + " is none of " + list(m.Values)
	}
	return m.name() + " is missing"
}

// fulfilled returns the text for a token that satisfies the condition.
func (m *mark) fulfilled() string {
	switch {
	case m.equals != nil:
		return m.name() + " equals claim " + m.Equals
	case m.Values != nil:
		return m.name() + " is " + strings.Join(m.Values, " or ")
	}
	return m.name() + " is present"
}

// holds reports whether a token satisfies the condition.
func (m *mark) holds(t *token) bool {
	var raw string
	if m.claim != nil {
		raw = t.claims.value(m.claim)
	} else {
		raw = member(t.head.text, m.Header)
	}
	if raw == "" || raw == "null" {
		return false
	}
	value, isString := strictjson.String(raw)
	if !isString {
		value = raw
	}
	switch {
	case m.equals != nil:
		other := t.claims.value(m.equals)
		text, otherIsString := strictjson.String(other)
		if !otherIsString {
			text = other
		}
		return isString == otherIsString && value == text
	case m.Values == nil:
		return true
	case m.Header == "typ":
		return slices.ContainsFunc(m.Values, func(v string) bool { return strings.EqualFold(mediaType(v), mediaType(value)) })
	}
	return slices.Contains(m.Values, value)
}

// mediaType returns typ without the optional prefix.
//
//	RFC 7515 §4.1.9: "it is RECOMMENDED that producers omit an "application/"
//	prefix of a media type value in a "typ" Header Parameter when no other '/'
//	appears in the media type value."
func mediaType(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		return typ[len(prefix):]
	}
	return typ
}

// validateKind checks that a token is an access token, and not another kind of
// token of the same issuer.
func (i *issuer) validateKind(t *token) rejection {
	if i.Profile == Compatible {
		if r := i.validateForeign(t); r.reason != "" {
			return r
		}
	}
	for n := range i.require {
		if m := &i.require[n]; !m.holds(t) {
			return invalid(ReasonType, "not an access token: Require[%d]: %s", n, m.unfulfilled())
		}
	}
	for n := range i.refuse {
		if m := &i.refuse[n]; m.holds(t) {
			return invalid(ReasonType, "not an access token: Refuse[%d]: %s", n, m.fulfilled())
		}
	}
	return rejection{}
}

// foreignKinds are values of the claims typ and token_use in other kinds of tokens. The
// cause of a rejection names these values.
var foreignKinds = []string{"ID", "id", "Refresh", "refresh", "Offline", "Logout"}

// validateForeign looks for claims of other kinds of tokens, because the header does not
// name the kind. nonce is such a claim, unless another claim or the header shows an
// access token: some issuers copy nonce from the login request.
//
//	OIDC Core §2 and §3.3.2.11 define nonce, at_hash, c_hash and s_hash, RFC 8417
//	section 2.2 defines events.
func (i *issuer) validateForeign(t *token) rejection {
	c := &t.claims
	for _, n := range [...]int{claimAtHash, claimCHash, claimSHash, claimEvents} {
		if c.raw[n] != "" {
			return invalid(ReasonType, "not an access token: claim %s is present", claimNames[n])
		}
	}
	access := isAccessTokenType(t.head.typ, RFC9068)
	for _, n := range [...]int{claimTyp, claimTokenUse} {
		if c.raw[n] == "" {
			continue
		}
		kind, ok := strictjson.String(c.raw[n])
		switch {
		case !ok:
			return rejection{ReasonClaims, claimError(claimNames[n])}
		case n == claimTyp && kind == "DPoP":
			// A token of this type must be bound to a key, which is confirmed on each
			// request.
			if c.raw[claimCnf] == "" {
				return invalid(ReasonType, "not an access token: claim typ is DPoP, and claim cnf is missing")
			}
			access = true
		case !isAccessKind(kind):
			if k := slices.Index(foreignKinds, kind); k >= 0 {
				return invalid(ReasonType, "not an access token: claim %s is %s", claimNames[n], foreignKinds[k])
			}
			return invalid(ReasonType, "not an access token: claim %s is none of %s", claimNames[n], list(accessKinds))
		case n == claimTyp && kind == "Bearer", n == claimTokenUse && kind == "access":
			access = true
		}
	}
	if c.raw[claimNonce] != "" && !access && !i.AcceptNonce {
		return invalid(ReasonType, "not an access token: claim nonce is present; set AcceptNonce if the issuer copies it into access tokens")
	}
	return rejection{}
}

// accessKinds are the values of the claims typ and token_use of access tokens.
var accessKinds = []string{"Bearer", "access", "at+jwt", "JWT"}

func isAccessKind(kind string) bool {
	return slices.ContainsFunc(accessKinds, func(k string) bool { return strings.EqualFold(k, kind) })
}
