// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Clerk accepts the session tokens of a Clerk instance and rejects its template tokens,
// machine tokens and OAuth access tokens. frontend is the Frontend API URL of the
// instance, such as "https://clerk.acme.example". origins are the origins of the
// applications whose sessions are accepted, such as "https://app.acme.example": the azp
// of the token must be one of them. Without origins, every session of the instance is
// accepted, even one without azp, such as that of a native application.
//
// Session tokens have no aud. If you add one, set Audiences. Sessions with pending
// tasks are rejected. The tenant is the active organization, and the role of the
// user there is the only role. There are no scopes, no client and no services.
func Clerk(frontend string, origins ...string) jwtauth.Issuer {
	issuer := compatible(frontend)
	issuer.AcceptMissingAudience = true
	issuer.MaxLifetime = 10 * time.Minute
	issuer.TenantClaim = "/o/id"
	issuer.RolesClaims = []string{"/o/rol"}
	issuer.ClientClaims = []string{} // azp is an origin
	issuer.Require = []jwtauth.Mark{
		{Claim: "sid"},
		{Header: "cat", Values: []string{"cl_B7d4PD111AAA"}}, // session tokens
	}
	issuer.Refuse = []jwtauth.Mark{
		{Header: "typ", Values: []string{"at+jwt"}},
		{Claim: "sts", Values: []string{"pending"}},
	}
	if len(origins) > 0 {
		issuer.Require = append(issuer.Require, jwtauth.Mark{Claim: "azp", Values: slices.Clone(origins)})
	}
	errs := []error{address("frontend", frontend, "https://clerk.acme.example")}
	for i, origin := range origins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			errs = append(errs, fmt.Errorf(`origins[%d]: got %q, want an origin such as "https://app.acme.example"`, i, origin))
		}
	}
	return checked("Clerk", issuer, errs...)
}
