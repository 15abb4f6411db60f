// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// newSignin returns the login of people, for the page. origin is that of the server.
func newSignin(c *signinConfig, origin string, store session.Store, observer gatehouse.Observer) (*signin.Handler, error) {
	var errs []error
	load := func(field, ref string, size int) gatehouse.Secret {
		secret, err := gatehouse.LoadSecret(ref, size)
		if err != nil {
			errs = append(errs, fmt.Errorf("signin.%s: %w", field, err))
		}
		return secret
	}
	secret := load("client_secret", c.ClientSecret, 1)
	var keys []gatehouse.Secret
	for n, ref := range c.CookieKeys {
		keys = append(keys, load(fmt.Sprintf("cookie_keys[%d]", n), ref, 32))
	}
	if granted, err := gatehouse.NewScopes(c.Scopes...); err != nil {
		errs = append(errs, fmt.Errorf("signin.scopes: %w", err))
	} else if !granted.Has("openid") {
		errs = append(errs, errors.New("signin.scopes: openid is required"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	origin = cmp.Or(c.PublicOrigin, origin)
	h, err := signin.New(signin.Config{
		Client:        oauth.Config{Issuer: c.Issuer, ClientID: c.ClientID, Secret: secret},
		RedirectURI:   origin + "/callback",
		Home:          "/spend",
		Scopes:        c.Scopes,
		CookieSecrets: keys,
		Session:       session.Config{Store: store, Name: "llmgateway", TrustedOrigins: []string{origin}},
		Complete:      complete,
		Observer:      observer,
	})
	if err != nil {
		return nil, errors.New(strings.NewReplacer(
			"signin: Config.Client: ", "", "signin: Config.Session: ", "", "signin: Config.CookieSecrets", "signin.cookie_keys",
			"signin: Config.RedirectURI", "signin.public_origin", "oauth: AuthorizationRequest.RedirectURI", "signin.public_origin",
			"session: Config.TrustedOrigins: cookie: CrossSiteConfig.TrustedOrigins[0]", "signin.public_origin",
			"oauth: Config.Issuer", "signin.issuer", "oauth: Config.ClientID", "signin.client_id", "oauth: Config.Secret", "signin.client_secret",
		).Replace(err.Error()))
	}
	return h, nil
}

// complete takes the tenant and the roles of a person from the ID token.
func complete(_ *http.Request, login *session.Login) error {
	var claims struct {
		Tenant string   `json:"tenant"`
		Roles  []string `json:"roles"`
	}
	err := login.Principal.Claims.Decode(&claims)
	if err == nil {
		login.Principal.Tenant = claims.Tenant
		login.Principal.Roles, err = gatehouse.NewRoles(claims.Roles...)
	}
	if err != nil {
		return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonPolicyRefused, Cause: err}
	}
	return nil
}
