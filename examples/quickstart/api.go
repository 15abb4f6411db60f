// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// newAPI returns an API that only lets in those who prove who they are, by one
// of the authenticators, and who may do what they ask for.
func newAPI(observer gatehouse.Observer, authenticators ...gatehouse.Authenticator) (http.Handler, error) {
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: authenticators,
		Realm:          "quickstart",
		Observer:       observer,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /whoami", whoami)
	mux.Handle("GET /reports",
		gatehouse.Require(scopes.All("reports:read"))(http.HandlerFunc(reports)))
	mux.Handle("GET /tenants/{tenant}/reports",
		gatehouse.Require(tenant.FromPath("tenant"), scopes.All("reports:read"))(http.HandlerFunc(reports)))
	return gate.Handler(mux), nil
}

func whoami(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	writeJSON(w, map[string]any{
		"subject": p.Subject, "tenant": p.Tenant, "scopes": p.Scopes.String(),
		"method": p.Method, "issuer": p.Issuer, "credential": p.Credential, "expires": p.Expires.UTC(),
	})
}

func reports(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	writeJSON(w, map[string]any{"tenant": p.Tenant, "reports": []string{"spring", "summer"}})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
