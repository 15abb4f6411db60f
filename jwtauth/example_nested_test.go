// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// An issuer whose roles are in nested objects, such as Keycloak. The payload says
// that the token is an access token, so that a nonce is accepted.
func Example_nestedRoles() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Type: "JWT"})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()

	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL:          issuer.URL,
			Audiences:    []string{issuer.Audience},
			Algorithms:   []jwtauth.Algorithm{jwtauth.RS256},
			Keys:         jwtauth.Discover(),
			Profile:      jwtauth.Compatible,
			Require:      []jwtauth.Mark{{Claim: "typ", Values: []string{"Bearer", "DPoP"}}},
			ClientClaims: []string{"azp"},
			RolesClaims:  []string{"/realm_access/roles", "/resource_access/api~1v1/roles"},
			Services:     []jwtauth.Mark{{Claim: "client_id"}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()

	p, err := tokens.Verify(context.Background(), issuer.Token(authtest.Claims{
		"typ": "Bearer", "azp": "web", "client_id": nil, "nonce": "n-0S6_WzA2Mj",
		"realm_access":    map[string]any{"roles": []string{"admin"}},
		"resource_access": map[string]any{"api/v1": map[string]any{"roles": []string{"reader"}}},
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Kind, p.Subject, p.Client, p.Roles)

	// Output:
	// user alice web admin, reader
}
