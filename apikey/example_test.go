// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func Example() {
	keys, err := apikey.New(apikey.Config{
		Store:    apikey.NewMemory(0), // store/sqlstore and store/redisstore are persistent
		Prefix:   "acme",
		Scopes:   []string{"reports:read", "reports:write"},
		Observer: gatehouse.Log(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{keys},
		Realm:          "acme",
		Observer:       gatehouse.Log(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "%s of %s may %s", p.Subject, p.Tenant, p.Scopes)
	})))
	defer server.Close()

	// Create a key. Show its text to the client once.
	ctx := context.Background()
	issued, err := keys.Create(ctx, apikey.Request{
		Owner:    "nightly-job",
		Tenant:   "initech",
		Scopes:   []string{"reports:read"},
		Lifetime: 30 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	first := string(issued.Secret.Reveal())
	fmt.Println("printed:", issued.Secret)

	get := func(key string) {
		r, err := http.NewRequest("GET", server.URL+"/reports", nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("X-API-Key", key) // or Authorization: Bearer
		response, err := server.Client().Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		fmt.Println(response.StatusCode)
	}
	get(first)

	// Rotate it: both secrets are valid for an hour.
	issued, err = keys.Rotate(ctx, issued.Key.ID, time.Hour, issued.Key.Generation)
	if err != nil {
		log.Fatal(err)
	}
	get(first)
	get(string(issued.Secret.Reveal()))

	// The first secret was found in a public repository.
	if _, err := keys.RevokeLeaked(ctx, first); err != nil {
		log.Fatal(err)
	}
	get(first)
	get(string(issued.Secret.Reveal()))

	// Output:
	// printed: [redacted]
	// 200
	// 200
	// 200
	// 403
	// 403
}
