// SPDX-License-Identifier: Apache-2.0

// Package auth0 has one API twice: with go-jwt-middleware of Auth0, and with Gatehouse.
package auth0

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
)

// snippet: before

// accessClaims are the claims of the application.
type accessClaims struct {
	Scope string `json:"scope"`
}

// Validate implements validator.CustomClaims.
func (*accessClaims) Validate(context.Context) error { return nil }

// Before returns the API with go-jwt-middleware.
func Before(issuer, audience string) (http.Handler, error) {
	issuerURL, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	keys := jwks.NewCachingProvider(issuerURL, 5*time.Minute)
	v, err := validator.New(keys.KeyFunc, validator.RS256, issuer, []string{audience},
		validator.WithCustomClaims(func() validator.CustomClaims { return new(accessClaims) }))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, r *http.Request) {
		claims, _ := r.Context().Value(jwtmiddleware.ContextKey{}).(*validator.ValidatedClaims)
		access, ok := claims.CustomClaims.(*accessClaims)
		if !ok || !slices.Contains(strings.Fields(access.Scope), "reports:read") {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "reports for %s", claims.RegisteredClaims.Subject)
	})
	return jwtmiddleware.New(v.ValidateToken).CheckJWT(mux), nil
}

// end snippet
