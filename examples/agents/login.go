// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// signInConfig is the login of the approval page. Without it, deciders need a token in
// the Authorization header.
type signInConfig struct {
	Issuer       string   `json:"issuer"` // one of issuers
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // env:NAME or file:PATH
	Scopes       []string `json:"scopes"`        // includes openid
	CookieKeys   []string `json:"cookie_keys"`   // env:NAME or file:PATH; the first one seals
}

func (c *config) checkSignIn() error {
	if c.SignIn == nil {
		return nil
	}
	var errs []error
	if !slices.ContainsFunc(c.Issuers, func(i issuerConfig) bool { return i.Issuer == c.SignIn.Issuer }) {
		errs = append(errs, fmt.Errorf("signin.issuer: %q is not one of issuers", c.SignIn.Issuer))
	}
	if scopes, err := gatehouse.NewScopes(c.SignIn.Scopes...); err != nil {
		errs = append(errs, fmt.Errorf("signin.scopes: %w", err))
	} else if !scopes.Has("openid") {
		errs = append(errs, errors.New("signin.scopes: openid is required"))
	}
	return errors.Join(errs...)
}

// login returns the handler of the login, nil if it is not configured.
func (c *config) login(sessions session.Store, observer gatehouse.Observer) (*signin.Handler, error) {
	if c.SignIn == nil {
		return nil, nil //nolint:nilnil // not configured
	}
	var errs []error
	secret, err := gatehouse.LoadSecret(c.SignIn.ClientSecret, 1)
	if err != nil {
		errs = append(errs, fmt.Errorf("signin.client_secret: %w", err))
	}
	var keys []gatehouse.Secret
	for i, ref := range c.SignIn.CookieKeys {
		key, err := gatehouse.LoadSecret(ref, 32)
		if err != nil {
			errs = append(errs, fmt.Errorf("signin.cookie_keys[%d]: %w", i, err))
		}
		keys = append(keys, key)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return signin.New(signin.Config{
		Client:        oauth.Config{Issuer: c.SignIn.Issuer, ClientID: c.SignIn.ClientID, Secret: secret},
		RedirectURI:   c.PublicOrigin + "/callback",
		Scopes:        c.SignIn.Scopes,
		CookieSecrets: keys,
		Home:          "/approvals",
		Session:       session.Config{Store: sessions, Name: "approvals", TrustedOrigins: []string{c.PublicOrigin}},
		Complete:      c.complete,
		Observer:      observer,
	})
}

// complete takes the tenant and the roles of a person from the claims that the issuer has
// in its access tokens, and refuses a tenant that its tokens may not have.
func (c *config) complete(_ *http.Request, login *session.Login) error {
	i := c.Issuers[slices.IndexFunc(c.Issuers, func(i issuerConfig) bool { return i.Issuer == c.SignIn.Issuer })]
	claims := make(map[string]any)
	if err := login.Principal.Claims.Decode(&claims); err != nil {
		return err
	}
	tenantClaim, rolesClaims := "tenant", []string{"roles"}
	if i.TenantClaim != "" {
		tenantClaim = i.TenantClaim
	}
	if i.RolesClaims != nil {
		rolesClaims = i.RolesClaims
	}
	login.Principal.Tenant, _ = claim(claims, tenantClaim).(string)
	var names []string
	for _, name := range rolesClaims {
		switch value := claim(claims, name).(type) {
		case string:
			names = append(names, value)
		case []any:
			for _, role := range value {
				if role, ok := role.(string); ok {
					names = append(names, role)
				}
			}
		}
	}
	var err error
	if login.Principal.Roles, err = gatehouse.NewRoles(names...); err != nil {
		return err
	}
	if len(i.Tenants) > 0 && !slices.Contains(i.Tenants, login.Principal.Tenant) {
		return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonPolicyRefused, Cause: errors.New("the issuer may not speak for the tenant")}
	}
	return nil
}

// claim returns the claim with a name, or at a path such as /realm_access/roles (RFC
// 6901), nil if there is none.
func claim(claims map[string]any, name string) any {
	path, ok := strings.CutPrefix(name, "/")
	if !ok {
		return claims[name]
	}
	var value any = claims
	for part := range strings.SplitSeq(path, "/") {
		object, _ := value.(map[string]any)
		value = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return value
}
