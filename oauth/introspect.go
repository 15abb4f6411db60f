// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// Introspection is what the authorization server says of a token, RFC 7662
// section 2.2. If Active is false, nothing else is said.
type Introspection struct {
	// Active is whether the token is good now. It is false as well if the token
	// has expired meanwhile.
	Active bool

	Scopes   gatehouse.Scopes
	Client   string
	Subject  string
	Issuer   string
	Type     string   // "Bearer" or "DPoP"; a bound token needs its proof
	Audience []string // who the token is for
	Expires  time.Time
	Issued   time.Time

	// Claims is the whole answer.
	Claims gatehouse.Claims
}

// For reports whether the token is active and meant for that audience. A token
// of which the server does not say who it is for is for nobody.
func (i Introspection) For(audience string) bool {
	return i.Active && slices.Contains(i.Audience, audience)
}

// Introspect asks the authorization server about a token that somebody has
// presented. What it says is true now and needs to be asked again.
//
// The caller still has to look at who the token is for, with
// [Introspection.For], at its scopes, and at whether it is bound.
//
// An answer that does not say whether the token is active is an error, and so is
// every status but 200: neither is ever taken for yes or for no.
func (c *Client) Introspect(ctx context.Context, token gatehouse.Secret, kind TokenKind) (Introspection, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return Introspection{}, err
	}
	a, err := c.post(ctx, "introspection", p.IntrospectionEndpoint, tokenParams(token, kind))
	if err != nil {
		return Introspection{}, err
	}
	return parseIntrospection(a)
}

func parseIntrospection(a answer) (Introspection, error) {
	i := Introspection{Claims: gatehouse.VerifiedClaims(a.body)}
	said := false
	err := strictjson.Object(a.body, limits, func(name, value string) error {
		ok := true
		switch name {
		case "active":
			said, i.Active = true, value == "true"
			ok = value == "true" || value == "false"
		case "scope":
			var text string
			var err error
			text, ok = strictjson.String(value)
			i.Scopes, err = gatehouse.ParseScopes(text)
			ok = ok && err == nil
		case "client_id":
			i.Client, ok = strictjson.String(value)
		case "sub":
			i.Subject, ok = strictjson.String(value)
		case "iss":
			i.Issuer, ok = strictjson.String(value)
		case "token_type":
			i.Type, ok = strictjson.String(value)
		case "aud":
			i.Audience, ok = audiences(value)
		case "exp":
			i.Expires, ok = date(value)
		case "iat":
			i.Issued, ok = date(value)
		}
		if !ok {
			return malformed(a.endpoint, "has a malformed "+name)
		}
		return nil
	})
	switch {
	case errors.Is(err, ErrUnavailable): // it names the member
		return Introspection{}, err
	case err != nil:
		return Introspection{}, malformed(a.endpoint, "cannot be read")
	case !said: // RFC 7662 §2.2: "active REQUIRED."
		return Introspection{}, malformed(a.endpoint, "does not say whether the token is active")
	case !i.Active, !i.Expires.IsZero() && !time.Now().Before(i.Expires):
		return Introspection{}, nil
	}
	return i, nil
}

func audiences(value string) (all []string, ok bool) {
	if single, ok := strictjson.String(value); ok {
		return []string{single}, true
	}
	ok = strictjson.Strings(value, func(one string) bool {
		all = append(all, one)
		return true
	})
	return all, ok
}

// date reads a NumericDate of whole seconds, until the year 9999.
func date(value string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}
