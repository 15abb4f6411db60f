// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// replayClients is how many requests use the store at the same time, as in a server.
const replayClients = 16

const replayLifetime = 71 * time.Second

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

func redisReplays(address string, passes int, burst time.Duration) (p pathResult, err error) {
	err = withRedis(address, replayClients, func(client *redis.Client, store *redisstore.Store) (err error) {
		bare := func(ctx context.Context, key [32]byte) error {
			return client.SetNX(ctx, "bare:"+hex.EncodeToString(key[:]), "", replayLifetime).Err()
		}
		p, err = replayRace("Redis", "SET NX PX", bare, store.Replays(), passes, burst)
		return err
	})
	return p, err
}

func postgresReplays(dsn string, passes int, burst time.Duration) (p pathResult, err error) {
	err = withPostgres(dsn, replayClients, func(db *sql.DB, store *sqlstore.Store) (err error) {
		p, err = sqlReplays("Postgres", db, store, "$1", "bytea", passes, burst)
		return err
	})
	return p, err
}

func sqliteReplays(passes int, burst time.Duration) (p pathResult, err error) {
	err = withSQLite(func(db *sql.DB, store *sqlstore.Store) (err error) {
		p, err = sqlReplays("SQLite", db, store, "?", "BLOB", passes, burst)
		return err
	})
	return p, err
}

func sqlReplays(name string, db *sql.DB, store *sqlstore.Store, parameter, blob string, passes int, burst time.Duration) (pathResult, error) {
	ctx := context.Background()
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
	inserting := func(insert func(context.Context, [32]byte) error) func(int) error {
		return concurrently(replayClients, func() error {
			var key [32]byte
			_, _ = rand.Read(key[:]) // never fails
			return insert(context.Background(), key)
		})
	}
	results, err := race([]contestant{
		{name: "floor", warm: 2, work: inserting(bare)},
		{name: name, warm: 2, work: inserting(func(ctx context.Context, key [32]byte) error {
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
	return pathResult{results[1].perSecond(), floor, ""}, nil
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
