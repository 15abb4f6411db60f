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

// newCalls makes the client for calls with the token of a person. It goes where
// it is sent and nowhere else: a redirect would take the token along.
func newCalls() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute},
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// upstream shows how another server is called for a person: with the access
// token of the session, which the browser never sees. It asks the authorization
// server who that is.
func (a *app) upstream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
	defer cancel()
	p, _ := gatehouse.FromContext(ctx)
	provider, err := a.client.Provider(ctx)
	if err != nil {
		gatehouse.Refuse(w, r, unavailable(err))
		return
	}
	body, err := a.ask(ctx, provider.UserinfoEndpoint, p.Subject)
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	case errors.Is(err, userinfo.ErrToken):
		gatehouse.Refuse(w, r, &gatehouse.Error{
			Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonSessionRefresh, Credential: p.Credential, Cause: err,
		})
	case errors.Is(err, userinfo.ErrUnavailable):
		gatehouse.Refuse(w, r, unavailable(err))
	case errors.Is(err, userinfo.ErrAnswer):
		a.logger.ErrorContext(ctx, "upstream", "problem", err.Error())
		problem(w, http.StatusBadGateway, "bad_gateway", "The other server does not answer as it should.")
	default:
		gatehouse.Refuse(w, r, err) // the session says why
	}
}

// ask calls with the access token of the session. Where the call has taken longer
// than the token was good for, there is another one by then: one more call.
func (a *app) ask(ctx context.Context, endpoint, subject string) ([]byte, error) {
	tokens, err := a.sessions.Tokens(ctx) // renews them when they are over
	if err != nil {
		return nil, err
	}
	body, err := userinfo.Get(ctx, a.calls, endpoint, tokens.Access, subject)
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
	return userinfo.Get(ctx, a.calls, endpoint, renewed.Access, subject)
}
