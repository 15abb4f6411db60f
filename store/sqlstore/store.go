// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const defaultTimeout = 5 * time.Second

// Config configures a [Store].
type Config struct {
	// DB is the database. Required. The store never closes it and changes none
	// of its settings.
	DB *sql.DB

	// Dialect is the engine behind DB. Required for drivers other than those
	// named at [SQLite] and [Postgres].
	Dialect Dialect

	// Timeout bounds each call in addition to its context, so that an engine
	// that hangs is unavailable. 5 s if zero.
	Timeout time.Duration
}

// Store keeps the records of the packages of Gatehouse in one database. It is
// safe for concurrent use by any number of processes.
type Store struct {
	db      *sql.DB
	dialect Dialect
	timeout time.Duration

	// SQLite allows one writer at a time and polls while it waits. Within this
	// process writers queue here instead. Nil for other engines.
	writer chan struct{}

	budgets Budgets // whose queue all users of the store share
}

// New returns a store, or an error that names every invalid field. It does not
// call the database: [Store.Migrate] makes the tables.
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
		errs = append(errs, fmt.Errorf("sqlstore: Config.Dialect: %q: want sqlite or postgres", s.dialect))
	}
	switch {
	case s.timeout < 0:
		errs = append(errs, fmt.Errorf("sqlstore: Config.Timeout: %v: must not be negative", s.timeout))
	case s.timeout == 0:
		s.timeout = defaultTimeout
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.budgets.store = s
	s.budgets.init()
	return s, nil
}
