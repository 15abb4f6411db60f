// SPDX-License-Identifier: Apache-2.0

// Package gooidc has one website with a login at an OpenID provider twice: with go-oidc
// and oauth2, and with Gatehouse.
package gooidc

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// snippet: before

// Before returns the website with go-oidc. ctx has the HTTP client.
func Before(ctx context.Context, issuer, clientID, secret, origin string) (http.Handler, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	config := oauth2.Config{
		ClientID: clientID, ClientSecret: secret, Endpoint: provider.Endpoint(),
		RedirectURL: origin + "/auth/callback", Scopes: []string{oidc.ScopeOpenID},
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: clientID, SupportedSigningAlgs: []string{oidc.ES256}})
	var users sync.Map // by session
	set := func(w http.ResponseWriter, name, value string) {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	cookie := func(r *http.Request, name string) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		return c.Value
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/login", func(w http.ResponseWriter, r *http.Request) {
		state, nonce, pkce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
		set(w, "state", state)
		set(w, "nonce", nonce)
		set(w, "pkce", pkce)
		http.Redirect(w, r, config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(pkce)), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /auth/callback", func(w http.ResponseWriter, r *http.Request) {
		if state := r.URL.Query().Get("state"); state == "" || state != cookie(r, "state") {
			http.Error(w, "state did not match", http.StatusBadRequest)
			return
		}
		token, err := config.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(cookie(r, "pkce")))
		if err != nil {
			http.Error(w, "code was not accepted", http.StatusBadRequest)
			return
		}
		text, _ := token.Extra("id_token").(string)
		id, err := verifier.Verify(r.Context(), text)
		if err != nil || id.Nonce != cookie(r, "nonce") {
			http.Error(w, "ID token was not accepted", http.StatusBadRequest)
			return
		}
		session := rand.Text()
		users.Store(session, id.Subject)
		set(w, "session", session)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		user, ok := users.Load(cookie(r, "session"))
		if !ok {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, "page of %s", user)
	})
	return mux, nil
}

// end snippet
