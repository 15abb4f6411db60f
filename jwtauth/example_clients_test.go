// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// An issuer whose access tokens have no aud, such as Amazon Cognito: the client takes
// its place, and token_use tells an access token from an ID token.
func Example_clientsInsteadOfAudience() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Type: "JWT", Claims: authtest.Claims{"aud": nil}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()

	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL:         issuer.URL,
			Clients:     []string{"4p26"},
			Algorithms:  []jwtauth.Algorithm{jwtauth.RS256},
			Keys:        jwtauth.Discover(),
			Profile:     jwtauth.Compatible,
			Require:     []jwtauth.Mark{{Claim: "token_use", Values: []string{"access"}}},
			RolesClaims: []string{"cognito:groups"},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()

	for _, claims := range []authtest.Claims{
		{"token_use": "access", "client_id": "4p26", "cognito:groups": []string{"editors"}},
		{"token_use": "access", "client_id": "another"},
		{"token_use": "id", "aud": "4p26"},
	} {
		p, err := tokens.Verify(context.Background(), issuer.Token(claims))
		fmt.Println(p.Subject, p.Client, p.Roles, err != nil)
	}

	// Output:
	// alice 4p26 editors false
	//    true
	//    true
}
