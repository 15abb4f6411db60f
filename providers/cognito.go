// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Cognito accepts the access tokens of an Amazon Cognito user pool. They have no aud:
// clients are the IDs of the app clients whose tokens are for this API. pool is the ID of
// the user pool, such as "eu-west-1_Ab12Cd"; it begins with the region.
//
// Scopes are scope, roles are the groups of the user (cognito:groups), and the client is
// client_id. A machine is a service. There is no tenant, unless TenantClaim names a claim
// that a trigger adds. A token with an aud is rejected: see [CognitoResource].
func Cognito(pool string, clients ...string) jwtauth.Issuer {
	issuer := cognito(pool)
	issuer.Clients = slices.Clone(clients)
	return checked("Cognito", issuer, userPool(pool), required("clients", clients...))
}

// CognitoResource is [Cognito] for clients that send the parameter resource at the
// login. audience is its value, which becomes the aud of the access token. Machines
// cannot send it: clients are the app clients whose tokens are accepted without an aud.
// clients is optional.
func CognitoResource(pool, audience string, clients ...string) jwtauth.Issuer {
	issuer := cognito(pool)
	issuer.Audiences = []string{audience}
	err := required("audience", audience)
	if len(clients) > 0 {
		issuer.Clients = slices.Clone(clients)
		if err == nil {
			err = required("clients", clients...)
		}
	}
	return checked("CognitoResource", issuer, userPool(pool), err)
}

func cognito(pool string) jwtauth.Issuer {
	region, _, _ := strings.Cut(pool, "_")
	issuer := compatible("https://cognito-idp." + region + ".amazonaws.com/" + pool)
	issuer.RolesClaims = []string{"cognito:groups"}
	issuer.Require = []jwtauth.Mark{{Claim: "token_use", Values: []string{"access"}}}
	return issuer
}

func userPool(pool string) error {
	region, id, _ := strings.Cut(pool, "_")
	if !consists(region, letters+digits+"-") || !consists(id, letters+digits) {
		return fmt.Errorf(`pool: got %q, want the ID of a user pool such as "eu-west-1_Ab12Cd"`, pool)
	}
	return nil
}
