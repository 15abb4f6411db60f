// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func openMemory(db *DB, _ Config) error {
	db.APIKeys, db.Agents, db.Approvals, db.Budgets = apikey.NewMemory(0), agent.NewMemory(0), approval.NewMemory(0), budget.NewMemory(0)
	db.Families, db.Replays, db.Revocations, db.Sessions = refresh.NewMemory(0), dpop.NewMemory(0), revocation.NewMemory(0), session.NewMemory(0)
	db.prepare = func(context.Context) error { return nil }
	db.release = func() error { return nil }
	return nil
}

func openSQLite(db *DB, c Config) error {
	return db.openSQL(file(sqlstore.SQLiteDSN(c.DSN)), c)
}

// file connects to a database of SQLite.
type file string

func (f file) Driver() driver.Driver { return new(sqlite.Driver) }

func (f file) Connect(context.Context) (driver.Conn, error) { return f.Driver().Open(string(f)) }

func openPostgres(db *DB, c Config) error {
	config, err := pgx.ParseConfig(c.DSN)
	scheme, _, isURL := strings.Cut(c.DSN, "://")
	isURL = isURL && !strings.Contains(scheme, "=") // not a value of the form keyword=value
	if err != nil || isURL && scheme != "postgres" && scheme != "postgresql" {
		return errors.New("store: Config.DSN: not a PostgreSQL connection string")
	}
	listener, err := pgnotify.New(pgnotify.Config{Conn: config})
	if err != nil {
		return err
	}
	db.Watcher = listener.APIKeys()
	return db.openSQL(stdlib.GetConnector(*config), c)
}

func (db *DB) openSQL(connector driver.Connector, c Config) error {
	pool := sql.OpenDB(checked{connector, &db.ready})
	pool.SetMaxOpenConns(c.MaxConnections)
	pool.SetMaxIdleConns(c.MaxConnections)
	stores, err := sqlstore.New(sqlstore.Config{DB: pool})
	if err != nil {
		return err
	}
	db.APIKeys, db.Agents, db.Approvals, db.Budgets = stores.APIKeys(), stores.Agents(), stores.Approvals(), stores.Budgets()
	db.Families, db.Replays, db.Revocations, db.Sessions = stores.Families(), stores.Replays(), stores.Revocations(), stores.Sessions()
	db.Upstreams = stores.Upstreams()
	db.release = pool.Close
	db.prepare = func(ctx context.Context) error {
		pool := sql.OpenDB(connector)
		defer pool.Close()
		stores, err := sqlstore.New(sqlstore.Config{DB: pool, Timeout: attemptTimeout})
		if err != nil {
			return err
		}
		if err := stores.Migrate(ctx); err != nil {
			return err
		}
		return stores.Check(ctx)
	}
	return nil
}

// checked connects to a database that is ready.
type checked struct {
	driver.Connector
	ready *atomic.Bool
}

func (c checked) Connect(ctx context.Context) (driver.Conn, error) {
	if !c.ready.Load() {
		return nil, ErrNotReady
	}
	return c.Connector.Connect(ctx)
}

func openRedis(db *DB, c Config) error {
	options, err := redis.ParseURL(c.DSN)
	if err != nil {
		return errors.New("store: Config.DSN: not a Redis URL")
	}
	logging.Disable() // the callers of the stores get the errors
	options.ContextTimeoutEnabled = true
	options.PoolSize = c.MaxConnections
	client := redis.NewClient(options)
	client.AddHook(hook{&db.ready})
	stores, err := redisstore.New(redisstore.Config{Client: client, AllowUnreadableSettings: c.AllowUnreadableSettings})
	if err != nil {
		return err
	}
	keys := stores.APIKeys()
	db.Watcher = keys
	db.APIKeys, db.Agents, db.Approvals, db.Budgets = keys, stores.Agents(), stores.Approvals(), stores.Budgets()
	db.Families, db.Replays, db.Revocations, db.Sessions = stores.Families(), stores.Replays(), stores.Revocations(), stores.Sessions()
	db.Upstreams = stores.Upstreams()
	db.release = client.Close
	db.prepare = func(ctx context.Context) error { return stores.Check(context.WithValue(ctx, preparing{}, true)) }
	return nil
}

// hook lets the commands of a check through, and all others when the server is ready.
type hook struct{ ready *atomic.Bool }

// preparing is the key of the context of a check.
type preparing struct{}

func (h hook) refuses(ctx context.Context) bool {
	return !h.ready.Load() && ctx.Value(preparing{}) == nil
}

func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.refuses(ctx) {
			cmd.SetErr(ErrNotReady)
			return ErrNotReady
		}
		return next(ctx, cmd)
	}
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if h.refuses(ctx) {
			for _, cmd := range cmds {
				cmd.SetErr(ErrNotReady)
			}
			return ErrNotReady
		}
		return next(ctx, cmds)
	}
}
