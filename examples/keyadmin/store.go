// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// store keeps the API keys.
type store struct {
	keys    apikey.Store
	prepare func(context.Context) error // creates the tables and checks the settings
	close   func() error
}

// openStore opens a store and does not connect to it. A database of SQLite must exist
// unless create is true: a misspelt path would be an empty store. No error contains the
// URL, which may contain a password.
func openStore(url string, create bool) (*store, error) {
	if strings.HasPrefix(url, "env:") || strings.HasPrefix(url, "file:") {
		secret, err := gatehouse.LoadSecret(url, 1)
		if err != nil {
			return nil, err
		}
		url = string(secret.Reveal())
	}
	scheme, path, _ := strings.Cut(url, ":")
	switch scheme {
	case "":
		return nil, errors.New("required")
	case "sqlite":
		if path == "" {
			return nil, errors.New("sqlite: path required")
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("sqlite: %s: the directory does not exist", path)
		}
		if _, err := os.Stat(path); err != nil && !create {
			return nil, fmt.Errorf("sqlite: %s: no such database; create and copy -to make one", path)
		}
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(path))
		if err != nil {
			return nil, err
		}
		return newSQLStore(db)
	case "postgres", "postgresql":
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return nil, errors.New("not a PostgreSQL connection string")
		}
		return newSQLStore(stdlib.OpenDB(*config))
	case "redis", "rediss":
		options, err := redis.ParseURL(url)
		if err != nil {
			return nil, errors.New("not a Redis URL")
		}
		logging.Disable() // this program prints the errors
		options.ContextTimeoutEnabled = true
		client := redis.NewClient(options)
		backend, err := redisstore.New(redisstore.Config{Client: client})
		if err != nil {
			return nil, err
		}
		return &store{keys: backend.APIKeys(), prepare: backend.Check, close: client.Close}, nil
	}
	return nil, errors.New("want sqlite:PATH, postgres://…, redis://…, env:NAME or file:PATH")
}

func newSQLStore(db *sql.DB) (*store, error) {
	backend, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		return nil, err
	}
	prepare := func(ctx context.Context) error {
		if err := backend.Migrate(ctx); err != nil { // needs no right to create tables that exist
			return err
		}
		return backend.Check(ctx)
	}
	return &store{keys: backend.APIKeys(), prepare: prepare, close: db.Close}, nil
}
