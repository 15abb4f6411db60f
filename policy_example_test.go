// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
)

// snippet: policy
// ownReports lets people at their own reports, and support at all of them.
func ownReports(r *http.Request, p gatehouse.Principal) error {
	if p.Subject == r.PathValue("user") || p.Roles.Has("support") {
		return nil
	}
	return errors.New("somebody else's reports") // 403; the log says why
}

func routes(reports http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /users/{user}/reports", gatehouse.Require(ownReports)(reports))
	return mux
}

// end snippet

func ExamplePolicy() {
	h := routes(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "three reports") }))
	for _, subject := range []string{"ada", "grace"} {
		r := httptest.NewRequest(http.MethodGet, "/users/ada/reports", http.NoBody)
		r = r.WithContext(gatehouse.NewContext(r.Context(), gatehouse.Principal{Subject: subject, Method: gatehouse.MethodSession}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 403
}
