// SPDX-License-Identifier: Apache-2.0

package pgnotify_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// API keys in PostgreSQL, with a cache from which revoked keys are deleted in all
// processes.
//
//nolint:testableexamples // TestExample runs it, with a server
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	url := os.Getenv("DATABASE_URL") // postgres://user:password@host/database
	// snippet: open
	db, err := sql.Open("pgx", url)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
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

	conn, err := pgx.ParseConfig(url)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := pgnotify.New(pgnotify.Config{Conn: conn})
	if err != nil {
		log.Fatal(err)
	}

	keys, err := apikey.New(apikey.Config{
		Store:    store.APIKeys(),
		Prefix:   "acme",
		Scopes:   []string{"reports:read"},
		CacheTTL: 2 * time.Second, // the limit if a notification is lost
		Watcher:  listener.APIKeys(),
		Observer: gatehouse.Log(slog.Default()), // also reports a Watcher that cannot listen
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = keys.Watch(ctx) }()
	// end snippet

	issued, err := keys.Create(ctx, apikey.Request{
		Owner: "ci", Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: 30 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	revoked, err := keys.Revoke(ctx, issued.Key.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(revoked.Owner, "revoked:", !revoked.Revoked.IsZero())
}
