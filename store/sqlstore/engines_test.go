// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// open opens a database and closes it when the test ends.
func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db := must(sql.Open(driver, dsn))(t)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(24)
	db.SetMaxIdleConns(24) // the default of two makes a new connection for most calls
	return db
}

// newStore returns a store whose timeout only ends a test that hangs: on a busy machine
// a statement can take longer than the default.
func newStore(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	return withTimeout(t, db, time.Minute)
}

func withTimeout(t testing.TB, db *sql.DB, timeout time.Duration) *sqlstore.Store {
	t.Helper()
	return must(sqlstore.New(sqlstore.Config{DB: db, Timeout: timeout}))(t)
}

// eachEngine runs a test on every engine, without fsync. database returns the driver
// and data source name of an empty database, or of an empty schema of PostgreSQL,
// which is much cheaper to create. The tests of PostgreSQL are slow ones.
func eachEngine(t *testing.T, test func(t *testing.T, database func(testing.TB) (driver, dsn string))) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, func(t testing.TB) (string, string) {
			dsn := sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "gatehouse test?%.db"))
			return "sqlite", strings.Replace(dsn, "synchronous(FULL)", "synchronous(OFF)", 1)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		enginetest.Slow(t)
		url := enginetest.SharedPostgres(t).Database(t)
		db := open(t, "pgx", url)
		schemas := 0
		test(t, func(t testing.TB) (string, string) {
			schemas++
			name := fmt.Sprintf("schema%d", schemas)
			must(db.ExecContext(t.Context(), "CREATE SCHEMA "+name))(t)
			return "pgx", url + "&search_path=" + name
		})
	})
}

// migrated returns a store on a new database with its tables.
func migrated(t *testing.T, driver, dsn string) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db := open(t, driver, dsn)
	s := newStore(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, db
}

// eachStore runs a test on a new store of each engine.
func eachStore(t *testing.T, test func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB)) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		s, db := migrated(t, driver, dsn)
		test(t, driver, s, db)
	})
}

func execute(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// query returns the only value of a query.
func query[T any](t testing.TB, db *sql.DB, text string) (value T) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), text).Scan(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

// ago is the SQL of a time before now.
func ago(driver string, d time.Duration) string {
	if driver == "pgx" {
		return fmt.Sprintf("(now() - interval '%d microseconds')", d.Microseconds())
	}
	return fmt.Sprintf("(unixepoch() * 1000000 - %d)", d.Microseconds())
}

func wantError(t *testing.T, call string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: error = %v, want %q", call, err, want)
	}
}

func wantErrorNot(t *testing.T, call string, err error, not string) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), not) {
		t.Errorf("%s: error = %v, want none with %q", call, err, not)
	}
}

// wantUnsuitable checks for an error that names a reason not to use the database.
func wantUnsuitable(t *testing.T, call string, err error, want string) {
	t.Helper()
	wantError(t, call, err, want)
	if !errors.Is(err, sqlstore.ErrUnsuitable) {
		t.Errorf("%s: error = %v, want %v", call, err, sqlstore.ErrUnsuitable)
	}
}

// must returns a value, or fails the test.
func must[A any](value A, err error) func(testing.TB) A {
	return func(t testing.TB) A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
