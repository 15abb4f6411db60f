// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"
)

// Each room numbers its own migrations: migrations/DIALECT/ROOM/NNNN_name.sql,
// beginning with 0001 and without gaps. One that has been released is never
// changed again.
//
//go:embed migrations
var migrations embed.FS

// migrationLock is the number of the PostgreSQL advisory lock that whoever
// migrates holds: "gatehous" in ASCII.
const migrationLock = 0x6761_7465_686f_7573

const createMigrations = `
CREATE TABLE IF NOT EXISTS gatehouse_migrations (
    room    TEXT      NOT NULL,
    version INTEGER   NOT NULL,
    applied TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (room, version)
)`

// room is the name of a room and the texts of its migrations, the first of
// which makes version 1.
type room struct {
	name  string
	steps []string
}

// rooms reads the migrations of a dialect.
func rooms(files fs.FS, dialect Dialect) ([]room, error) {
	base := path.Join("migrations", string(dialect))
	dirs, err := fs.ReadDir(files, base)
	if err != nil {
		return nil, err
	}
	var all []room
	for _, dir := range dirs {
		r := room{name: dir.Name()}
		names, err := fs.ReadDir(files, path.Join(base, r.name))
		if err != nil {
			return nil, err
		}
		for i, name := range names {
			var number int
			if _, err := fmt.Sscanf(name.Name(), "%04d_", &number); err != nil || number != i+1 {
				return nil, fmt.Errorf("migration %s/%s: is not number %d", r.name, name.Name(), i+1)
			}
			text, err := fs.ReadFile(files, path.Join(base, r.name, name.Name()))
			if err != nil {
				return nil, err
			}
			r.steps = append(r.steps, string(text))
		}
		all = append(all, r)
	}
	return all, nil
}

// Migrate brings the tables to the version that this program knows, in one
// transaction: it makes all of its changes or none. Any number of processes
// may call it at once; one of them does the work. A database at a newer version
// than the program knows is an error, and nothing is changed.
//
// All tables are named gatehouse_…, in the schema that comes first in the search
// path of PostgreSQL. It needs the right to create them there; nothing else
// does.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.migrate(ctx, migrations); err != nil {
		return fmt.Errorf("sqlstore: migrate: %w", err)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context, files fs.FS) error {
	all, err := rooms(files, s.dialect)
	if err != nil {
		return err
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return s.alone(ctx, conn, func() error {
		if _, err := conn.ExecContext(ctx, createMigrations); err != nil {
			return err
		}
		for _, r := range all {
			version, err := s.version(ctx, conn, r.name)
			if err != nil {
				return err
			}
			if version > len(r.steps) {
				return newer(r, version)
			}
			for i := version; i < len(r.steps); i++ {
				if err := s.step(ctx, conn, r, i); err != nil {
					return fmt.Errorf("%s, version %d: %w", r.name, i+1, err)
				}
			}
		}
		return nil
	})
}

func newer(r room, version int) error {
	return fmt.Errorf("%s: the database is at version %d and this program knows versions up to %d: use a newer one", r.name, version, len(r.steps))
}

func (s *Store) version(ctx context.Context, conn *sql.Conn, name string) (version int, err error) {
	query := statement{dialect: s.dialect}
	query.add("SELECT coalesce(max(version), 0) FROM gatehouse_migrations WHERE room = ?", name)
	err = conn.QueryRowContext(ctx, query.text.String(), query.args...).Scan(&version)
	return version, err
}

func (s *Store) step(ctx context.Context, conn *sql.Conn, r room, i int) error {
	if _, err := conn.ExecContext(ctx, r.steps[i]); err != nil {
		return err
	}
	query := statement{dialect: s.dialect}
	query.add("INSERT INTO gatehouse_migrations (room, version) VALUES (?, ?)", r.name, i+1)
	_, err := conn.ExecContext(ctx, query.text.String(), query.args...)
	return err
}

// alone runs f in a transaction, while no other process runs one of these.
func (s *Store) alone(ctx context.Context, conn *sql.Conn, f func() error) (err error) {
	begin := "BEGIN"
	if s.dialect == SQLite {
		begin = "BEGIN IMMEDIATE" // or two that have read could not both write
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		if _, failed := conn.ExecContext(end, "ROLLBACK"); failed != nil {
			// A connection inside a transaction must not go back to the pool.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	if s.dialect == Postgres {
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
	}
	if err := f(); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

// Check says what stands in the way of using the database: tables that are not
// at the version that this program knows, and settings of the engine under
// which it would lose changes that it has acknowledged. A revoked key that
// comes back after a power cut is such a loss. It changes nothing. Call it at
// the start, or where readiness is asked for.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlstore: check: %w", err)
	}
	defer conn.Close()
	if err := errors.Join(s.checkSchema(ctx, conn), s.checkSettings(ctx, conn)); err != nil {
		return fmt.Errorf("sqlstore: check: %w", err)
	}
	return nil
}

func (s *Store) checkSchema(ctx context.Context, conn *sql.Conn) error {
	all, err := rooms(migrations, s.dialect)
	if err != nil {
		return err
	}
	for _, r := range all {
		version, err := s.version(ctx, conn, r.name)
		switch {
		case err != nil:
			return fmt.Errorf("the tables cannot be read; has Migrate been called? %w", err)
		case version > len(r.steps):
			return newer(r, version)
		case version < len(r.steps):
			return fmt.Errorf("%s: the database is at version %d and this program needs %d: call Migrate", r.name, version, len(r.steps))
		}
	}
	return nil
}

// settings are what an engine must be set to, as SQL that yields one text.
var settings = map[Dialect][]struct {
	query string
	good  []string
	why   string
}{
	SQLite: {
		{"PRAGMA journal_mode", []string{"wal"}, "must be WAL: readers and the writer do not block each other then"},
		{"PRAGMA synchronous", []string{"2", "3"}, "must be FULL: the last commits before a power cut are lost otherwise"},
	},
	Postgres: {
		{"SELECT pg_is_in_recovery()::text", []string{"false"}, "must be false: a replica lags behind and refuses changes"},
		{"SHOW fsync", []string{"on"}, "must be on: a crash corrupts the database otherwise"},
		{"SHOW full_page_writes", []string{"on"}, "must be on: a crash may corrupt the database otherwise"},
		{"SHOW synchronous_commit", []string{"on", "local", "remote_write", "remote_apply"}, "must not be off: the last commits before a crash are lost otherwise"},
		{"SHOW server_encoding", []string{"UTF8"}, "must be UTF8: names would be changed or refused otherwise"},
	},
}

func (s *Store) checkSettings(ctx context.Context, conn *sql.Conn) error {
	var errs []error
	for _, setting := range settings[s.dialect] {
		var value string
		if err := conn.QueryRowContext(ctx, setting.query).Scan(&value); err != nil {
			return err
		}
		if !slices.Contains(setting.good, value) {
			errs = append(errs, fmt.Errorf("%s is %s, which %s", setting.query, value, setting.why))
		}
	}
	if s.dialect == SQLite {
		var wait time.Duration
		if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&wait); err != nil {
			return err
		}
		if wait *= time.Millisecond; wait < time.Second {
			errs = append(errs, fmt.Errorf("PRAGMA busy_timeout is %v, which must be at least 1s: processes that share the file must wait for each other", wait))
		}
	}
	return errors.Join(errs...)
}
