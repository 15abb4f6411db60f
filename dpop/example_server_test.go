// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// A resource server that accepts DPoP-bound tokens, and Bearer tokens on routes that
// are not sensitive.
func Example() {
	handler, err := protect(dpop.NewMemory(0)) // several servers share a store of the store module
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/payments", nil))
	fmt.Println(w.Code)
	for _, challenge := range w.Header()["Www-Authenticate"] {
		fmt.Println(challenge)
	}
	// Output:
	// 401
	// Bearer realm="payments"
	// DPoP realm="payments", algs="ES256 PS256 EdDSA Ed25519"
}

func protect(replays dpop.ReplayStore) (http.Handler, error) {
	// In a program: gatehouse.LoadSecret("file:/run/secrets/dpop-nonce-key", 32)
	nonceKey := gatehouse.NewSecret([]byte("an example of thirty-two bytes !"))
	proofs, err := dpop.New(dpop.Config{
		PublicOrigin: "https://api.example.com",
		Replays:      replays,
		NonceKeys:    []gatehouse.Secret{nonceKey},
	})
	if err != nil {
		return nil, err
	}
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL:        "https://auth.example.com",
			Audiences:  []string{"https://api.example.com"},
			Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
			Keys:       jwtauth.Discover(),
		}},
		Confirmers: []gatehouse.Confirmer{proofs},
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens}, // dpop.Require(tokens) refuses Bearer tokens everywhere
		Realm:          "payments",
	})
	if err != nil {
		return nil, err
	}
	mux := gate.Mux()
	mux.HandleFunc("GET /status", status, gatehouse.Authenticated)
	mux.HandleFunc("GET /payments", payments, gatehouse.Bound(dpop.Binding))
	return mux, nil
}

func status(w http.ResponseWriter, _ *http.Request)   { fmt.Fprintln(w, "up") }
func payments(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "none") }
