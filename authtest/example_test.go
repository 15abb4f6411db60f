// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// protect is the function under test. The issuer is a parameter, so that a test can
// use its own.
func protect(issuer, audience string, handler http.Handler) (http.Handler, error) {
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL:        issuer,
			Audiences:  []string{audience},
			Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
			Keys:       jwtauth.Discover(),
		}},
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens},
		Realm:          "reports",
	})
	if err != nil {
		return nil, err
	}
	return gate.Handler(handler), nil
}

func greet(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s.\n", p.Subject)
}

// In a test, NewIssuer(t) and Attack(t, handler, issuer) are shorter.
func Example() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()

	handler, err := protect(issuer.URL, issuer.Audience, http.HandlerFunc(greet))
	if err != nil {
		log.Fatal(err)
	}

	findings := 0
	for attempt := range authtest.Attacks(issuer) {
		for _, finding := range attempt.Try(handler) {
			fmt.Println(finding)
			findings++
		}
	}
	fmt.Println("findings:", findings)
	// Output: findings: 0
}

// routes returns the handler behind the gate.
func routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /tenants/{tenant}/reports", gatehouse.Require(
		tenant.FromPath("tenant"), scopes.All("reports:read"),
	)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "reports")
	})))
	return mux
}

func ExampleRequest() {
	alice := authtest.Principal("alice", "reports:read")
	alice.Tenant = "acme"

	for _, path := range []string{"/tenants/acme/reports", "/tenants/other/reports"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		routes().ServeHTTP(w, authtest.Request(r, alice))
		fmt.Println(path, w.Code)
	}
	// Output:
	// /tenants/acme/reports 200
	// /tenants/other/reports 403
}
