// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// A proxy that logs users in and sends their token in a header of its own, such as
// Cloudflare Access.
func Example_anotherHeader() {
	proxy, err := authtest.StartIssuer(authtest.IssuerConfig{Type: "JWT"})
	if err != nil {
		log.Fatal(err)
	}
	defer proxy.Close()

	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL:           proxy.URL,
			Audiences:     []string{proxy.Audience},
			Algorithms:    []jwtauth.Algorithm{jwtauth.RS256},
			Keys:          jwtauth.RemoteKeys(proxy.KeysURL),
			Profile:       jwtauth.Compatible,
			Header:        "Cf-Access-Jwt-Assertion",
			Require:       []jwtauth.Mark{{Claim: "type", Values: []string{"app"}}},
			SubjectClaims: []string{"sub", "common_name"}, // sub is empty for service tokens
			Services:      []jwtauth.Mark{{Claim: "common_name"}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()

	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "reports"})
	if err != nil {
		log.Fatal(err)
	}
	handler := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprint(w, p.Kind, " ", p.Subject, ", header: ", r.Header.Get("Cf-Access-Jwt-Assertion") != "")
	}))

	for _, test := range []struct{ header, token string }{
		{"Cf-Access-Jwt-Assertion", proxy.Token(authtest.Claims{"type": "app"})},
		{"Cf-Access-Jwt-Assertion", proxy.Token(authtest.Claims{"type": "app", "sub": "", "common_name": "e3.access"})},
		{"Cf-Access-Jwt-Assertion", proxy.Token(authtest.Claims{"type": "org"})},
		{"Authorization", "Bearer " + proxy.Token(authtest.Claims{"type": "app"})},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set(test.header, test.token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			fmt.Println(w.Code, w.Body)
		} else {
			fmt.Println(w.Code)
		}
	}

	// Output:
	// 200 user alice, header: false
	// 200 service e3.access, header: false
	// 403
	// 401
}
