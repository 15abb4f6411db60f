// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ErrUnsuitable is wrapped by the error of [Store.Check] and [Store.Migrate] if the
// database responds but must not be used in its current state, such as with unsafe
// settings. Any other error means that the database is unavailable: try again later.
var ErrUnsuitable = errors.New("the database must not be used as it is")

// Check returns an error that wraps [ErrUnsuitable] if the database must not be used:
// tables with another version than that of this program, missing or disabled triggers, or
// engine settings that make changes fail or lose acknowledged changes. After such a loss
// a revoked key could be valid again. Check changes nothing. Call it at start and in a
// readiness probe.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlstore: check: %w", answered(err))
	}
	defer conn.Close()
	if err := errors.Join(s.checkSchema(ctx, conn), s.checkTriggers(ctx, conn), s.checkSettings(ctx, conn)); err != nil {
		return fmt.Errorf("sqlstore: check: %w", err)
	}
	return nil
}

func unsuitable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsuitable, fmt.Errorf(format, args...))
}

// answered wraps an error that the engine returned in [ErrUnsuitable]. It returns other
// errors, and errors that may not occur at the next attempt, unchanged.
func answered(err error) error {
	if state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		switch code := state.SQLState(); code[:min(2, len(code))] {
		case "08", "53", "57", "58": // connection, resources, operator, system
			return err
		}
		return unsuitable("%w", err)
	}
	return err
}

// noTables wraps the error for missing version tables in [ErrUnsuitable]. On SQLite, only
// a lock is a temporary error.
func (s *Store) noTables(err error) error {
	if s.dialect == SQLite && strings.Contains(err.Error(), "no such table") {
		return unsuitable("%w", err)
	}
	return answered(err)
}

// checkSchema compares the versions of the tables with those that this program knows.
func (s *Store) checkSchema(ctx context.Context, conn *sql.Conn) error {
	all, err := schemas(migrations, s.dialect)
	if err != nil {
		return err
	}
	for _, schema := range all {
		version, err := s.version(ctx, conn, schema.name)
		switch {
		case err != nil:
			return fmt.Errorf("the tables cannot be read: call Migrate first: %w", s.noTables(err))
		case version > len(schema.migrations):
			return schema.newer(version)
		case version < len(schema.migrations):
			return unsuitable("%s: the database is at version %d and this program needs %d: call Migrate",
				schema.name, version, len(schema.migrations))
		}
	}
	return nil
}

var triggerName = regexp.MustCompile(`(?m)^CREATE TRIGGER (\w+)`)

// checkTriggers checks that all triggers of the migrations exist and are enabled.
func (s *Store) checkTriggers(ctx context.Context, conn *sql.Conn) error {
	all, err := schemas(migrations, s.dialect)
	if err != nil {
		return err
	}
	query := "SELECT name FROM sqlite_master WHERE type = 'trigger'"
	if s.dialect == Postgres {
		query = `SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
			WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND pg_table_is_visible(c.oid)`
	}
	enabled := make(map[string]bool)
	rows, err := conn.QueryContext(ctx, query)
	if err == nil {
		err = drain(rows, func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			enabled[name] = true
			return err
		})
	}
	if err != nil {
		return answered(err)
	}
	var missing []string
	for _, schema := range all {
		for _, text := range schema.migrations {
			for _, match := range triggerName.FindAllStringSubmatch(text, -1) {
				if !enabled[match[1]] {
					missing = append(missing, match[1])
				}
			}
		}
	}
	if len(missing) > 0 {
		return unsuitable("triggers %s: missing or disabled: otherwise caches are not notified, old records stay, or audit records can be changed", strings.Join(missing, ", "))
	}
	return nil
}

// settings are the required settings of each engine, each as SQL that yields one
// text.
var settings = map[Dialect][]struct {
	name  string
	query string // "SHOW " or "PRAGMA " and the name if empty
	good  []string
	why   string
}{
	SQLite: {
		{"journal_mode", "", []string{"wal"}, "must be WAL: otherwise readers and the writer block each other"},
		{"synchronous", "", []string{"2", "3"}, "must be FULL: otherwise a power failure loses the last commits"},
		{"query_only", "", []string{"0"}, "must be off: otherwise every change fails"},
	},
	Postgres: {
		{"pg_is_in_recovery", "SELECT pg_is_in_recovery()::text", []string{"false"}, "must be false: a replica lags behind and rejects changes"},
		{"fsync", "", []string{"on"}, "must be on: otherwise a crash corrupts the database"},
		{"full_page_writes", "", []string{"on"}, "must be on: otherwise a crash may corrupt the database"},
		{"synchronous_commit", "", []string{"on", "local", "remote_write", "remote_apply"}, "must not be off: otherwise a crash loses the last commits"},
		{"server_encoding", "", []string{"UTF8"}, "must be UTF8: otherwise names are changed or rejected"},
		{"default_transaction_read_only", "", []string{"off"}, "must be off: otherwise every change fails"},
		{"default_transaction_isolation", "", []string{"read committed", "read uncommitted"}, "must be read committed: otherwise concurrent changes of one record fail"},
		{"session_replication_role", "", []string{"origin", "local"}, "must be origin: otherwise triggers do not run"},
		{
			"UNLOGGED tables", `SELECT coalesce(string_agg(relname, ', ' ORDER BY relname), 'none') FROM pg_class
				WHERE relkind = 'r' AND relname LIKE 'gatehouse\_%' AND relpersistence <> 'p' AND pg_table_is_visible(oid)`,
			[]string{"none"},
			"must be none: a crash empties them",
		},
		{
			"triggers of gatehouse_audit", `SELECT count(*)::text FROM pg_trigger WHERE tgrelid = to_regclass('gatehouse_audit') AND tgenabled = 'A'
				AND tgname IN ('gatehouse_audit_inserted', 'gatehouse_audit_changed')`,
			[]string{"2"},
			"must be 2 that are enabled always: otherwise audit records can be changed",
		},
	},
}

func (s *Store) checkSettings(ctx context.Context, conn *sql.Conn) error {
	var errs []error
	show := map[Dialect]string{SQLite: "PRAGMA ", Postgres: "SHOW "}[s.dialect]
	for _, setting := range settings[s.dialect] {
		query := cmp.Or(setting.query, show+setting.name)
		var value string
		if err := conn.QueryRowContext(ctx, query).Scan(&value); err != nil {
			return answered(err)
		}
		if !slices.Contains(setting.good, value) {
			errs = append(errs, unsuitable("%s is %s, which %s", setting.name, value, setting.why))
		}
	}
	if s.dialect == SQLite {
		var wait time.Duration
		if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&wait); err != nil {
			return err
		}
		if wait *= time.Millisecond; wait < time.Second {
			errs = append(errs, unsuitable("busy_timeout is %v, which must be at least 1s: otherwise processes that write at the same time fail", wait))
		}
		errs = append(errs, checkWritable(conn))
	}
	return errors.Join(errs...)
}

// checkWritable asks the driver whether the file is read-only, because no query reports
// it.
func checkWritable(conn *sql.Conn) error {
	return conn.Raw(func(c any) error {
		file, ok := c.(interface {
			IsReadOnly(schema string) (bool, error)
		})
		if !ok {
			return nil
		}
		readOnly, err := file.IsReadOnly("main")
		if readOnly {
			err = unsuitable("the database is read-only, which it must not be: otherwise every change fails: " +
				"remove mode=ro and immutable=1 from the data source name, and give the process the right to write the file")
		}
		return err
	})
}
