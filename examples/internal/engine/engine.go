// SPDX-License-Identifier: Apache-2.0

// Package engine opens what the example apps keep their data in: memory, SQLite,
// PostgreSQL and Redis.
package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"modernc.org/sqlite" // the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// maxConnections bounds what one server takes of a database.
const maxConnections = 16

// Engine is where an app keeps its data.
type Engine struct {
	APIKeys  apikey.Store
	Watcher  apikey.Watcher // tells of the changes of other processes; nil if there are none
	Sessions session.Store

	driver  string
	prepare func(context.Context) error // nil if there is nothing to prepare
	release func() error                // nil if there is nothing to close

	stop context.CancelFunc
	work sync.WaitGroup
}

// Config is how a configuration file names an engine.
type Config struct {
	Driver string `json:"driver" example:"sqlite"` // memory, sqlite, postgres or redis
	DSN    string `json:"dsn" example:"keys.db"`   // where that is, or env:NAME or file:PATH; none for memory
}

// Open opens the engine. An error has the name of the field in front, and memory
// comes with it, so that the library can be asked for more mistakes; nobody may be
// served with that.
func (c Config) Open(logger *slog.Logger) (*Engine, error) {
	err := c.check()
	if err == nil {
		opened, failed := Open(c.Driver, c.DSN, logger)
		if failed == nil {
			return opened, nil
		}
		err = fmt.Errorf("dsn: %w", failed)
	}
	memory, _ := Open("memory", "", logger) // always succeeds
	return memory, err
}

func (c Config) check() error {
	switch c.Driver {
	case "memory":
		if c.DSN != "" {
			return errors.New("dsn: there is none for the driver memory")
		}
	case "sqlite", "postgres", "redis":
		if c.DSN == "" {
			return errors.New("dsn: required")
		}
	default:
		return fmt.Errorf(`driver: %q is none of "memory", "sqlite", "postgres" and "redis"`, c.Driver)
	}
	return nil
}

// Open does not connect: a server whose engine is down starts, answers with 503,
// and recovers. No error holds anything of dsn, in which there may
// be a password.
func Open(driver, dsn string, logger *slog.Logger) (*Engine, error) {
	if strings.HasPrefix(dsn, "env:") || strings.HasPrefix(dsn, "file:") {
		secret, err := gatehouse.LoadSecret(dsn, 1)
		if err != nil {
			return nil, err
		}
		dsn = string(secret.Reveal())
	}
	switch driver {
	case "memory":
		return &Engine{driver: driver, APIKeys: apikey.NewMemory(0), Sessions: session.NewMemory(0)}, nil
	case "sqlite":
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(strings.TrimPrefix(dsn, "sqlite:")))
		if err != nil {
			return nil, err
		}
		return newSQL(driver, db)
	case "postgres":
		config, err := pgx.ParseConfig(dsn)
		if scheme, _, ok := strings.Cut(dsn, "://"); err != nil || ok && scheme != "postgres" && scheme != "postgresql" {
			return nil, errors.New("not a connection string of PostgreSQL")
		}
		listener, err := pgnotify.New(pgnotify.Config{Conn: config})
		if err != nil {
			return nil, err
		}
		e, err := newSQL(driver, stdlib.OpenDB(*config))
		if err != nil {
			return nil, err
		}
		e.Watcher = listener.APIKeys()
		return e, nil
	case "redis":
		options, err := redis.ParseURL(dsn)
		if err != nil {
			return nil, errors.New("not a URL of Redis")
		}
		redis.SetLogger(redisLog{logger})
		options.ContextTimeoutEnabled = true
		options.PoolSize = maxConnections
		client := redis.NewClient(options)
		store, err := redisstore.New(redisstore.Config{Client: client})
		if err != nil {
			return nil, err
		}
		keys := store.APIKeys()
		return &Engine{
			driver: driver, APIKeys: keys, Watcher: keys, Sessions: store.Sessions(), prepare: store.Check, release: client.Close,
		}, nil
	}
	return nil, fmt.Errorf("no driver is called %q", driver)
}

// redisLog takes what the client would write to standard error in its own way.
type redisLog struct{ logger *slog.Logger }

func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.logger.Warn("redis", "problem", fmt.Sprintf(format, args...))
}

// explain says what SQLite means where it cannot open a file. It names none, and
// never makes a directory.
func explain(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqlite3.SQLITE_CANTOPEN {
		return fmt.Errorf("%w: does the directory exist?", err)
	}
	return err
}

func newSQL(driver string, db *sql.DB) (*Engine, error) {
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	store, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		return nil, err
	}
	prepare := func(ctx context.Context) error {
		if store.Check(ctx) == nil {
			return nil // also where this server has no right to make tables
		}
		if err := store.Migrate(ctx); err != nil {
			return explain(err)
		}
		return store.Check(ctx)
	}
	return &Engine{driver: driver, APIKeys: store.APIKeys(), Sessions: store.Sessions(), prepare: prepare, release: db.Close}, nil
}

// OpenURL opens a store that is given as one text: sqlite:PATH, postgres://…,
// redis://…, memory:, or env:NAME or file:PATH that holds one of these.
func OpenURL(url string, logger *slog.Logger) (*Engine, error) {
	if strings.HasPrefix(url, "env:") || strings.HasPrefix(url, "file:") {
		secret, err := gatehouse.LoadSecret(url, 1)
		if err != nil {
			return nil, err
		}
		url = string(secret.Reveal())
	}
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "memory":
		return Open("memory", "", logger)
	case "sqlite":
		if rest == "" {
			return nil, errors.New("sqlite: needs a path")
		}
		return Open("sqlite", rest, logger)
	case "postgres", "postgresql":
		return Open("postgres", url, logger)
	case "redis", "rediss":
		return Open("redis", url, logger)
	}
	return nil, errors.New("a store is given as sqlite:PATH, postgres://…, redis://…, env:NAME or file:PATH")
}
