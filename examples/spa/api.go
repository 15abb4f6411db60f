// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/answer"
	"github.com/gatehouse-go/gatehouse/examples/internal/userinfo"
)

// me says who is signed in. The page asks for it each time it is shown.
func me(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	_ = p.Claims.Decode(&claims) // what has another form is left out
	answer.JSON(w, http.StatusOK, map[string]any{
		"subject": p.Subject,
		"issuer":  p.Issuer,
		"name":    claims.Name,
		"email":   claims.Email,
		"method":  p.Method,
		"scopes":  p.Scopes.String(),
		"expires": p.Expires.UTC().Format(time.RFC3339),
	})
}

// upstreamTimeout bounds a call on behalf of a person, a renewal of the tokens
// included. It is shorter than this server may take to answer.
const upstreamTimeout = 20 * time.Second

// upstream shows how another server is called for a person: with the access
// token of the session, which the browser never sees. It asks the provider who
// that is.
func (a *app) upstream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
	defer cancel()
	p, _ := gatehouse.FromContext(ctx)
	provider, err := a.client.Provider(ctx)
	if err != nil {
		gatehouse.Refuse(w, r, userinfo.Unavailable(err))
		return
	}
	tokens, err := a.sessions.Tokens(ctx) // renews them when they are over
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	body, err := userinfo.Get(ctx, a.calls, provider.UserinfoEndpoint, tokens.Access, p.Subject)
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a browser that has gone needs no answer
}
