// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/answer"
	"github.com/gatehouse-go/gatehouse/session"
)

// me says who is signed in. The page asks for it each time it is shown.
func me(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	// What the ID token says of the person, if the scopes have asked for it.
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	_ = p.Claims.Decode(&claims) // what has another form is left out
	granted := []string{}        // never null
	for scope := range p.Scopes.All() {
		granted = append(granted, scope)
	}
	said := map[string]any{
		"subject": p.Subject,
		"issuer":  p.Issuer,
		"client":  p.Client,
		"method":  p.Method,
		"session": p.Credential,
		"scopes":  granted,
		"expires": p.Expires.UTC().Format(time.RFC3339),
	}
	if !p.AuthTime.IsZero() {
		said["auth_time"] = p.AuthTime.UTC().Format(time.RFC3339)
	}
	if claims.Name != "" {
		said["name"] = claims.Name
	}
	if claims.Email != "" {
		said["email"] = claims.Email
	}
	answer.JSON(w, http.StatusOK, said)
}

// listSessions shows people where they are signed in.
func (a *app) listSessions(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	sessions, err := a.sessions.List(r.Context(), p.Issuer, p.Subject)
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	type entry struct {
		ID       string    `json:"id"`
		Label    string    `json:"label"`
		Created  time.Time `json:"created"`
		LastSeen time.Time `json:"last_seen"`
		Expires  time.Time `json:"expires"`
		Current  bool      `json:"current"` // it is the one of this request
	}
	list := make([]entry, len(sessions))
	for i, s := range sessions {
		list[i] = entry{s.ID, s.Label, s.Created, s.LastSeen, s.Expires, s.ID == p.Credential}
	}
	answer.JSON(w, http.StatusOK, map[string]any{"sessions": list})
}

// endSession signs a person out somewhere else, or here.
func (a *app) endSession(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	id := r.PathValue("id")
	var tokens session.Tokens
	var err error
	if id == p.Credential {
		tokens, err = a.sessions.End(w, r) // takes the cookie too
	} else {
		tokens, err = a.sessions.EndOne(r.Context(), p.Issuer, p.Subject, id)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutTimeout)
	defer cancel()
	a.revoke(ctx, tokens)
	switch {
	case errors.Is(err, session.ErrNotFound):
		answer.Problem(w, http.StatusNotFound, "not_found", "There is no such session of yours.")
	case err != nil:
		gatehouse.Refuse(w, r, err)
	default:
		answer.JSON(w, http.StatusOK, map[string]string{"ended": id})
	}
}
