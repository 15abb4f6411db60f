// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// The token types of RFC 8693 section 3 that are in use.
const (
	TypeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	TypeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	TypeIDToken      = "urn:ietf:params:oauth:token-type:id_token"
	TypeJWT          = "urn:ietf:params:oauth:token-type:jwt"
)

// ExchangeRequest asks for a token in the place of another, RFC 8693 section
// 2.1.
type ExchangeRequest struct {
	// Subject is a token of the party on whose behalf the new one is. Required.
	Subject gatehouse.Secret
	// SubjectType is what it is, [TypeAccessToken] if empty.
	SubjectType string

	// Actor is a token of the party that acts, for delegation: without it the
	// new token is that of the subject itself. Optional.
	Actor gatehouse.Secret
	// ActorType is what it is, [TypeAccessToken] if empty.
	ActorType string

	// RequestedType is what the new token is to be; the server chooses if it is
	// empty.
	RequestedType string

	Scopes    gatehouse.Scopes
	Resources []string // the APIs that the new token is for, as URLs
	Audiences []string // the same, by names that the server knows
}

// Exchanged is the new token.
type Exchanged struct {
	Tokens

	// Type is what it is: where it is no access token, Access holds it all the
	// same.
	Type string
}

// Exchange asks for a token in the place of another, RFC 8693.
func (c *Client) Exchange(ctx context.Context, request ExchangeRequest) (Exchanged, error) {
	if request.Subject.Len() == 0 {
		return Exchanged{}, errors.New("oauth: ExchangeRequest.Subject: required")
	}
	params := url.Values{
		"grant_type":         {grantExchange},
		"subject_token":      {string(request.Subject.Reveal())},
		"subject_token_type": {otherwise(request.SubjectType, TypeAccessToken)},
	}
	// RFC 8693 §2.1: actor_token_type "is REQUIRED when the actor_token parameter
	// is present in the request but MUST NOT be included otherwise."
	if request.Actor.Len() > 0 {
		params.Set("actor_token", string(request.Actor.Reveal()))
		params.Set("actor_token_type", otherwise(request.ActorType, TypeAccessToken))
	}
	if request.RequestedType != "" {
		params.Set("requested_token_type", request.RequestedType)
	}
	setScope(params, request.Scopes)
	if len(request.Resources) > 0 {
		params["resource"] = slices.Clone(request.Resources)
	}
	if len(request.Audiences) > 0 {
		params["audience"] = slices.Clone(request.Audiences)
	}
	p, err := c.Provider(ctx)
	if err != nil {
		return Exchanged{}, err
	}
	a, err := c.post(ctx, "token", p.TokenEndpoint, params)
	if err != nil {
		return Exchanged{}, err
	}
	tokens, err := parseTokens(a, request.Scopes, true)
	if err != nil {
		return Exchanged{}, err
	}
	e := Exchanged{Tokens: tokens}
	_ = strictjson.Object(a.body, limits, func(name, value string) error {
		if name == "issued_token_type" {
			e.Type, _ = strictjson.String(value)
		}
		return nil
	})
	// RFC 8693 §2.2.1: "issued_token_type REQUIRED."
	switch {
	case e.Type == "":
		return Exchanged{}, malformed("token", "does not say what the token is")
	case request.RequestedType != "" && e.Type != request.RequestedType:
		return Exchanged{}, malformed("token", "has another token than was asked for")
	}
	return e, nil
}

func otherwise(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}
