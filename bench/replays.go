// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// replayClients is how many requests use the store at the same time, as in a server.
const replayClients = 16

const replayLifetime = 71 * time.Second

// engines are the addresses of the engines of stores. An empty one is left out.
type engines struct{ redis, postgres string }

// replayRaces are the stores of used proofs against the least that their engines can
// do: the operations per second of the store over those of the bare statement.
func replayRaces(e engines, passes int, burst time.Duration) ([]pathResult, error) {
	paths := []path{sqliteReplays}
	if e.redis != "" {
		paths = append(paths, func(passes int, burst time.Duration) (pathResult, error) { return redisReplays(e.redis, passes, burst) })
	}
	if e.postgres != "" {
		paths = append(paths, func(passes int, burst time.Duration) (pathResult, error) {
			return postgresReplays(e.postgres, passes, burst)
		})
	}
	return races(paths, passes, burst)
}

func redisReplays(address string, passes int, burst time.Duration) (pathResult, error) {
	options, err := redis.ParseURL(address)
	if err != nil {
		return pathResult{}, err
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	store, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		return pathResult{}, err
	}
	bare := func(ctx context.Context, key [32]byte) error {
		return client.SetNX(ctx, "bare:"+hex.EncodeToString(key[:]), "", replayLifetime).Err()
	}
	return replayRace("Redis", "SET NX PX", bare, store.Replays(), passes, burst)
}

func postgresReplays(dsn string, passes int, burst time.Duration) (pathResult, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return pathResult{}, err
	}
	return sqlReplays("Postgres", stdlib.OpenDB(*config), sqlstore.Postgres, "$1", "bytea", passes, burst)
}

func sqliteReplays(passes int, burst time.Duration) (pathResult, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return pathResult{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "bench.db")))
	if err != nil {
		return pathResult{}, err
	}
	return sqlReplays("SQLite", db, sqlstore.SQLite, "?", "BLOB", passes, burst)
}

// sqlReplays closes the database.
func sqlReplays(name string, db *sql.DB, dialect sqlstore.Dialect, parameter, blob string, passes int, burst time.Duration) (pathResult, error) {
	defer func() { _ = db.Close() }()
	connections := replayClients
	if dialect == sqlstore.SQLite {
		connections = 1 // it has one writer, and others would poll
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	ctx := context.Background()
	store, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: dialect})
	if err != nil {
		return pathResult{}, err
	}
	if err := store.Migrate(ctx); err != nil {
		return pathResult{}, err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE bare (key "+blob+" PRIMARY KEY)"); err != nil {
		return pathResult{}, err
	}
	defer func() { _, _ = db.ExecContext(ctx, "DROP TABLE bare") }()
	bare := func(ctx context.Context, key [32]byte) error {
		_, err := db.ExecContext(ctx, "INSERT INTO bare VALUES ("+parameter+")", key[:])
		return err
	}
	return replayRace(name, "INSERT of the key", bare, store.Replays(), passes, burst)
}

// replayRace has all clients insert new keys.
func replayRace(name, floor string, bare func(context.Context, [32]byte) error, store dpop.ReplayStore, passes int, burst time.Duration) (pathResult, error) {
	concurrently := func(insert func(context.Context, [32]byte) error) func(int) error {
		return func(int) error {
			errs := make([]error, replayClients)
			var group sync.WaitGroup
			for i := range errs {
				group.Go(func() {
					var key [32]byte
					_, _ = rand.Read(key[:]) // never fails
					errs[i] = insert(context.Background(), key)
				})
			}
			group.Wait()
			return errors.Join(errs...)
		}
	}
	results, err := race([]contestant{
		{name: "floor", warm: 2, work: concurrently(bare)},
		{name: name, warm: 2, work: concurrently(func(ctx context.Context, key [32]byte) error {
			inserted, err := store.Insert(ctx, key, replayLifetime)
			if err == nil && !inserted {
				err = errors.New("a new key was not inserted")
			}
			return err
		})},
	}, passes, burst)
	if err != nil {
		return pathResult{}, fmt.Errorf("%s: %w", name, err)
	}
	r := results[1]
	r.median, r.low, r.high = 1/r.median, 1/r.high, 1/r.low // operations per second
	return pathResult{r, floor, ""}, nil
}

// replayTable has a row for each engine.
func replayTable(results []pathResult) string {
	var b strings.Builder
	b.WriteString("| store of used proofs | operations per second, over those of the bare statement | the bare statement |\n|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, r.ratio(), r.floor)
	}
	return b.String()
}
