// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/userinfo"
)

// upstreamTimeout bounds a call on behalf of a person, a renewal of the tokens
// included. It is shorter than this server may take to answer.
const upstreamTimeout = 20 * time.Second

// upstream shows how another server is called for a person: with the access
// token of the session, which the browser never sees. It asks the provider who
// that is.
func (a *app) upstream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
	defer cancel()
	body, err := a.ask(ctx)
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a browser that has gone needs no answer
}

// ask calls with the access token of the session. Where the token was over by the
// time that it arrived, there is another one by then: one more call.
func (a *app) ask(ctx context.Context) ([]byte, error) {
	p, _ := gatehouse.FromContext(ctx)
	provider, err := a.client.Provider(ctx)
	if err != nil {
		return nil, userinfo.Unavailable(err)
	}
	tokens, err := a.sessions.Tokens(ctx) // renews them when they are over
	if err != nil {
		return nil, err
	}
	body, err := userinfo.Get(ctx, a.calls, provider.UserinfoEndpoint, tokens.Access, p.Subject)
	if !errors.Is(err, userinfo.ErrToken) {
		return body, err
	}
	renewed, failed := a.sessions.Tokens(ctx)
	if failed != nil {
		return nil, failed
	}
	if renewed.Access.Equal(tokens.Access) {
		return nil, err
	}
	return userinfo.Get(ctx, a.calls, provider.UserinfoEndpoint, renewed.Access, p.Subject)
}
