// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const defaultTimeout = 5 * time.Second

// Config configures a [Store].
type Config struct {
	// DB is the database. Required. It stays the application's: the store
	// never closes it and changes none of its settings.
	DB *sql.DB

	// Dialect is the engine behind DB. It may be left out for the drivers that
	// are named at [SQLite] and [Postgres].
	Dialect Dialect

	// Timeout bounds each call, beside the context that it is given: 5 s if
	// zero. An engine that hangs is then one that is down.
	Timeout time.Duration
}

// Store keeps what the rooms of Gatehouse keep, in one database. It is safe for
// concurrent use, by any number of processes.
type Store struct {
	db      *sql.DB
	dialect Dialect
	timeout time.Duration

	// SQLite has one writer at a time, and those who wait for it look again
	// and again. Within this process they queue up here instead. It is nil for
	// engines that do better.
	writer chan struct{}
}

// New makes a store. All mistakes in the configuration are reported at once. It
// does not call the database: [Store.Migrate] makes the tables.
func New(config Config) (*Store, error) {
	s := &Store{db: config.DB, dialect: config.Dialect, timeout: config.Timeout}
	var errs []error
	switch {
	case s.db == nil:
		errs = append(errs, errors.New("sqlstore: Config.DB: required"))
	case s.dialect == "":
		var err error
		if s.dialect, err = detect(s.db); err != nil {
			errs = append(errs, err)
		}
	}
	switch s.dialect {
	case SQLite:
		s.writer = make(chan struct{}, 1)
	case "", Postgres:
	default:
		errs = append(errs, fmt.Errorf("sqlstore: Config.Dialect: %q is none", s.dialect))
	}
	switch {
	case s.timeout < 0:
		errs = append(errs, errors.New("sqlstore: Config.Timeout: is negative"))
	case s.timeout == 0:
		s.timeout = defaultTimeout
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// read runs a query and hands each row to scan. It reads to the end: SQLite
// commits a write that returns rows at its end and not before.
func (s *Store) read(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

func drain(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// write is read for a statement that changes something.
func (s *Store) write(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.read(ctx, scan, query, args...)
}

// takeTurn waits until this process may write.
func (s *Store) takeTurn(ctx context.Context) (release func(), err error) {
	if s.writer == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.writer <- struct{}{}:
		return func() { <-s.writer }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
