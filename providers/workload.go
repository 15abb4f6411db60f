// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Kubernetes accepts the service account tokens of a cluster that pods get from a
// projected volume. issuer is the --service-account-issuer of the cluster. keysURL is the
// URL of its key set, usually https://HOST/openid/v1/jwks of the API server; for the
// certificate authority of the cluster set Config.Transport. audience is the audience
// that the volume requests; do not use that of the API server, for which every pod has a
// token by default.
//
// The tenant is the namespace. Every caller is a service, and its subject is
// system:serviceaccount:NAMESPACE:NAME. There are no scopes, roles and clients.
func Kubernetes(issuer, keysURL, audience string) jwtauth.Issuer {
	i := compatible(issuer, audience)
	i.Keys = jwtauth.RemoteKeys(keysURL)
	i.Algorithms = []jwtauth.Algorithm{jwtauth.RS256, jwtauth.ES256, jwtauth.ES384, jwtauth.ES512}
	i.MaxLifetime = 0 // 24 hours
	i.TenantClaim = "/kubernetes.io/namespace"
	i.Services = []jwtauth.Mark{{Claim: "iss"}}
	return checked("Kubernetes", i, required("issuer", issuer),
		address("keysURL", keysURL, "https://kubernetes.default.svc/openid/v1/jwks"), required("audience", audience))
}

// GitHubActions accepts the OpenID Connect tokens of workflows in the repositories of
// some owners. audience is the audience that workflows request. owners are the numeric
// IDs of the organizations and users, because another account can take over a released
// name. For an enterprise with its own issuer, or for GitHub Enterprise Server, change
// URL.
//
// The tenant is the ID of the owner. Every caller is a service. There are no scopes,
// roles and clients: a policy or a Mark must check claims such as repository_id, ref and
// environment.
func GitHubActions(audience string, owners ...string) jwtauth.Issuer {
	issuer := compatible("https://token.actions.githubusercontent.com", audience)
	issuer.MaxLifetime = 15 * time.Minute
	issuer.TenantClaim = "repository_owner_id"
	issuer.Services = []jwtauth.Mark{{Claim: "iss"}}
	issuer.Require = []jwtauth.Mark{{Claim: "repository_owner_id", Values: slices.Clone(owners)}}
	errs := []error{required("audience", audience), required("owners", owners...)}
	for i, owner := range owners {
		if owner != "" && !consists(owner, digits) {
			errs = append(errs, fmt.Errorf(`owners[%d]: got %q, want the numeric ID of an organization or user`, i, owner))
		}
	}
	return checked("GitHubActions", issuer, errs...)
}
