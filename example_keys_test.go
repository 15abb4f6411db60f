// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// snippet: keys
// bothGate accepts access tokens and API keys.
func bothGate(tokens *jwtauth.Authenticator) (*gatehouse.Gate, *apikey.Keys, error) {
	keys, err := apikey.New(apikey.Config{
		Store:  apikey.NewMemory(0),
		Prefix: "acme", // keys look like acme_live_…
		Scopes: []string{"reports:read", "reports:write"},
	})
	if err != nil {
		return nil, nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens, keys},
		Realm:          "acme",
	})
	return gate, keys, err
}

// newKey makes a key for a customer. Show issued.Secret once.
func newKey(ctx context.Context, keys *apikey.Keys) (apikey.Issued, error) {
	return keys.Create(ctx, apikey.Request{
		Owner: "ci", Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: 30 * 24 * time.Hour,
	})
}

// end snippet

func Example_apiKeys() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()
	gate, keys, err := bothGate(tokens)
	if err != nil {
		log.Fatal(err)
	}
	issued, err := newKey(context.Background(), keys)
	if err != nil {
		log.Fatal(err)
	}
	h := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Println(p.Method, p.Subject, p.Scopes)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("X-API-Key", string(issued.Secret.Reveal()))
	h.ServeHTTP(httptest.NewRecorder(), r)
	r = httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(authtest.Claims{"sub": "alice", "scope": "reports:write"}))
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// api_key ci reports:read
	// jwt alice reports:write
}
