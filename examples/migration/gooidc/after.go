// SPDX-License-Identifier: Apache-2.0

package gooidc

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// snippet: after

// After returns the website with Gatehouse. A program loads the secrets with
// gatehouse.LoadSecret, and does not set transport.
func After(issuer, clientID string, secret, cookieKey gatehouse.Secret, origin string, transport http.RoundTripper, logger *slog.Logger) (http.Handler, error) {
	observer := gatehouse.Log(logger)
	login, err := signin.New(signin.Config{
		Client: oauth.Config{
			Issuer: issuer, ClientID: clientID, Secret: secret, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Transport: transport,
		},
		RedirectURI:   origin + "/auth/callback", // and /auth/login, /auth/logout, /auth/backchannel-logout
		CookieSecrets: []gatehouse.Secret{cookieKey},
		Session:       session.Config{Store: session.NewMemory(0)},
		Observer:      observer,
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{login.Sessions}, Realm: "website", LoginURL: login.LoginURL, Observer: observer,
	})
	if err != nil {
		return nil, err
	}
	mux := gate.Mux()
	mux.Public("/auth/", login)
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "page of %s", p.Subject)
	}, gatehouse.Authenticated)
	return mux, nil
}

// end snippet
