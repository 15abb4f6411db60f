// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// An API that accepts the access tokens of one issuer. In a service, URL and
// Audience are those of its authorization server; here the server runs in the
// same process.
func Example() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()

	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL:        issuer.URL,
			Audiences:  []string{issuer.Audience},
			Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
			Keys:       jwtauth.Discover(),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()

	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens},
		Realm:          "reports",
		Observer:       gatehouse.Log(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := gate.Mux()
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "reports for %s", p.Subject)
	}, scopes.All("reports:read"))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, token := range []string{
		issuer.Token(authtest.Claims{"sub": "alice", "scope": "reports:read"}),
		issuer.Token(authtest.Claims{"sub": "bob", "scope": "profile"}),
		issuer.ExpiredToken(nil),
		"",
	} {
		request, err := http.NewRequest(http.MethodGet, server.URL+"/reports", http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		_ = response.Body.Close()
		fmt.Println(response.StatusCode)
	}

	// Output:
	// 200
	// 403
	// 401
	// 401
}
