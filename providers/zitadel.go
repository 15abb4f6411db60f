// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Zitadel accepts the access tokens of a ZITADEL instance for one project. issuer is
// the URL of the instance, such as "https://acme.zitadel.cloud", and project the ID
// of the project. Applications and service users must be set to JWT access tokens.
//
// The tenant is the organization of the user. Roles are the roles in the project that
// this organization granted to the user; roles from other organizations are not used. If
// the token does not name the organization, there is no tenant, and roles are those of
// all organizations. The client is client_id. There are no scopes. Tokens of service
// users look like those of people, so their Kind is user. A token without a role is
// rejected, because every service user of the instance gets the audience of every
// project.
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
	i.Principal = func(claims gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
		return rolesOfTenant(claims, p, roles)
	}
	return checked("Zitadel", i, address("issuer", issuer, "https://acme.zitadel.cloud"), label("project", project, "267912345678901234"))
}

// rolesOfTenant keeps only the roles that the organization of the user granted. The claim
// has an object for each role; its members are the organizations that granted the role.
func rolesOfTenant(claims gatehouse.Claims, p gatehouse.Principal, claim string) (gatehouse.Principal, error) {
	var members map[string]any
	if err := claims.Decode(&members); err != nil {
		return p, err
	}
	given, _ := members[claim].(map[string]any)
	var names []string
	for role := range p.Roles.All() {
		organizations, _ := given[role].(map[string]any)
		if _, ok := organizations[p.Tenant]; ok || p.Tenant == "" {
			names = append(names, role)
		}
	}
	if len(names) == 0 {
		return p, errors.New("no role of the organization of the user")
	}
	var err error
	p.Roles, err = gatehouse.NewRoles(names...)
	return p, err
}
