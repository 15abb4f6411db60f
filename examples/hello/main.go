// SPDX-License-Identifier: Apache-2.0

// Hello is an API that accepts the access tokens of one authorization server.
//
//	ISSUER=https://auth.example.com AUDIENCE=https://api.example.com go run ./examples/hello
package main

import (
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func main() {
	h, err := handler(os.Getenv("ISSUER"), os.Getenv("AUDIENCE"), slog.Default())
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr: "127.0.0.1:8080", Handler: h, ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	log.Fatal(server.ListenAndServe())
}

func handler(issuer, audience string, logger *slog.Logger) (http.Handler, error) {
	observer := gatehouse.Log(logger)
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL:        issuer,
			Audiences:  []string{audience},
			Algorithms: []jwtauth.Algorithm{jwtauth.RS256},
			Keys:       jwtauth.Discover(),
		}},
		Observer: observer, // reports failed fetches of keys and misspelt claims
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens},
		Realm:          "hello",
		Observer:       observer,
	})
	if err != nil {
		return nil, err
	}

	mux := gate.Mux() // each route names the policies that the caller must satisfy
	mux.HandleFunc("GET /hello", hello, gatehouse.Authenticated)
	mux.HandleFunc("GET /reports", hello, scopes.All("reports:read"))
	mux.HandleFunc("GET /tenants/{tenant}/reports", hello, tenant.FromPath("tenant"), scopes.All("reports:read"))
	mux.PublicFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return mux, nil
}

func hello(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s.\n", p.Subject)
}
