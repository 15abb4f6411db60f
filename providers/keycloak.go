// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"errors"
	"strings"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Keycloak accepts the access tokens of a realm of Keycloak. realm is the URL of the
// realm, such as "https://login.acme.example/realms/acme". audience is the client ID of
// this API in the realm; an audience mapper must add it to access tokens. For a Keycloak
// on plain http, as in a compose file, set PlainHTTPHosts.
//
// Scopes are scope, and roles are those of the realm and those of the client with the ID
// audience together; RolesClaims names others. The client is azp. A service account is a
// service. There is no tenant, unless TenantClaim names the claim of a mapper.
func Keycloak(realm, audience string) jwtauth.Issuer {
	issuer := compatible(realm, audience)
	escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(audience) // RFC 6901 section 3
	issuer.RolesClaims = []string{"/realm_access/roles", "/resource_access/" + escaped + "/roles"}
	issuer.Require = []jwtauth.Mark{{Claim: "typ", Values: []string{"Bearer", "DPoP"}}}
	issuer.Services = []jwtauth.Mark{{Claim: "client_id"}} // only service accounts have it
	const example = "https://login.acme.example/realms/acme"
	err := address("realm", realm, example)
	if err == nil && !strings.Contains(realm, "/realms/") {
		err = errors.New("realm: has no /realms/ and the name of a realm at the end, as in " + example)
	}
	return checked("Keycloak", issuer, err, required("audience", audience))
}
