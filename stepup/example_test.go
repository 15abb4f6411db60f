// SPDX-License-Identifier: Apache-2.0

package stepup_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/stepup"
)

func Example() {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") })
	mux := http.NewServeMux()
	mux.Handle("POST /transfers", gatehouse.Require(
		scopes.All("transfers:write"),
		stepup.Require(stepup.Requirement{
			MaxAge:    5 * time.Minute,         // the user has logged in within five minutes,
			ACRValues: []string{"phrh", "phr"}, // with a phishing-resistant factor
		}),
	)(ok))

	// In an application the principal comes from a gate.
	write, err := gatehouse.NewScopes("transfers:write")
	if err != nil {
		panic(err)
	}
	try := func(claims string, age time.Duration) {
		p := gatehouse.Principal{
			Method: "jwt", Subject: "ada", Scopes: write,
			AuthTime: time.Now().Add(-age), Claims: gatehouse.VerifiedClaims(claims),
		}
		r := httptest.NewRequest(http.MethodPost, "/transfers", nil)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r.WithContext(gatehouse.NewContext(r.Context(), p)))
		fmt.Println(w.Code, w.Header()["Www-Authenticate"])
	}
	try(`{"acr":"phr"}`, time.Minute)
	try(`{"acr":"phr"}`, time.Hour)

	// Output:
	// 200 []
	// 401 [Bearer realm="gatehouse", error="insufficient_user_authentication", error_description="This resource requires a more recent or a stronger authentication of the user.", max_age="300", acr_values="phrh phr"]
}
