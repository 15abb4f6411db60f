// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// upstreamTimeout bounds a call with the refresh of the tokens. It is below the
// write timeout of the server.
const upstreamTimeout = 20 * time.Second

// upstream calls another server with the access token of the session, which the
// browser never gets: the userinfo endpoint of the authorization server.
func (a *app) upstream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
	defer cancel()
	claims, err := a.userinfo(ctx)
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(claims.String()))
}

// userinfo returns the claims of the user. If the access token expires on its way,
// it calls once more with a refreshed one.
func (a *app) userinfo(ctx context.Context) (gatehouse.Claims, error) {
	p, _ := gatehouse.FromContext(ctx)
	var used gatehouse.Secret
	var rejected error
	for range 2 {
		tokens, err := a.signin.Sessions.Tokens(ctx) // refreshes expired tokens
		if err != nil {
			return gatehouse.Claims{}, err
		}
		if tokens.Access.Equal(used) {
			break
		}
		claims, err := a.signin.Client.Userinfo(ctx, tokens.Access, p.Subject)
		response, ok := errors.AsType[*oauth.Error](err)
		switch {
		case err == nil:
			return claims, nil
		case !ok || response.Status != http.StatusUnauthorized:
			return gatehouse.Claims{}, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: oauth.ReasonUnavailable, Cause: err}
		}
		used, rejected = tokens.Access, err
	}
	// The user must log in again.
	return gatehouse.Claims{}, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: session.ReasonNoTokens, Cause: rejected}
}
