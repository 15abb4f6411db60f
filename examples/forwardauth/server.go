// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// app answers the proxy, and serves the login.
type app struct {
	handler http.Handler
	signin  *signin.Handler
	gate    *gatehouse.Gate
	origin  *url.URL
	proxies []netip.Prefix
	logger  *slog.Logger
}

// newApp creates the application. It does not connect to other servers.
func newApp(config *config, logger *slog.Logger) (*app, error) {
	values, err := config.settings()
	if err != nil {
		return nil, err
	}
	a := &app{proxies: values.proxies, logger: logger}
	observer := gatehouse.Log(logger)
	a.signin, err = signin.New(signin.Config{
		Client:        oauth.Config{Issuer: config.Issuer, ClientID: config.ClientID, Secret: values.secret},
		RedirectURI:   config.PublicOrigin + "/auth/callback",
		Scopes:        config.Scopes,
		CookieSecrets: values.cookieKeys,
		Session: session.Config{
			Store: session.NewMemory(0), Name: "forwardauth",
			TrustedOrigins: []string{config.PublicOrigin}, // checks that it is an origin
		},
		Admit:    signin.Admit{EmailDomains: config.Domains}, // verified ones
		Observer: observer,
	})
	if err != nil {
		return nil, err
	}
	a.gate, err = gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{a.signin.Sessions}, Realm: "forwardauth", Observer: observer,
	})
	if err == nil {
		a.origin, err = url.Parse(config.PublicOrigin)
	}
	if err != nil {
		return nil, errors.Join(err, a.signin.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", a.signin)
	mux.HandleFunc("/auth_request", a.forNginx)
	mux.HandleFunc("/forward_auth", a.forTraefik)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	a.handler = mux
	return a, nil
}

// email returns the email address of the user if the provider has verified it.
func email(p gatehouse.Principal) string {
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := p.Claims.Decode(&claims); err != nil || !claims.Verified {
		return ""
	}
	return claims.Email
}
