// SPDX-License-Identifier: Apache-2.0

// Package store opens the database that the configuration of a service names: memory,
// SQLite, PostgreSQL or Redis.
//
// [Open] connects to nothing. [DB.Start] creates the tables and checks the settings of the
// database, and before it has succeeded each call of a store fails. So a service that
// starts before its database server answers 503, and one whose database could lose a
// revocation does not start.
//
// A program with this package has all drivers. Use package sqlstore or redisstore instead
// to have one of them, or for a cluster of Redis.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

const (
	defaultConnections = 16
	attemptTimeout     = 10 * time.Second
	attemptInterval    = 2 * time.Second
)

// Config names a database.
type Config struct {
	// Driver is "memory", "sqlite", "postgres" or "redis". Required. The records of
	// "memory" are lost when the process ends, and other processes do not see them.
	Driver string

	// DSN is the path of the file of SQLite, the connection string of PostgreSQL or the
	// URL of Redis, or "env:NAME" or "file:PATH" of what contains it. Required, except
	// for "memory", which has none.
	DSN string

	// MaxConnections bounds the connections of this process. 16 if zero.
	MaxConnections int

	// AllowUnreadableSettings lets Start accept a Redis server that forbids CONFIG GET: see
	// [redisstore.Config].
	AllowUnreadableSettings bool

	// Seed writes what the first request needs, such as the agents of a configuration.
	// [DB.Start] calls it after the check. Optional.
	Seed func(context.Context) error

	// Logger gets the reason if a server does not respond at the start, and the news
	// that it does. [slog.Default] if nil.
	Logger *slog.Logger
}

// DB has a store for each package, all in one database. The stores are safe for concurrent
// use.
type DB struct {
	APIKeys     apikey.Store
	Agents      agent.Store
	Approvals   approval.Store
	Budgets     budget.Store
	Families    refresh.Store
	Replays     dpop.ReplayStore
	Revocations revocation.Store
	Sessions    session.Store
	Upstreams   upstream.Store // nil for memory

	// Watcher reports the API keys that other processes change. Nil for memory, which no
	// other process has, and for SQLite, whose cached keys live for their CacheTTL.
	Watcher apikey.Watcher

	driver  string
	prepare func(context.Context) error // creates the tables and checks the settings
	release func() error
	seed    func(context.Context) error
	logger  *slog.Logger
	ready   atomic.Bool
	retries sync.WaitGroup
	stop    context.CancelFunc
}

// ErrNotReady is the error of all calls before the database has passed its check. Those of
// memory do not wait for one.
var ErrNotReady = errors.New("store: the database is not checked yet")

// Open returns the database, and connects to nothing. The error names the field. It does
// not contain the DSN, which may have a password.
func Open(c Config) (*DB, error) {
	if strings.HasPrefix(c.DSN, "env:") || strings.HasPrefix(c.DSN, "file:") {
		secret, err := gatehouse.LoadSecret(c.DSN, 1)
		if err != nil {
			return nil, fmt.Errorf("store: Config.DSN: %w", err)
		}
		c.DSN = string(secret.Reveal())
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = defaultConnections
	}
	open := map[string]func(*DB, Config) error{"memory": openMemory, "sqlite": openSQLite, "postgres": openPostgres, "redis": openRedis}[c.Driver]
	switch {
	case open == nil:
		return nil, fmt.Errorf(`store: Config.Driver: %q is none of "memory", "sqlite", "postgres" and "redis"`, c.Driver)
	case c.Driver == "memory" && c.DSN != "":
		return nil, errors.New("store: Config.DSN: the driver memory has none")
	case c.Driver != "memory" && c.DSN == "":
		return nil, errors.New("store: Config.DSN: required")
	case c.MaxConnections < 0:
		return nil, fmt.Errorf("store: Config.MaxConnections: %d: must not be negative", c.MaxConnections)
	}
	db := &DB{driver: c.Driver, seed: c.Seed, logger: cmp.Or(c.Logger, slog.Default()), stop: func() {}}
	if err := open(db, c); err != nil {
		return nil, err
	}
	return db, nil
}

// Start creates the tables that are missing and checks the settings of the database. It
// needs no right to create tables that exist. Call it once, before the first request. A
// change of the tables that takes longer than 10 s must be made before: see
// [sqlstore.Store.Migrate].
//
// Start returns an error if the service must not run: the database responds and is
// unsuitable, which errors.Is reports as [sqlstore.ErrUnsuitable] or
// [redisstore.ErrUnsuitable], the file of SQLite cannot be used, or Seed fails. If a
// server does not respond, Start returns nil after at most 10 s, logs the reason, and tries
// again every 2 s until it succeeds, ctx ends or Close is called.
func (db *DB) Start(ctx context.Context) error {
	ctx, db.stop = context.WithCancel(ctx)
	err := db.attempt(ctx)
	if err == nil || db.driver == "sqlite" || unsuitable(err) || db.ready.Load() {
		return err
	}
	db.retries.Go(func() {
		pause := time.NewTicker(attemptInterval)
		defer pause.Stop()
		for last := ""; err != nil; err = db.attempt(ctx) {
			if problem := err.Error(); problem != last {
				level := slog.LevelWarn
				if unsuitable(err) || db.ready.Load() {
					level = slog.LevelError
				}
				db.logger.Log(ctx, level, "store", "driver", db.driver, "problem", problem)
				last = problem
			}
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
		db.logger.Info("store ready", "driver", db.driver)
	})
	return nil
}

func (db *DB) attempt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if !db.ready.Load() {
		if err := db.prepare(ctx); err != nil {
			return err
		}
		db.ready.Store(true)
	}
	if db.seed != nil {
		return db.seed(ctx)
	}
	return nil
}

// unsuitable reports whether the database responds and must not be used as it is. The
// error has the setting.
func unsuitable(err error) bool {
	return errors.Is(err, sqlstore.ErrUnsuitable) || errors.Is(err, redisstore.ErrUnsuitable)
}

// Ready reports whether the database has passed its check.
func (db *DB) Ready() bool { return db.ready.Load() }

// Close ends the attempts of Start and closes the connections. Call it after Start has
// returned.
func (db *DB) Close() error {
	db.stop()
	db.retries.Wait()
	return db.release()
}
