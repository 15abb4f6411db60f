// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// API keys in one file, which all processes on this machine may share.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example") // yours is one that stays, such as /var/lib/acme
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	// snippet: open
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "keys.db")))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	if err := store.Check(ctx); err != nil {
		log.Fatal(err)
	}
	// end snippet

	keys, err := apikey.New(apikey.Config{Store: store.APIKeys(), Prefix: "acme", Scopes: []string{"reports:read"}})
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{keys}, Realm: "acme"})
	if err != nil {
		log.Fatal(err)
	}
	api := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Println("hello,", p.Subject)
	}))

	issued, err := keys.Create(ctx, apikey.Request{
		Owner: "ci", Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: 30 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	call := func() {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-API-Key", string(issued.Secret.Reveal()))
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	call()
	if _, err := keys.Revoke(ctx, issued.Key.ID); err != nil {
		log.Fatal(err)
	}
	call()
	// Output:
	// hello, ci
	// 200
	// 403
}
