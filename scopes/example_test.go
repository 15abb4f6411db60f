// SPDX-License-Identifier: Apache-2.0

package scopes_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
)

func Example() {
	// The scopes of the application, with descriptions for the people who grant them.
	catalogue, err := scopes.NewCatalogue(map[string]string{
		"reports:read":  "Read the reports of your company",
		"reports:write": "Write reports, and read them",
	})
	if err != nil {
		log.Fatal(err)
	}

	// Nothing else is implied.
	implied, err := scopes.NewImplications(map[string][]string{
		"reports:write": {"reports:read"},
	})
	if err != nil {
		log.Fatal(err)
	}

	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "reports")
	})
	mux := http.NewServeMux()
	mux.Handle("GET /reports", gatehouse.Require(implied.All("reports:read"))(ok))
	mux.Handle("POST /reports", gatehouse.Require(implied.All("reports:write"))(ok))
	mux.Handle("DELETE /reports", gatehouse.Require(scopes.HasRole("owner"), implied.All("reports:write"))(ok))

	// In an application the principal comes from a gate.
	try := func(method, scope string) {
		granted, err := catalogue.Parse(scope)
		if err != nil {
			fmt.Println(err)
			return
		}
		p := gatehouse.Principal{Method: "jwt", Subject: "ada", Scopes: granted}
		r := httptest.NewRequest(method, "/reports", nil)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r.WithContext(gatehouse.NewContext(r.Context(), p)))
		fmt.Println(method, "with", scope, "returns", w.Code)
	}
	try("GET", "reports:read")
	try("GET", "reports:write")
	try("POST", "reports:read")
	try("POST", "reports:write")
	try("DELETE", "reports:write")
	try("POST", "reports:*")

	// Output:
	// GET with reports:read returns 200
	// GET with reports:write returns 200
	// POST with reports:read returns 403
	// POST with reports:write returns 200
	// DELETE with reports:write returns 403
	// scopes: unknown scope "reports:*"
}
