// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"fmt"
	"net/url"
	"time"

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

// discardTimeout bounds the revocation of tokens that a failed check discards.
const discardTimeout = 3 * time.Second

// discard revokes issued tokens that a check has rejected. A non-nil error says that they
// may still be valid.
func (c *Client) discard(ctx context.Context, t Tokens) error {
	token, kind := t.Refresh, RefreshToken
	if token.Len() == 0 {
		token, kind = t.Access, AccessToken
	}
	if token.Len() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	if err := c.Revoke(ctx, token, kind); err != nil {
		return fmt.Errorf("oauth: the rejected tokens were issued and are not revoked: %w", err)
	}
	return nil
}

func tokenParams(token gatehouse.Secret, kind TokenKind) url.Values {
	params := url.Values{"token": {string(token.Reveal())}}
	if kind != "" {
		params.Set("token_type_hint", string(kind))
	}
	return params
}
