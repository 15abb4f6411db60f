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
// owner allows users to read their own reports, and support to read all.
func owner(issuer string) gatehouse.Policy {
	return gatehouse.PolicyFunc(func(r *http.Request, p gatehouse.Principal) error {
		if p.Key() == (gatehouse.Key{Issuer: issuer, Subject: r.PathValue("user")}) || p.Roles.Has("support") {
			return nil
		}
		return errors.New("the reports of another user") // 403; the log says why
	})
}

func routes(gate *gatehouse.Gate, reports http.Handler) http.Handler {
	mux := gate.Mux()
	mux.Handle("GET /users/{user}/reports", reports, owner("https://auth.example.com"))
	return mux
}

// end snippet

func ExamplePolicy() {
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{userHeader{}}, Realm: "acme"})
	if err != nil {
		panic(err)
	}
	h := routes(gate, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "three reports") }))
	for _, user := range []string{"ada", "grace"} {
		r := httptest.NewRequest(http.MethodGet, "/users/ada/reports", http.NoBody)
		r.Header.Set("X-User", user)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 403
}

// userHeader stands for a real authenticator.
type userHeader struct{}

func (userHeader) Reads() gatehouse.Reads {
	return gatehouse.Reads{Headers: []gatehouse.Header{{Name: "X-User"}}}
}

func (userHeader) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	return gatehouse.NewProof(&gatehouse.Principal{Issuer: "https://auth.example.com", Subject: r.Header.Get("X-User"), Method: "test"}), nil
}
