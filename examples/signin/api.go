// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// me says who is signed in. The page asks for it each time it is shown.
func me(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	// What the ID token says of the person, if the scopes have asked for it.
	var claims struct {
		Name  string `json:"name,omitempty"`
		Email string `json:"email,omitempty"`
	}
	_ = p.Claims.Decode(&claims) // what has another form is left out
	granted := []string{}        // never null
	for scope := range p.Scopes.All() {
		granted = append(granted, scope)
	}
	answer := map[string]any{
		"subject": p.Subject,
		"issuer":  p.Issuer,
		"client":  p.Client,
		"method":  p.Method,
		"session": p.Credential,
		"scopes":  granted,
		"expires": p.Expires.UTC().Format(time.RFC3339),
	}
	if !p.AuthTime.IsZero() {
		answer["auth_time"] = p.AuthTime.UTC().Format(time.RFC3339)
	}
	if claims.Name != "" {
		answer["name"] = claims.Name
	}
	if claims.Email != "" {
		answer["email"] = claims.Email
	}
	writeJSON(w, http.StatusOK, answer)
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
	writeJSON(w, http.StatusOK, map[string]any{"sessions": list})
}

// endSession signs a person out somewhere else, or here.
func (a *app) endSession(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	id := r.PathValue("id")
	var err error
	if id == p.Credential {
		var tokens session.Tokens
		tokens, err = a.sessions.End(w, r) // takes the cookie too
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutTimeout)
		defer cancel()
		a.revoke(ctx, tokens)
	} else {
		err = a.sessions.EndOne(r.Context(), p.Issuer, p.Subject, id)
	}
	switch {
	case errors.Is(err, session.ErrNotFound):
		problem(w, http.StatusNotFound, "not_found", "There is no such session of yours.")
	case err != nil:
		gatehouse.Refuse(w, r, err)
	default:
		writeJSON(w, http.StatusOK, map[string]string{"ended": id})
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a caller who has gone is no concern of ours
}

// problem answers with an error in the form that those of the gate have.
func problem(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": text})
}
