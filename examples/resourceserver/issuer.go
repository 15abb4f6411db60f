// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// issuer returns the settings of an issuer for the library, and the errors that the
// library does not report.
func (c issuerConfig) issuer() (jwtauth.Issuer, []error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	i := jwtauth.Issuer{
		URL: c.Issuer, Audiences: c.Audiences, Algorithms: c.Algorithms, Tenants: c.Tenants, AnyTenant: c.AnyTenant,
		Clients: c.Clients, AcceptMissingAudience: c.AcceptMissingAudience, Require: marks(c.Require), Refuse: marks(c.Refuse),
		ScopeClaims: c.ScopeClaims, RolesClaims: c.RolesClaims, TenantClaim: c.TenantClaim, PlainHTTPHosts: c.PlainHTTPHosts,
	}
	if c.Audience != "" {
		i.Audiences = slices.Concat([]string{c.Audience}, c.Audiences)
	}
	if c.ScopePrefix != "" {
		i.Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
			var err error
			p.Scopes, err = withoutPrefix(p.Scopes, c.ScopePrefix)
			return p, err
		}
	}
	switch c.Profile {
	case "", "rfc9068":
		i.Profile = jwtauth.RFC9068
	case "compat":
		i.Profile = jwtauth.Compatible
	default:
		fail(`profile: %q is neither "rfc9068" nor "compat"`, c.Profile)
	}
	switch {
	case c.Secret != "" && c.JWKSURL != "":
		fail("secret: excludes jwks_url")
	case c.Secret != "":
		secret, err := gatehouse.LoadSecret(c.Secret, 32)
		if err != nil {
			fail("secret: %w", err)
		}
		i.Keys = jwtauth.SharedSecret(secret)
	case c.JWKSURL != "":
		i.Keys = jwtauth.RemoteKeys(c.JWKSURL)
	default:
		i.Keys = jwtauth.Discover()
	}
	if err := c.checkPlainHTTP(); err != nil {
		fail("issuer: %w", err)
	}
	return i, errs
}

// checkPlainHTTP returns an error if the issuer is a plain http URL of a host that is
// not in the list. Without discovery, the library accepts such a name.
func (c issuerConfig) checkPlainHTTP() error {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Scheme != "http" || isLoopback(u.Hostname()) || c.JWKSURL == "" && c.Secret == "" {
		return nil //nolint:nilerr // the library reports it
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if slices.Contains(c.PlainHTTPHosts, net.JoinHostPort(u.Hostname(), port)) {
		return nil
	}
	return errors.New("plain http is for loopback addresses and plain_http_hosts only")
}

func isLoopback(host string) bool {
	addr, _ := netip.ParseAddr(host) // on failure the zero Addr, which is no loopback address
	return host == "localhost" || addr.Unmap().IsLoopback()
}

// isPublic reports whether clients of this API can use the issuer: RFC 9728 metadata
// name https URLs.
func isPublic(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && u.Host != "" && (u.Scheme != "http" || isLoopback(u.Hostname()))
}

func marks(list []mark) []jwtauth.Mark {
	var all []jwtauth.Mark
	for _, m := range list {
		all = append(all, jwtauth.Mark(m))
	}
	return all
}

// withoutPrefix returns the scopes that begin with the prefix, without it. Others
// are for other APIs.
func withoutPrefix(granted gatehouse.Scopes, prefix string) (gatehouse.Scopes, error) {
	var own []string
	for scope := range granted.All() {
		if name, ok := strings.CutPrefix(scope, prefix); ok && name != "" {
			own = append(own, name)
		}
	}
	return gatehouse.NewScopes(own...)
}

// rename replaces the names of library fields in err by those of the file.
func (c *config) rename(err error) error {
	if err == nil {
		return nil
	}
	names := []string{
		"gatehouse: ProtectedResource.Resource", "resource",
		"apikey: Config.CacheTTL", "api_keys.cache_ttl", "apikey: Config.Scopes", "api_keys.mint: scopes",
	}
	for n, i := range c.Issuers {
		library, file := fmt.Sprintf("jwtauth: Config.Issuers[%d].", n), fmt.Sprintf("issuers[%d].", n)
		keys := "secret"
		if i.JWKSURL != "" {
			keys = "jwks_url"
		}
		names = append(names, library+"Audiences: at least one is required", file+"audience: required")
		first := 0
		if i.Audience != "" {
			names = append(names, library+"Audiences[0]", file+"audience")
			first = 1
		}
		for n := range i.Audiences {
			names = append(names, fmt.Sprintf("%sAudiences[%d]", library, n+first), fmt.Sprintf("%saudiences[%d]", file, n))
		}
		for field, name := range map[string]string{
			"URL": "issuer", "Algorithms": "algorithms", "Keys": keys, "Tenants": "tenants", "AnyTenant": "any_tenant", "Clients": "clients",
			"AcceptMissingAudience": "accept_missing_audience", "Require": "require", "Refuse": "refuse", "ScopeClaims": "scope_claims",
			"RolesClaims": "roles_claims", "TenantClaim": "tenant_claim", "PlainHTTPHosts": "plain_http_hosts",
		} {
			names = append(names, library+field, file+name)
		}
	}
	names = append(names, "jwtauth: Config.Issuers", "issuers", "AnyTenant", "any_tenant", "Tenants", "tenants",
		"PlainHTTPHosts", "plain_http_hosts", "Profile: Compatible", `profile "compat"`,
		"dpop: Config.PublicOrigin", "public_origin", "mtls: Config.Proxies", "mtls.client_cert_header.from")
	if c.MTLS != nil {
		for n := range c.MTLS.Subjects {
			library, file := fmt.Sprintf("mtls: Config.Subjects[%d].", n), fmt.Sprintf("mtls.subjects[%d].", n)
			names = append(names, library+"SAN", file+"san", library+"Subject", file+"subject", library+"Tenant", file+"tenant", library+"Scopes", file+"scopes")
		}
	}
	return renameAll(err, names...)
}

// renameAll replaces names in the text of err, given as old and new ones in turn.
func renameAll(err error, names ...string) error {
	return errors.New(strings.NewReplacer(names...).Replace(err.Error()))
}
