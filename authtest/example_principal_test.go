// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// routes are what stands behind the gate.
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
