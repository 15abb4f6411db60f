// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
)

// TokenKind says what a token is, so that the server finds it sooner.
type TokenKind string

// The kinds of RFC 7009 section 2.1, "" for not known.
const (
	AccessToken  TokenKind = "access_token"
	RefreshToken TokenKind = "refresh_token"
)

// Revoke withdraws a token, RFC 7009. With a refresh token, most servers
// withdraw the access tokens that came of it too. That the server does not know
// the token is no error.
//
// An error that wraps [ErrUnavailable] says that the token may still be good;
// one that wraps [ErrNotOffered], that the server cannot do it.
func (c *Client) Revoke(ctx context.Context, token gatehouse.Secret, kind TokenKind) error {
	p, err := c.Provider(ctx)
	if err != nil {
		return err
	}
	_, err = c.post(ctx, "revocation", p.RevocationEndpoint, tokenParams(token, kind))
	return err
}

func tokenParams(token gatehouse.Secret, kind TokenKind) url.Values {
	params := url.Values{"token": {string(token.Reveal())}}
	if kind != "" {
		params.Set("token_type_hint", string(kind))
	}
	return params
}
