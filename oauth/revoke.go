// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
)

// TokenKind is a token_type_hint, which helps the authorization server find the
// token.
type TokenKind string

// The token type hints of RFC 7009 section 2.1. The empty TokenKind sends none.
const (
	AccessToken  TokenKind = "access_token"
	RefreshToken TokenKind = "refresh_token"
)

// Revoke revokes a token, RFC 7009. With a refresh token, most authorization
// servers also revoke the access tokens of the same grant. It returns nil if the
// authorization server does not know the token.
//
// After an error that wraps [ErrUnavailable] the token may still be valid. An
// error that wraps [ErrNotOffered] means that there is no revocation endpoint.
//
// Implements RFC 7009 §2.1 (client), §2.2 (client).
func (c *Client) Revoke(ctx context.Context, token gatehouse.Secret, kind TokenKind) error {
	p, err := c.Provider(ctx)
	if err != nil {
		return err
	}
	_, err = c.post(ctx, c.revocations, "revocation", p.RevocationEndpoint, tokenParams(token, kind))
	return err
}

func tokenParams(token gatehouse.Secret, kind TokenKind) url.Values {
	params := url.Values{"token": {string(token.Reveal())}}
	if kind != "" {
		params.Set("token_type_hint", string(kind))
	}
	return params
}
