// SPDX-License-Identifier: Apache-2.0

package auth0

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// snippet: after

// After returns the API with Gatehouse. For a tenant of Auth0, the issuer is
// providers.Auth0(domain, audience).
func After(issuer, audience string, logger *slog.Logger) (http.Handler, error) {
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.RS256}, Keys: jwtauth.Discover(),
	}}})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens}, Realm: "reports", Observer: gatehouse.Log(logger),
	})
	if err != nil {
		return nil, err
	}
	mux := gate.Mux()
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "reports for %s", p.Subject)
	}, scopes.All("reports:read"))
	return mux, nil
}

// end snippet
