// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// introspectionConfig is an authorization server that introspects opaque tokens, RFC
// 7662.
type introspectionConfig struct {
	Issuer       string   `json:"issuer"`
	Endpoint     string   `json:"endpoint"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // env:NAME or file:PATH
	Audience     string   `json:"audience"`
	Cache        string   `json:"cache"`   // at most 5s; no cache if empty
	Tenants      []string `json:"tenants"` // as in issuers
	AnyTenant    bool     `json:"any_tenant"`
}

const maxIntrospectionCache = 5 * time.Second

// introspector returns the authenticator of opaque tokens, nil if there is none. Its
// cache is the shortest one of all endpoints.
func (c *config) introspector(confirmers []gatehouse.Confirmer) (*oauth.Introspector, error) {
	if len(c.Introspection) == 0 {
		return nil, nil //nolint:nilnil // opaque tokens are not configured
	}
	settings := oauth.IntrospectorConfig{Confirmers: confirmers, Cache: maxIntrospectionCache}
	var errs []error
	for n, e := range c.Introspection {
		fail := func(field string, err error) {
			errs = append(errs, fmt.Errorf("introspection[%d].%s: %w", n, field, err))
		}
		cache := time.Duration(0)
		if e.Cache != "" {
			var err error
			if cache, err = time.ParseDuration(e.Cache); err != nil || cache < 0 || cache > maxIntrospectionCache {
				fail("cache", fmt.Errorf(`%q is not a duration from "0s" to "5s"`, e.Cache))
			}
		}
		settings.Cache = min(settings.Cache, cache)
		if e.Endpoint == "" {
			fail("endpoint", errors.New("required"))
		}
		secret, err := gatehouse.LoadSecret(e.ClientSecret, 1)
		if err != nil {
			fail("client_secret", err)
			secret = gatehouse.NewSecret([]byte("unknown")) // so that only this mistake is reported
		}
		client, err := oauth.New(oauth.Config{Issuer: e.Issuer, ClientID: e.ClientID, Secret: secret})
		if err != nil {
			errs = append(errs, renameAll(err, "oauth: Config.Issuer", fmt.Sprintf("introspection[%d].issuer", n),
				"oauth: Config.ClientID", fmt.Sprintf("introspection[%d].client_id", n)))
		}
		settings.Endpoints = append(settings.Endpoints, oauth.IntrospectionEndpoint{
			Client: client, URL: e.Endpoint, Audiences: []string{e.Audience}, Tenants: e.Tenants,
			// checkTenants has found that there is no other issuer and no limit.
			AnyTenant: e.AnyTenant || e.Tenants == nil,
		})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	i, err := oauth.NewIntrospector(settings)
	if err != nil {
		var names []string
		for n := range c.Introspection {
			library, file := fmt.Sprintf("oauth: IntrospectorConfig.Endpoints[%d].", n), fmt.Sprintf("introspection[%d].", n)
			names = append(names, library+"URL", file+"endpoint", library+"Audiences", file+"audience", library+"Tenants", file+"tenants")
		}
		return nil, renameAll(err, names...)
	}
	return i, nil
}

// issuerNames returns the names of all issuers, each once.
func (c *config) issuerNames() []string {
	var names []string
	for _, i := range c.Issuers {
		names = append(names, i.Issuer)
	}
	for _, e := range c.Introspection {
		if !slices.Contains(names, e.Issuer) {
			names = append(names, e.Issuer)
		}
	}
	return names
}

// checkTenants requires the tenants of each issuer and endpoint if there are several
// issuers or if one of them is limited: opaque tokens must not have a tenant that the
// JWTs of the same issuer must not have.
func (c *config) checkTenants() error {
	limited := slices.ContainsFunc(c.Issuers, func(i issuerConfig) bool { return len(i.Tenants) > 0 }) ||
		slices.ContainsFunc(c.Introspection, func(e introspectionConfig) bool { return len(e.Tenants) > 0 })
	if len(c.issuerNames()) < 2 && !limited || len(c.Introspection) == 0 {
		return nil // the library checks issuers alone
	}
	var errs []error
	check := func(list string, n int, tenants []string, anyTenant bool) {
		if len(tenants) == 0 && !anyTenant {
			errs = append(errs, fmt.Errorf("%s[%d].tenants: required with several issuers and beside other tenants, or any_tenant", list, n))
		}
	}
	if len(c.Issuers) == 1 {
		check("issuers", 0, c.Issuers[0].Tenants, c.Issuers[0].AnyTenant)
	}
	for n, e := range c.Introspection {
		check("introspection", n, e.Tenants, e.AnyTenant)
	}
	return errors.Join(errs...)
}
