// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// maxConnections bounds the connections of one server to a database.
const maxConnections = 16

// store keeps the sessions. A copy of this app needs one of the drivers.
type store struct {
	driver   string
	sessions session.Store
	prepare  func(context.Context) error // creates the tables and checks the settings
	release  func() error
	retry    sync.WaitGroup
	ready    atomic.Bool // prepare has succeeded
}

// openStore opens a store and does not connect to it. No error contains the dsn,
// which may contain a password.
func openStore(driver, dsn string) (*store, error) {
	if strings.HasPrefix(dsn, "env:") || strings.HasPrefix(dsn, "file:") {
		secret, err := gatehouse.LoadSecret(dsn, 1)
		if err != nil {
			return nil, fmt.Errorf("dsn: %w", err)
		}
		dsn = string(secret.Reveal())
	}
	switch {
	case driver == "memory" && dsn != "":
		return nil, errors.New("dsn: the driver memory has none")
	case driver == "memory":
		none := func() error { return nil }
		return &store{driver: driver, sessions: session.NewMemory(0), prepare: func(context.Context) error { return nil }, release: none}, nil
	case driver != "sqlite" && driver != "postgres" && driver != "redis":
		return nil, fmt.Errorf(`driver: %q is none of "memory", "sqlite", "postgres" and "redis"`, driver)
	case dsn == "":
		return nil, errors.New("dsn: required")
	case driver == "sqlite":
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(dsn))
		if err != nil {
			return nil, fmt.Errorf("dsn: %w", err)
		}
		return newSQLStore(driver, db)
	case driver == "postgres":
		config, err := pgx.ParseConfig(dsn)
		if scheme, _, ok := strings.Cut(dsn, "://"); err != nil || ok && scheme != "postgres" && scheme != "postgresql" {
			return nil, errors.New("dsn: not a PostgreSQL connection string")
		}
		return newSQLStore(driver, stdlib.OpenDB(*config))
	}
	options, err := redis.ParseURL(dsn)
	if err != nil {
		return nil, errors.New("dsn: not a Redis URL")
	}
	logging.Disable() // the errors are in the log of the gate
	options.ContextTimeoutEnabled = true
	options.PoolSize = maxConnections
	client := redis.NewClient(options)
	backend, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		return nil, err
	}
	return &store{driver: driver, sessions: backend.Sessions(), prepare: backend.Check, release: client.Close}, nil
}

func newSQLStore(driver string, db *sql.DB) (*store, error) {
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
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
	return &store{driver: driver, sessions: backend.Sessions(), prepare: prepare, release: db.Close}, nil
}

// start prepares the store. It returns an error if the database must not be used in its
// current state. If a database server is down, start returns nil and retries until ctx
// ends. Until the check succeeds, the response to requests that need the store is 503.
func (s *store) start(ctx context.Context, logger *slog.Logger) error {
	attempt := func() error {
		ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
		defer cancel()
		err := s.prepare(ctx)
		s.ready.Store(err == nil)
		return err
	}
	err := attempt()
	if err == nil || s.driver == "sqlite" || unsuitable(err) {
		return err
	}
	s.retry.Go(func() {
		pause := time.NewTicker(2 * time.Second)
		defer pause.Stop()
		for last := ""; err != nil; err = attempt() {
			if problem := err.Error(); problem != last {
				level := slog.LevelWarn
				if unsuitable(err) {
					level = slog.LevelError
				}
				logger.Log(ctx, level, "store", "driver", s.driver, "problem", problem)
				last = problem
			}
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
		logger.Info("store ready", "driver", s.driver)
	})
	return nil
}

// unsuitable reports whether the database responds but must not be used in its current
// state. err names the setting.
func unsuitable(err error) bool {
	return errors.Is(err, sqlstore.ErrUnsuitable) || errors.Is(err, redisstore.ErrUnsuitable)
}

var errUnprepared = errors.New("the store is not prepared")

// checkedSessions are the sessions of a store that is ready.
type checkedSessions struct {
	session.Store
	store *store
}

func (s *store) checkedSessions() session.Store {
	if s.driver == "memory" {
		return s.sessions
	}
	return checkedSessions{s.sessions, s}
}

func (c checkedSessions) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	if !c.store.ready.Load() {
		return session.Record{}, errUnprepared
	}
	return c.Store.Create(ctx, r, lifetime)
}

func (c checkedSessions) Get(ctx context.Context, id string) (session.Record, error) {
	if !c.store.ready.Load() {
		return session.Record{}, errUnprepared
	}
	return c.Store.Get(ctx, id)
}

func (c checkedSessions) DeleteAll(ctx context.Context, selector session.Selector) (int, error) {
	if !c.store.ready.Load() {
		return 0, errUnprepared
	}
	return c.Store.DeleteAll(ctx, selector)
}

// close waits for start, whose context has ended, and closes the connections.
func (s *store) close() error {
	s.retry.Wait()
	return s.release()
}
