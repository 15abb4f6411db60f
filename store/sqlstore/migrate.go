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
	"strings"
	"time"
)

// Each package numbers its own migrations, from 0001 without gaps, in
// migrations/DIALECT/PACKAGE/NNNN_name.sql. A released migration never changes.
//
//go:embed migrations
var migrations embed.FS

// migrationLock takes the PostgreSQL advisory lock that Migrate holds: "gatehous" in ASCII.
const migrationLock = `SELECT pg_advisory_xact_lock(x'67617465686f7573'::bigint)`

const createMigrations = `
CREATE TABLE IF NOT EXISTS gatehouse_migrations (
    package TEXT      NOT NULL,
    version INTEGER   NOT NULL,
    applied TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (package, version)
)`

// schema is the migrations of one package. The first one makes version 1.
type schema struct {
	name       string
	migrations []string
}

// newer is the error for a database at a version that this program does not know.
func (s schema) newer(version int) error {
	return unsuitable("%s: the database is at version %d and this program knows versions up to %d: use a newer program",
		s.name, version, len(s.migrations))
}

// schemas reads the migrations of a dialect.
func schemas(files fs.FS, dialect Dialect) ([]schema, error) {
	base := path.Join("migrations", string(dialect))
	directories, err := fs.ReadDir(files, base)
	if err != nil {
		return nil, err
	}
	var all []schema
	for _, directory := range directories {
		s := schema{name: directory.Name()}
		names, err := fs.ReadDir(files, path.Join(base, s.name))
		if err != nil {
			return nil, err
		}
		for i, name := range names {
			var number int
			if _, err := fmt.Sscanf(name.Name(), "%04d_", &number); err != nil || number != i+1 {
				return nil, fmt.Errorf("migration %s/%s: want number %d", s.name, name.Name(), i+1)
			}
			text, err := fs.ReadFile(files, path.Join(base, s.name, name.Name()))
			if err != nil {
				return nil, err
			}
			s.migrations = append(s.migrations, string(text))
		}
		all = append(all, s)
	}
	return all, nil
}

// Migrate updates the tables to the versions of this program. It makes all changes or
// none, in one transaction, and several processes can call it at once. It refuses a
// database with a newer version, without a change. Its error names the unsafe settings
// that [Store.Check] finds, and wraps [ErrUnsuitable] if the database responds. If there
// is nothing to change, it needs only the right to read gatehouse_migrations.
//
// Config.Timeout bounds each of its statements, and the wait for another process that
// migrates: to migrate large tables, use a Store with a longer Timeout.
//
// All tables are named gatehouse_… and are in the first schema of PostgreSQL's
// search path. Only Migrate needs the right to create them.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.migrate(ctx, migrations); err != nil {
		return fmt.Errorf("sqlstore: migrate: %w", err)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context, files fs.FS) error {
	all, err := schemas(files, s.dialect)
	if err != nil {
		return err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.current(ctx, conn, all) {
		return nil
	}
	err = s.exclusive(ctx, conn, migrationLock, func() error {
		if err := s.execute(ctx, conn, createMigrations); err != nil {
			return err
		}
		for _, schema := range all {
			version, err := s.version(ctx, conn, schema.name)
			if err != nil {
				return err
			}
			if version > len(schema.migrations) {
				return schema.newer(version)
			}
			for version < len(schema.migrations) {
				version++
				if err := s.apply(ctx, conn, schema, version); err != nil {
					return fmt.Errorf("%s, version %d: %w", schema.name, version, err)
				}
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if reason := s.checkSettings(within, conn); errors.Is(reason, ErrUnsuitable) {
		return errors.Join(err, reason)
	}
	return answered(err)
}

// current reports whether there is nothing to migrate.
func (s *Store) current(ctx context.Context, conn *sql.Conn, all []schema) bool {
	for _, schema := range all {
		if version, err := s.version(ctx, conn, schema.name); err != nil || version != len(schema.migrations) {
			return false
		}
	}
	return true
}

// execute runs a statement within the timeout of the store.
func (s *Store) execute(ctx context.Context, conn *sql.Conn, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err := conn.ExecContext(ctx, query, args...)
	return err
}

// connect opens a connection. If two processes switch a new SQLite file to WAL at
// the same time, SQLite fails with SQLITE_BUSY for one of them without waiting for
// the busy_timeout, so connect tries again until the timeout of the store.
func (s *Store) connect(ctx context.Context) (*sql.Conn, error) {
	retry, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for {
		conn, err := s.db.Conn(retry)
		if err == nil || s.dialect != SQLite || !strings.Contains(err.Error(), "database is locked") {
			return conn, answered(err)
		}
		wait := time.NewTimer(10 * time.Millisecond)
		select {
		case <-wait.C:
		case <-retry.Done():
			wait.Stop()
			return nil, err
		}
	}
}

func (s *Store) version(ctx context.Context, conn *sql.Conn, name string) (version int, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	query := statement{dialect: s.dialect}
	query.add("SELECT coalesce(max(version), 0) FROM gatehouse_migrations WHERE package = ?", name)
	err = conn.QueryRowContext(ctx, query.text.String(), query.args...).Scan(&version)
	return version, err
}

func (s *Store) apply(ctx context.Context, conn *sql.Conn, schema schema, version int) error {
	if err := s.execute(ctx, conn, schema.migrations[version-1]); err != nil {
		return err
	}
	query := statement{dialect: s.dialect}
	query.add("INSERT INTO gatehouse_migrations (package, version) VALUES (?, ?)", schema.name, version)
	return s.execute(ctx, conn, query.text.String(), query.args...)
}

// exclusive runs f in a transaction that excludes other processes: all that write to
// SQLite, and on PostgreSQL those that take the same lock, a statement. The statements of
// f see what the others have committed.
func (s *Store) exclusive(ctx context.Context, conn *sql.Conn, lock string, f func() error) error {
	begin := "BEGIN ISOLATION LEVEL READ COMMITTED"
	if s.dialect == SQLite {
		begin = "BEGIN IMMEDIATE" // a read lock could not be upgraded by two processes
	}
	if err := s.execute(ctx, conn, begin); err != nil {
		return err
	}
	committed := false
	defer func() { // also after a panic
		if committed {
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		if _, failed := conn.ExecContext(end, "ROLLBACK"); failed != nil {
			// A connection inside a transaction must not return to the pool.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	if s.dialect == Postgres {
		if err := s.execute(ctx, conn, lock); err != nil {
			return err
		}
	}
	if err := f(); err != nil {
		return err
	}
	err := s.execute(ctx, conn, "COMMIT")
	committed = err == nil
	return err
}
