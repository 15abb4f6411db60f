// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

const (
	ledgerClients = 32

	// Of what a call holds it uses less than half, and a chunk is enough for 100 calls.
	ledgerHold, ledgerUse, ledgerChunk = 1000, 400, 100_000
)

// ledgerResult is a ledger against the bare statement of its engine.
type ledgerResult struct {
	floor          string
	direct, leased result // operations per second
}

// ledgerRaces are the ledger on each engine against the least that adds to a counter.
func ledgerRaces(e engines, passes int, burst time.Duration) ([]ledgerResult, error) {
	var all []ledgerResult
	add := func(r ledgerResult, err error) error {
		all = append(all, r)
		return err
	}
	errs := []error{add(memoryLedger(passes, burst)), add(sqliteLedger(passes, burst))}
	if e.postgres != "" {
		errs = append(errs, add(postgresLedger(e.postgres, passes, burst)))
	}
	if e.redis != "" {
		errs = append(errs, add(redisLedger(e.redis, passes, burst)))
	}
	return all, errors.Join(errs...)
}

func memoryLedger(passes int, burst time.Duration) (ledgerResult, error) {
	var mu sync.Mutex
	counters := make(map[string]int64)
	bare := func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		counters["acme"]++
		return nil
	}
	return ledgerRace("memory", "map and mutex", bare, budget.NewMemory(10_000_000), passes, burst)
}

func redisLedger(address string, passes int, burst time.Duration) (r ledgerResult, err error) {
	err = withRedis(address, ledgerClients, func(client *redis.Client, store *redisstore.Store) (err error) {
		bare := func(ctx context.Context) error { return client.Incr(ctx, "bare:spent").Err() }
		r, err = ledgerRace("Redis", "INCR", bare, store.Budgets(), passes, burst)
		return err
	})
	return r, err
}

func postgresLedger(dsn string, passes int, burst time.Duration) (r ledgerResult, err error) {
	err = withPostgres(dsn, ledgerClients, func(db *sql.DB, store *sqlstore.Store) (err error) {
		r, err = sqlLedger("Postgres", db, store, passes, burst)
		return err
	})
	return r, err
}

func sqliteLedger(passes int, burst time.Duration) (r ledgerResult, err error) {
	err = withSQLite(func(db *sql.DB, store *sqlstore.Store) (err error) {
		r, err = sqlLedger("SQLite", db, store, passes, burst)
		return err
	})
	return r, err
}

func sqlLedger(name string, db *sql.DB, store *sqlstore.Store, passes int, burst time.Duration) (ledgerResult, error) {
	ctx := context.Background()
	if _, err := db.ExecContext(ctx, "CREATE TABLE bare_spent (account TEXT PRIMARY KEY, spent BIGINT NOT NULL)"); err != nil {
		return ledgerResult{}, err
	}
	defer func() { _, _ = db.ExecContext(ctx, "DROP TABLE bare_spent") }()
	bare := func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "INSERT INTO bare_spent VALUES ('acme', 1) ON CONFLICT (account) DO UPDATE SET spent = bare_spent.spent + 1")
		return err
	}
	return ledgerRace(name, "upsert of one row", bare, store.Budgets(), passes, burst)
}

// ledgerRace has all clients spend from one account. A unit of work is two operations of
// each client: two bare statements, or Reserve and Settle.
func ledgerRace(name, floor string, bare func(context.Context) error, store budget.Store, passes int, burst time.Duration) (ledgerResult, error) {
	ledger, err := budget.New(budget.Config{Store: store})
	if err != nil {
		return ledgerResult{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = ledger.Run(ctx) }) // which chunks need

	spending := func(account string, chunk int64) func(int) error {
		line := budget.Line{
			Account: budget.Account{Tenant: "acme", Per: "key", Name: account + rand.Text()},
			Window:  budget.Month(nil), Max: 1 << 50, Chunk: chunk,
		}
		return concurrently(ledgerClients, func() error {
			hold, err := ledger.Reserve(ctx, rand.Text(), budget.Charge{Line: line, Amount: ledgerHold})
			if err != nil {
				return err
			}
			return hold.Settle(ctx, ledgerUse)
		})
	}
	results, err := race([]contestant{
		{name: "floor", warm: 2, work: concurrently(ledgerClients, func() error { return errors.Join(bare(ctx), bare(ctx)) })},
		{name: name, warm: 2, work: spending("direct", 0)},
		{name: name, warm: 2, work: spending("leased", ledgerChunk)},
	}, passes, burst)
	if err != nil {
		return ledgerResult{}, fmt.Errorf("%s: %w", name, err)
	}
	return ledgerResult{floor, results[1].perSecond(), results[2].perSecond()}, nil
}

// ledgerTable has a row for each engine.
func ledgerTable(results []ledgerResult) string {
	var b strings.Builder
	b.WriteString("| ledger, one account, 32 clients | operations per second, over those of the bare statement (target 0.45) | with chunks (target 1) | the bare statement |\n|---|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.direct.name, r.direct.ratio(), r.leased.ratio(), r.floor)
	}
	return b.String()
}
