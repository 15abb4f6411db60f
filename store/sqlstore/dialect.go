// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
)

// Dialect is the engine behind a [sql.DB].
type Dialect string

// The dialects, with the versions that the tests run.
const (
	SQLite   Dialect = "sqlite"   // SQLite 3.42 or newer, with modernc.org/sqlite
	Postgres Dialect = "postgres" // PostgreSQL 15, with github.com/jackc/pgx/v5/stdlib
)

// drivers maps the package of a driver's type to its dialect.
var drivers = map[string]Dialect{
	"modernc.org/sqlite":             SQLite,
	"github.com/jackc/pgx/v5/stdlib": Postgres,
}

// detect returns the dialect of the driver by its type. It does not query the
// database.
func detect(db *sql.DB) (Dialect, error) {
	t := reflect.TypeOf(db.Driver())
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if dialect, ok := drivers[t.PkgPath()]; ok {
		return dialect, nil
	}
	return "", fmt.Errorf("sqlstore: Config.Dialect: required: the driver %v is unknown", reflect.TypeOf(db.Driver()))
}

// SQLiteDSN returns the data source name with which [sql.Open] of
// modernc.org/sqlite opens the database file at path with the settings that
// [Store.Check] requires:
//
//	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN("keys.db"))
//
// SQLite creates the file if it does not exist, and two more files in the same
// directory, with the suffixes -wal and -shm. The file must be on a local disk:
// SQLite's locks do not work on most network file systems.
func SQLiteDSN(path string) string {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path // file:/C:/…
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
}
