// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store"
)

// API keys in the database that the configuration of a service names.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example") // yours is one that stays, such as /var/lib/acme
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Setenv("DATABASE", filepath.Join(dir, "acme.db"))

	// snippet: open
	db, err := store.Open(store.Config{Driver: "sqlite", DSN: "env:DATABASE"}) // or postgres, redis, memory
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Start(ctx); err != nil {
		log.Fatal(err)
	}
	keys, err := apikey.New(apikey.Config{Store: db.APIKeys, Watcher: db.Watcher, Prefix: "acme", Scopes: []string{"reports:read"}})
	// end snippet
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{keys}, Realm: "acme"})
	if err != nil {
		log.Fatal(err)
	}
	api := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "hello, %s", p.Subject)
	}))

	issued, err := keys.Create(ctx, apikey.Request{
		Owner: "nightly-report", Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: 30 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/reports", http.NoBody)
	r.Header.Set("X-API-Key", string(issued.Secret.Reveal()))
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello, nightly-report
}
