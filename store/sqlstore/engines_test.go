// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// open opens a database and closes it when the test ends.
func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(24)
	db.SetMaxIdleConns(24) // the default of two makes a new connection for most calls
	return db
}

func newStore(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eachEngine runs a test on every engine. database returns the driver and data
// source name of an empty database, or of an empty schema of PostgreSQL, which is
// much cheaper to create.
func eachEngine(t *testing.T, test func(t *testing.T, database func(testing.TB) (driver, dsn string))) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, func(t testing.TB) (string, string) {
			return "sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "gatehouse test?%.db"))
		})
	})
	t.Run("postgres", func(t *testing.T) {
		url := enginetest.SharedPostgres(t).Database(t)
		db := open(t, "pgx", url)
		schemas := 0
		test(t, func(t testing.TB) (string, string) {
			schemas++
			name := fmt.Sprintf("schema%d", schemas)
			if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
				t.Fatal(err)
			}
			return "pgx", url + "&search_path=" + name
		})
	})
}
