// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// Principal returns who has logged in, as the authorization server says: without
// tenant and roles, which only the application can tell from the Claims.
func (r Result) Principal() gatehouse.Principal {
	return gatehouse.Principal{
		Kind: gatehouse.KindUser, Subject: r.Subject, Issuer: r.Issuer, Client: r.Client,
		Scopes: r.Tokens.Scopes, AuthTime: r.AuthTime, Claims: r.Claims,
	}
}

// Session returns what a session begins with after this login: see
// [session.Manager.Start].
func (r Result) Session() session.Login {
	return session.Login{Principal: r.Principal(), Tokens: session.Tokens(r.Tokens), SID: r.SessionID}
}

// RefreshSession renews the tokens of a session. It is what a [session.Config]
// takes as its Refresh, and differs from [Client.Refresh] in the type of tokens
// and in the error for a login that is over, which is [session.ErrSignedOut].
func (c *Client) RefreshSession(ctx context.Context, old session.Tokens) (session.Tokens, error) {
	t, err := c.Refresh(ctx, Tokens(old))
	// What says that it is down has not looked at the token, whatever else it says.
	if said, ok := errors.AsType[*Error](err); ok && said.Code == "invalid_grant" && !errors.Is(err, ErrUnavailable) {
		return session.Tokens{}, fmt.Errorf("%w: %w", session.ErrSignedOut, err)
	}
	return session.Tokens(t), err
}
