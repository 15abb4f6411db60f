// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// newAPI returns an API for callers of the authenticators.
func newAPI(observer gatehouse.Observer, authenticators ...gatehouse.Authenticator) (http.Handler, error) {
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: authenticators,
		Realm:          "quickstart",
		Observer:       observer,
	})
	if err != nil {
		return nil, err
	}
	mux := gate.Mux()
	mux.HandleFunc("GET /whoami", whoami, gatehouse.Authenticated)
	mux.HandleFunc("GET /reports", reports, scopes.All("reports:read"))
	mux.HandleFunc("GET /tenants/{tenant}/reports", reports, tenant.FromPath("tenant"), scopes.All("reports:read"))
	return mux, nil
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
