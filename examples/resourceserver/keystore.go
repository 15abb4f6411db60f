// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// maxConnections bounds what one server takes of a database.
const maxConnections = 16

// keyStore is where API keys are kept, and what goes with it.
type keyStore struct {
	apikey.Store
	watcher apikey.Watcher              // tells of the changes of other processes; nil if there are none
	prepare func(context.Context) error // makes the tables and checks the settings
	close   func() error
}

// openKeyStore does not connect: a server whose engine is down starts, says 503
// to API keys, and recovers. No error holds anything of dsn, in which there may
// be a password.
func openKeyStore(driver, dsn string, logger *slog.Logger) (*keyStore, error) {
	if strings.HasPrefix(dsn, "env:") || strings.HasPrefix(dsn, "file:") {
		secret, err := gatehouse.LoadSecret(dsn, 1)
		if err != nil {
			return nil, err
		}
		dsn = string(secret.Reveal())
	}
	switch driver {
	case "memory":
		return &keyStore{
			Store:   apikey.NewMemory(0),
			prepare: func(context.Context) error { return nil },
			close:   func() error { return nil },
		}, nil
	case "sqlite":
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(strings.TrimPrefix(dsn, "sqlite:")))
		if err != nil {
			return nil, err
		}
		return newSQLKeyStore(db)
	case "postgres":
		config, err := pgx.ParseConfig(dsn)
		if scheme, _, ok := strings.Cut(dsn, "://"); err != nil || ok && scheme != "postgres" && scheme != "postgresql" {
			return nil, errors.New("not a connection string of PostgreSQL")
		}
		listener, err := pgnotify.New(pgnotify.Config{Conn: config})
		if err != nil {
			return nil, err
		}
		s, err := newSQLKeyStore(stdlib.OpenDB(*config))
		if err != nil {
			return nil, err
		}
		s.watcher = listener.APIKeys()
		return s, nil
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
		return &keyStore{Store: keys, watcher: keys, prepare: store.Check, close: client.Close}, nil
	}
	return nil, fmt.Errorf("no driver is called %q", driver)
}

// redisLog takes what the client would write to standard error in its own way.
type redisLog struct{ logger *slog.Logger }

func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.logger.Warn("redis", "problem", fmt.Sprintf(format, args...))
}

func newSQLKeyStore(db *sql.DB) (*keyStore, error) {
	db.SetMaxOpenConns(maxConnections)
	store, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		return nil, err
	}
	prepare := func(ctx context.Context) error {
		if store.Check(ctx) == nil {
			return nil // also where this server has no right to make tables
		}
		if err := store.Migrate(ctx); err != nil {
			return err
		}
		return store.Check(ctx)
	}
	return &keyStore{Store: store.APIKeys(), prepare: prepare, close: db.Close}, nil
}
