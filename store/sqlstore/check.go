// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Check reports what makes the database unfit for use: tables that are not at
// the version that this program knows, and settings of the engine that lose
// acknowledged changes, such as a revoked key that is valid again after a power
// failure. It changes nothing. Call it at start or in a readiness probe.
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
	all, err := schemas(migrations, s.dialect)
	if err != nil {
		return err
	}
	for _, schema := range all {
		version, err := s.version(ctx, conn, schema.name)
		switch {
		case err != nil:
			return fmt.Errorf("the tables cannot be read: call Migrate first: %w", err)
		case version > len(schema.migrations):
			return schema.newer(version)
		case version < len(schema.migrations):
			return fmt.Errorf("%s: the database is at version %d and this program needs %d: call Migrate",
				schema.name, version, len(schema.migrations))
		}
	}
	return nil
}

// settings are the required settings of each engine, each as SQL that yields one
// text.
var settings = map[Dialect][]struct {
	query string
	good  []string
	why   string
}{
	SQLite: {
		{"PRAGMA journal_mode", []string{"wal"}, "must be WAL: otherwise readers and the writer block each other"},
		{"PRAGMA synchronous", []string{"2", "3"}, "must be FULL: otherwise a power failure loses the last commits"},
		{`SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'gatehouse_audit'
			AND name IN ('gatehouse_audit_inserted', 'gatehouse_audit_updated', 'gatehouse_audit_deleted')`, []string{"3"}, "must be 3: otherwise audit records can be changed"},
	},
	Postgres: {
		{"SELECT pg_is_in_recovery()::text", []string{"false"}, "must be false: a replica lags behind and rejects changes"},
		{"SHOW fsync", []string{"on"}, "must be on: otherwise a crash corrupts the database"},
		{"SHOW full_page_writes", []string{"on"}, "must be on: otherwise a crash may corrupt the database"},
		{"SHOW synchronous_commit", []string{"on", "local", "remote_write", "remote_apply"}, "must not be off: otherwise a crash loses the last commits"},
		{"SHOW server_encoding", []string{"UTF8"}, "must be UTF8: otherwise names are changed or rejected"},
		{`SELECT count(*)::text FROM pg_trigger WHERE tgrelid = to_regclass('gatehouse_audit') AND tgenabled = 'A'
			AND tgname IN ('gatehouse_audit_inserted', 'gatehouse_audit_changed')`, []string{"2"}, "must be 2: otherwise audit records can be changed"},
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
			errs = append(errs, fmt.Errorf("PRAGMA busy_timeout is %v, which must be at least 1s: otherwise processes that write at the same time fail", wait))
		}
	}
	return errors.Join(errs...)
}
