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

// Token types of RFC 8693 section 3.
const (
	TypeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	TypeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	TypeIDToken      = "urn:ietf:params:oauth:token-type:id_token"
	TypeJWT          = "urn:ietf:params:oauth:token-type:jwt"
)

// ExchangeRequest holds the parameters of a token exchange, RFC 8693 section 2.1.
type ExchangeRequest struct {
	// Subject is a token of the party on whose behalf the request is made.
	// Required.
	Subject gatehouse.Secret
	// SubjectType is the type of Subject, [TypeAccessToken] if empty.
	SubjectType string

	// Actor is a token of the acting party, for delegation. Without it, the
	// exchange is an impersonation. Optional.
	Actor gatehouse.Secret
	// ActorType is the type of Actor, [TypeAccessToken] if empty.
	ActorType string

	// RequestedType is the type of the new token. If it is empty, the
	// authorization server chooses it.
	RequestedType string

	Scopes    gatehouse.Scopes
	Resources []string // the APIs that will accept the new token, as URLs
	Audiences []string // the APIs that will accept the new token, as names that the authorization server knows
}

// Exchanged is the result of a token exchange.
type Exchanged struct {
	Tokens

	// Type is the type of the new token. The token is always in Tokens.Access, even
	// if it is not an access token.
	Type string
}

// Exchange exchanges a token for another one, RFC 8693. Its errors are those of
// [Client.Token].
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
	a, err := c.post(ctx, c.grantRequests, "token", p.TokenEndpoint, params)
	if err != nil {
		return Exchanged{}, err
	}
	tokens, err := parseTokens(a, request.Scopes, c.tokenType(), true)
	if err != nil {
		return Exchanged{}, withCause(err, c.discard(ctx, tokens))
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
		err = malformed("token", "has no issued_token_type")
	case request.RequestedType != "" && e.Type != request.RequestedType:
		err = malformed("token", "has another issued_token_type than requested")
	default:
		return e, nil
	}
	return Exchanged{}, withCause(err, c.discard(ctx, tokens))
}

func otherwise(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}
