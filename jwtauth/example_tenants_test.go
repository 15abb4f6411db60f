// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// The identity provider of the company may speak for every tenant, that of a customer
// for this customer only, and with the roles that customers may give.
func Example_severalIssuers() {
	var issuers [2]*authtest.Issuer
	for n := range issuers {
		issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
		if err != nil {
			log.Fatal(err)
		}
		defer issuer.Close()
		issuers[n] = issuer
	}
	company, customer := issuers[0], issuers[1]

	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{
			{
				URL:        company.URL,
				Audiences:  []string{company.Audience},
				Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
				Keys:       jwtauth.Discover(),
				AnyTenant:  true,
			},
			{
				URL:          customer.URL,
				Audiences:    []string{customer.Audience},
				Algorithms:   []jwtauth.Algorithm{jwtauth.ES256},
				Keys:         jwtauth.Discover(),
				Tenants:      []string{"acme"},
				AllowedRoles: []string{"editor", "viewer"},
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()

	for _, token := range []string{
		company.Token(authtest.Claims{"tenant": "globex", "roles": []string{"operator"}}),
		customer.Token(authtest.Claims{"tenant": "acme", "roles": []string{"editor", "operator"}}),
		customer.Token(authtest.Claims{"tenant": "globex", "roles": []string{"editor"}}),
	} {
		p, err := tokens.Verify(context.Background(), token)
		if e, ok := errors.AsType[*gatehouse.Error](err); ok {
			fmt.Println(e.Code.Status(), e.Reason)
			continue
		}
		fmt.Println(p.Tenant, p.Roles)
	}

	// Output:
	// globex operator
	// acme editor
	// 401 jwtauth_tenant
}
