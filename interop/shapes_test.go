// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/providers"
)

// TestPresets accepts the access tokens of an authorization server that gives them
// the form of a product, and rejects its ID tokens and those for another API, with
// the preset of the product.
func TestPresets(t *testing.T) {
	t.Parallel()
	const keycloak, cognito = "https://keycloak.example.com", "https://cognito.example.com"
	p := ownProvider(t, provider.Options{
		Clients: []provider.Client{machine, webapp},
		Resources: []provider.Resource{
			{URI: keycloak, Algorithm: "RS256", Scope: "reports:read", Shape: "keycloak"},
			{URI: cognito, Algorithm: "RS256", Scope: "reports:read", Shape: "cognito"},
			{URI: other, Algorithm: "RS256", Scope: "reports:read"},
		},
	})
	for _, test := range []struct {
		name, resource string
		issuer         jwtauth.Issuer
		role           string
	}{
		// The client ID is an audience too, so that only the marks reject ID tokens.
		{"Keycloak", keycloak, providers.Keycloak("https://login.example.com/realms/acme", keycloak), "admin"},
		{"Cognito", cognito, providers.Cognito("eu-west-1_Ab12Cd", machine.ID, webapp.ID), "admins"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := test.issuer
			i.URL, i.Audiences = p.Issuer, append(i.Audiences, webapp.ID)
			i.Principal = func(_ gatehouse.Claims, caller gatehouse.Principal) (gatehouse.Principal, error) {
				if !caller.Roles.Has(test.role) {
					t.Errorf("roles = %v, want %s", caller.Roles, test.role)
				}
				return caller, nil
			}
			api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{i}})
			person := p.Login(t, provider.NewBrowser(t, "ada"), webapp, test.resource, "openid reports:read")
			api.accept(t, "/reports", person.AccessToken, caller{gatehouse.KindUser, "ada", p.Issuer, webapp.ID, "reports:read"})
			service := p.ClientCredentials(t, machine, test.resource, "reports:read").AccessToken
			api.accept(t, "/reports", service, caller{gatehouse.KindService, machine.ID, p.Issuer, machine.ID, "reports:read"})
			api.reject(t, "ID token", person.IDToken)
			api.reject(t, "token for another API", p.ClientCredentials(t, machine, other, "reports:read").AccessToken)
		})
	}
}
