// SPDX-License-Identifier: Apache-2.0

package providers

import "github.com/gatehouse-go/gatehouse/jwtauth"

// CloudflareAccess accepts the application tokens that Cloudflare Access sends in the
// header Cf-Access-Jwt-Assertion. team is the name of the team, such as "acme" of
// acme.cloudflareaccess.com, and audience the AUD tag of the application.
//
// A service token is a service, and its subject and client are its name (common_name).
// There are no scopes, roles and tenants, except in claims of the identity provider.
// Raise MaxLifetime, up to 7 days, for sessions of more than a day.
func CloudflareAccess(team, audience string) jwtauth.Issuer {
	base := "https://" + team + ".cloudflareaccess.com"
	issuer := compatible(base, audience)
	issuer.Keys = jwtauth.RemoteKeys(base + "/cdn-cgi/access/certs")
	issuer.Header = "Cf-Access-Jwt-Assertion"
	issuer.SubjectClaims = []string{"sub", "common_name"} // sub of a service token is empty
	issuer.ClientClaims = []string{"common_name"}
	issuer.Require = []jwtauth.Mark{{Claim: "type", Values: []string{"app"}}} // "org" is the token of the login page
	return checked("CloudflareAccess", issuer, label("team", team, "acme"), required("audience", audience))
}
