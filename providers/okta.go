// SPDX-License-Identifier: Apache-2.0

package providers

import "github.com/gatehouse-go/gatehouse/jwtauth"

// Okta accepts the access tokens of a custom authorization server of Okta. org is the
// domain of the organization, such as "acme.okta.com" or the custom domain. server is
// the ID of the authorization server, often "default". audience is the audience of
// this server.
//
// The tokens of the organization's own authorization server are for Okta itself, and
// Okta publishes no keys for them: server is required.
//
// Scopes are scp, the client is cid, and roles are the claim groups, which the
// authorization server must add. The subject is uid, the ID of the user, because sub may
// be a login name that another person can get later. A machine is a service.
func Okta(org, server, audience string) jwtauth.Issuer {
	issuer := compatible("https://"+org+"/oauth2/"+server, audience)
	issuer.ScopeClaims = []string{"scp"}
	issuer.RolesClaims = []string{"groups"}
	issuer.SubjectClaims = []string{"uid", "sub"}
	issuer.Require = []jwtauth.Mark{{Claim: "cid"}} // ID tokens have none
	return checked("Okta", issuer, hostName("org", org, "acme.okta.com"),
		label("server", server, "default"), required("audience", audience))
}
