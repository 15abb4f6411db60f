// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// me returns the principal. The page requests it each time the page becomes visible.
func me(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	_ = p.Claims.Decode(&claims) // claims of other types are left out
	writeJSON(w, http.StatusOK, map[string]any{
		"subject": p.Subject,
		"issuer":  p.Issuer,
		"user":    session.UserTag(p),
		"name":    claims.Name,
		"email":   claims.Email,
		"method":  p.Method,
		"scopes":  p.Scopes.String(),
		"expires": p.Expires.UTC().Format(time.RFC3339),
	})
}
