// SPDX-License-Identifier: Apache-2.0

package providers

import "github.com/gatehouse-go/gatehouse/jwtauth"

// Auth0 accepts the access tokens of an Auth0 tenant for an API whose token dialect is
// "access_token". domain is the domain of the login, such as "acme.eu.auth0.com" or the
// custom domain. audience is the identifier of the API, never the ID of a client.
//
// Scopes are scope and permissions together, and the tenant is the organization (org_id).
// Roles are in a claim that you define: set RolesClaims. A machine is a service. The
// tokens of an API are valid for 24 hours at most; raise MaxLifetime, up to 7 days, if
// the API is configured for more.
func Auth0(domain, audience string) jwtauth.Issuer {
	issuer := auth0(domain, audience)
	issuer.Require = []jwtauth.Mark{{Claim: "azp"}} // ID tokens have none
	return checked("Auth0", issuer, auth0Parameters(domain, audience)...)
}

// Auth0RFC9068 is [Auth0] for an API whose token dialect is the RFC 9068 profile.
func Auth0RFC9068(domain, audience string) jwtauth.Issuer {
	issuer := auth0(domain, audience)
	issuer.Profile = jwtauth.RFC9068
	return checked("Auth0RFC9068", issuer, auth0Parameters(domain, audience)...)
}

func auth0(domain, audience string) jwtauth.Issuer {
	issuer := compatible("https://"+domain+"/", audience)
	issuer.ScopeClaims = []string{"scope", "permissions"}
	issuer.TenantClaim = "org_id"
	issuer.Services = []jwtauth.Mark{{Claim: "gty", Values: []string{"client-credentials"}}}
	return issuer
}

func auth0Parameters(domain, audience string) []error {
	return []error{hostName("domain", domain, "acme.eu.auth0.com"), required("audience", audience)}
}
