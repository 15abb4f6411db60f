// SPDX-License-Identifier: Apache-2.0

package assertion_test

import (
	"fmt"
	"log"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/assertion"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
)

// The clients of a token endpoint authenticate by private_key_jwt.
func Example() {
	// In an application Keys is jwtauth.KeyFile or jwtauth.RemoteKeys.
	clients, err := assertion.New(assertion.Config{
		Issuer:  "https://as.example.com",
		Clients: []assertion.Client{{ID: "billing", Keys: keys, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}}},
		Replays: dpop.NewMemory(0), // for one process; the store module has others
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = clients.Close() }()

	// The method is the client authentication of the token endpoint of package refresh.
	var _ refresh.ClientAuthenticator = clients.Authenticate

	text := signed(keys, "JWT", nil)
	for range 2 {
		client, err := clients.Authenticate(request(text, nil))
		fmt.Printf("%q %v\n", client, err)
	}
	_, err = clients.Authenticate(&http.Request{Body: http.NoBody, Method: http.MethodPost, Header: http.Header{}})
	fmt.Println(err == gatehouse.ErrNoCredentials)

	// Output:
	// "billing" <nil>
	// "" gatehouse: invalid_client (assertion_replayed)
	// true
}
