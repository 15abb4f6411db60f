// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// engines are the addresses of the engines of stores. An empty one is left out.
type engines struct{ redis, postgres string }

// engineTimeout is longer than all clients wait for a disk.
const engineTimeout = 30 * time.Second

// withRedis calls f with a store on a Redis server.
func withRedis(address string, clients int, f func(*redis.Client, *redisstore.Store) error) error {
	options, err := redis.ParseURL(address)
	if err != nil {
		return err
	}
	options.ContextTimeoutEnabled = true
	options.PoolSize = clients
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	store, err := redisstore.New(redisstore.Config{Client: client, Timeout: engineTimeout})
	if err != nil {
		return err
	}
	return f(client, store)
}

// withPostgres calls f with a store in a Postgres database.
func withPostgres(dsn string, clients int, f func(*sql.DB, *sqlstore.Store) error) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	return withSQL(stdlib.OpenDB(*config), sqlstore.Postgres, clients, f)
}

// withSQLite calls f with a store in a new file. SQLite has one writer, and other
// connections would poll.
func withSQLite(f func(*sql.DB, *sqlstore.Store) error) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "bench.db")))
	if err != nil {
		return err
	}
	return withSQL(db, sqlstore.SQLite, 1, f)
}

func withSQL(db *sql.DB, dialect sqlstore.Dialect, connections int, f func(*sql.DB, *sqlstore.Store) error) error {
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	store, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: dialect, Timeout: engineTimeout})
	if err != nil {
		return err
	}
	if err := store.Migrate(context.Background()); err != nil {
		return err
	}
	return f(db, store)
}

// concurrently returns work that clients do at the same time, each once.
func concurrently(clients int, work func() error) func(int) error {
	return func(int) error {
		errs := make([]error, clients)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() { errs[i] = work() })
		}
		group.Wait()
		return errors.Join(errs...)
	}
}
