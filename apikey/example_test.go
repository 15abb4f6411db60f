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
	handler := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Println(p.Subject, "of", p.Tenant, "may", p.Scopes)
	}))

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
		r := httptest.NewRequest("GET", "/reports", nil)
		r.Header.Set("X-API-Key", key) // or Authorization: Bearer
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
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
	// nightly-job of initech may reports:read
	// 200
	// nightly-job of initech may reports:read
	// 200
	// nightly-job of initech may reports:read
	// 200
	// 403
	// 403
}
