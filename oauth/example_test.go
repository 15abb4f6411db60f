// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// A program on the machine of the user logs the user in: it listens on a loopback
// address for the authorization response.
func Example() {
	server := httptest.NewServer(nil) // the authorization server, for this example
	defer server.Close()
	server.Config.Handler = authorizationServer(server.URL)

	client, err := oauth.New(oauth.Config{Issuer: server.URL, ClientID: "cli", Auth: oauth.Public})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	wanted, err := gatehouse.NewScopes("reports:read")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	transaction, err := client.Authorize(ctx, oauth.AuthorizationRequest{
		RedirectURI: "http://127.0.0.1:4711/callback", Scopes: wanted,
	})
	if err != nil {
		log.Fatal(err)
	}
	response := openBrowser(transaction.URL) // the query of the request to the RedirectURI
	result, err := client.Redeem(ctx, transaction, response)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Tokens.Scopes, result.Tokens.Access)

	// A response with another state does not belong to this transaction.
	_, err = client.Redeem(ctx, transaction, url.Values{"code": {"stolen"}, "state": {"made-up"}})
	fmt.Println(err != nil)

	// Output:
	// reports:read [redacted]
	// true
}

// openBrowser stands for the browser in which the user agrees.
func openBrowser(address string) url.Values {
	u, err := url.Parse(address)
	if err != nil {
		log.Fatal(err)
	}
	return url.Values{"code": {"c"}, "state": {u.Query().Get("state")}}
}

func authorizationServer(issuer string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q}`, issuer, issuer+"/auth", issuer+"/token")
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"access_token":"a","token_type":"Bearer","expires_in":300}`)
	})
	return mux
}
