// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/tokens"
)

// defaultLifetime is the lifetime of an access token without expires_in.
const defaultLifetime = time.Hour

// maxLifetimeSeconds bounds expires_in: a year.
const maxLifetimeSeconds = 366 * 24 * 60 * 60

// Tokens are the tokens of a token response: Access, Refresh and ID (each a
// [gatehouse.Secret], Refresh and ID may be empty), the granted Scopes, and
// Expires, the expiry of the access token. The package session uses the same
// type.
type Tokens = tokens.Tokens

// ToOAuth2 converts tokens for golang.org/x/oauth2. Unlike t, the result is not
// redacted when it is printed.
func ToOAuth2(t Tokens) *oauth2.Token {
	token := &oauth2.Token{
		AccessToken: string(t.Access.Reveal()), TokenType: tokenTypeOf(t), RefreshToken: string(t.Refresh.Reveal()), Expiry: t.Expires,
	}
	extra := map[string]any{"scope": t.Scopes.String()}
	if t.ID.Len() > 0 {
		extra["id_token"] = string(t.ID.Reveal())
	}
	return token.WithExtra(extra)
}

// tokenTypeOf returns the authentication scheme of an access token.
func tokenTypeOf(t Tokens) string {
	if t.DPoP {
		return schemeDPoP
	}
	return bearer
}

// FromOAuth2 converts a token of golang.org/x/oauth2. A zero Expiry means no
// expiry in that package; in Tokens it is a time in the past.
func FromOAuth2(token *oauth2.Token) Tokens {
	t := Tokens{
		Access: gatehouse.NewSecret([]byte(token.AccessToken)), Refresh: gatehouse.NewSecret([]byte(token.RefreshToken)), Expires: token.Expiry,
		DPoP: strings.EqualFold(token.TokenType, schemeDPoP),
	}
	if id, ok := token.Extra("id_token").(string); ok {
		t.ID = gatehouse.NewSecret([]byte(id))
	}
	if list, ok := token.Extra("scope").(string); ok {
		t.Scopes, _ = gatehouse.ParseScopes(list) // no scopes if the text is malformed
	}
	return t
}

const bearer = "Bearer"

// parseTokens reads a token response, RFC 6749 section 5.1. If it returns an error, it
// also returns the tokens that the response contains, for discard.
//
// Implements RFC 6749 §4.1.2 (unknown).
func parseTokens(a answer, asked gatehouse.Scopes, tokenType string, exchange bool) (Tokens, error) {
	t := Tokens{Scopes: asked, Expires: time.Now().Add(defaultLifetime)}
	kind := ""
	err := strictjson.Object(a.body, limits, func(name, value string) error {
		ok := true
		switch name {
		case "access_token":
			t.Access, ok = secret(value)
		case "refresh_token":
			t.Refresh, ok = secret(value)
		case "id_token":
			t.ID, ok = secret(value)
		case "token_type":
			kind, ok = strictjson.String(value)
		case "scope":
			// RFC 6749 §5.1: "OPTIONAL, if identical to the scope requested by the
			// client; otherwise, REQUIRED."
			var list string
			var err error
			list, ok = strictjson.String(value)
			t.Scopes, err = gatehouse.ParseScopes(list)
			ok = ok && err == nil
		case "expires_in":
			var seconds uint64
			var err error
			seconds, err = strconv.ParseUint(value, 10, 63)
			ok = err == nil
			t.Expires = time.Now().Add(time.Duration(min(seconds, maxLifetimeSeconds)) * time.Second)
		}
		if !ok {
			return malformed(a.endpoint, "has a malformed "+name)
		}
		return nil
	})
	switch {
	case errors.Is(err, ErrUnavailable): // the error names the member
		return t, err
	case err != nil:
		return t, malformed(a.endpoint, "is not a JSON object")
	case t.Access.Len() == 0:
		return t, malformed(a.endpoint, "has no access_token")
	case exchange && kind == "N_A":
		return t, nil
	// RFC 6749 §7.1: "The client MUST NOT use an access token if it does not
	// understand the token type."
	//
	// RFC 9449 §5 (token_type): "The client MUST discard the response in this case if
	// this protection is deemed important for the security of the application".
	case !strings.EqualFold(kind, tokenType):
		return t, malformed(a.endpoint, "has a token_type other than "+tokenType)
	}
	t.DPoP = tokenType == schemeDPoP
	return t, nil
}

// secret reads a token of visible ASCII characters, which are safe in a header.
//
//	RFC 6749 appendix A.12: access-token = 1*VSCHAR
func secret(value string) (gatehouse.Secret, bool) {
	token, ok := strictjson.String(value)
	if !ok || !text.IsVisible(token) {
		return gatehouse.Secret{}, false
	}
	return gatehouse.NewSecret([]byte(token)), true
}
