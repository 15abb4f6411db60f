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

// Introspection is an introspection response, RFC 7662 section 2.2. If Active is
// false, all other fields are zero.
type Introspection struct {
	// Active reports whether the token is valid. It is also false if Expires is in
	// the past.
	Active bool

	Scopes   gatehouse.Scopes
	Client   string
	Subject  string
	Issuer   string
	Type     string   // "Bearer" or "DPoP"; a sender-constrained token needs its proof
	Audience []string // the APIs that accept the token
	Expires  time.Time
	Issued   time.Time

	// Claims is the whole response.
	Claims gatehouse.Claims
}

// For reports whether the token is active and its aud contains the audience. It
// is false for a response without aud.
//
// Implements RFC 7662 §4 (audience); ASVS 5.0 §10.3.1.
func (i Introspection) For(audience string) bool {
	return i.Active && slices.Contains(i.Audience, audience)
}

// Introspect calls the introspection endpoint and returns its response. It does not
// cache.
//
// The caller must check the audience with [Introspection.For], the scopes, and
// the proof of possession of a sender-constrained token.
//
// The error wraps [ErrUnavailable] for a redirect and for a response without the member
// active. For another status than 200 it is an [*Error].
//
// Implements RFC 7662 §2.1 (authenticated), §2.3.
func (c *Client) Introspect(ctx context.Context, token gatehouse.Secret, kind TokenKind) (Introspection, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return Introspection{}, err
	}
	a, err := c.post(ctx, c.introspections, "introspection", p.IntrospectionEndpoint, tokenParams(token, kind))
	if err != nil {
		return Introspection{}, err
	}
	return parseIntrospection(a)
}

// Implements RFC 7662 §2.2 (inactive, members), §4 (cache).
func parseIntrospection(a answer) (Introspection, error) {
	i := Introspection{Claims: gatehouse.VerifiedClaims(a.body)}
	found := false
	err := strictjson.Object(a.body, limits, func(name, value string) error {
		ok := true
		switch name {
		case "active":
			found, i.Active = true, value == "true"
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
	case errors.Is(err, ErrUnavailable): // the error names the member
		return Introspection{}, err
	case err != nil:
		return Introspection{}, malformed(a.endpoint, "is not a JSON object")
	case !found: // RFC 7662 §2.2 (active): "active REQUIRED."
		return Introspection{}, malformed(a.endpoint, "has no member active")
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

// date reads a NumericDate of whole seconds, at most in the year 9999.
func date(value string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}
