// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Dialect is the engine behind a [sql.DB].
type Dialect string

// The dialects, and what they are tested with.
const (
	SQLite   Dialect = "sqlite"   // SQLite 3.42 or newer, with modernc.org/sqlite
	Postgres Dialect = "postgres" // PostgreSQL 15, with github.com/jackc/pgx/v5/stdlib
)

// drivers are the packages whose drivers are known by their type.
var drivers = map[string]Dialect{
	"modernc.org/sqlite":             SQLite,
	"github.com/jackc/pgx/v5/stdlib": Postgres,
}

// detect tells the dialect by the type of the driver. It asks nothing of the
// database.
func detect(db *sql.DB) (Dialect, error) {
	t := reflect.TypeOf(db.Driver())
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if dialect, ok := drivers[t.PkgPath()]; ok {
		return dialect, nil
	}
	return "", fmt.Errorf("sqlstore: Config.Dialect: required, since the driver %v says nothing of it", reflect.TypeOf(db.Driver()))
}

// statement is SQL under construction. Text is put together from constants
// only; values go beside it.
type statement struct {
	dialect Dialect
	text    strings.Builder
	args    []any
}

// add appends a constant in which each question mark stands for one value.
func (s *statement) add(text string, args ...any) {
	mark := byte('?')
	if s.dialect == Postgres {
		mark = '$'
	}
	first, rest, more := strings.Cut(text, "?")
	s.text.WriteString(first)
	for more {
		s.args = append(s.args, args[0])
		args = args[1:]
		s.text.WriteByte(mark)
		s.text.WriteString(strconv.Itoa(len(s.args)))
		first, rest, more = strings.Cut(rest, "?")
		s.text.WriteString(first)
	}
}
