// SPDX-License-Identifier: Apache-2.0

package tenant_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func Example() {
	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "the reports of %s", p.Tenant) // the proved tenant, not the path
	})
	mux := http.NewServeMux()
	mux.Handle("GET /tenants/{tenant}/reports",
		gatehouse.Require(tenant.FromPath("tenant"), scopes.All("reports:read"))(reports))

	// In an application the principal comes from a gate.
	read, err := gatehouse.NewScopes("reports:read")
	if err != nil {
		panic(err)
	}
	ada := gatehouse.Principal{Method: "jwt", Subject: "ada", Tenant: "acme", Scopes: read}
	for _, path := range []string{"/tenants/acme/reports", "/tenants/globex/reports"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r.WithContext(gatehouse.NewContext(r.Context(), ada)))
		fmt.Println(w.Code, w.Body)
	}

	// Output:
	// 200 the reports of acme
	// 403 {"error":"access_denied","error_description":"Access to this resource is denied."}
}
