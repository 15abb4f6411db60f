// SPDX-License-Identifier: Apache-2.0

package providers

import "github.com/gatehouse-go/gatehouse/jwtauth"

// Zitadel accepts the access tokens of a ZITADEL instance for one project. issuer is
// the URL of the instance, such as "https://acme.zitadel.cloud", and project the ID
// of the project. Applications and service users must be set to JWT access tokens.
//
// Roles are the roles of the user in the project, and the tenant is the organization
// of the user. The client is client_id. There are no scopes, and no mark of service
// users: they are users. A token without a role is rejected, because every service
// user of the instance gets the audience of every project.
func Zitadel(issuer, project string) jwtauth.Issuer {
	roles := "urn:zitadel:iam:org:project:" + project + ":roles"
	i := compatible(issuer, project)
	i.TenantClaim = "urn:zitadel:iam:user:resourceowner:id"
	i.RolesClaims = []string{roles}
	i.RolesAreNames = true
	i.Require = []jwtauth.Mark{
		{Claim: "jti"}, // ID tokens have the same aud and no jti
		{Claim: roles},
	}
	return checked("Zitadel", i, address("issuer", issuer, "https://acme.zitadel.cloud"), label("project", project, "267912345678901234"))
}
