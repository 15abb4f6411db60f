// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
)

// A client of an API that accepts DPoP-bound tokens.
func ExampleNewTransport() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d proof, %.4s token", len(r.Header["Dpop"]), r.Header.Get("Authorization"))
	}))
	defer api.Close()

	key, err := dpop.GenerateKey() // the authorization server binds the token to key.Thumbprint()
	if err != nil {
		log.Fatal(err)
	}
	transport, err := dpop.NewTransport(dpop.TransportConfig{
		Key:     key,
		Origins: []string{api.URL},
		Token: func(context.Context) (gatehouse.Secret, error) {
			return gatehouse.NewSecret([]byte("the-access-token")), nil // of a cache that renews it
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	response, err := client.Get(api.URL + "/payments")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var body [64]byte
	n, _ := response.Body.Read(body[:])
	fmt.Println(string(body[:n]))
	// Output: 1 proof, DPoP token
}
