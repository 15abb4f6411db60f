// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
)

// statement is an SQL statement under construction: text made of constants, and
// the values of its placeholders.
type statement struct {
	dialect Dialect
	text    strings.Builder
	args    []any
}

// add appends a constant text in which each question mark is the placeholder of
// one value.
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

// read runs a query and calls scan for each row. It reads all rows, because
// SQLite commits a write only when its last row has been read.
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
	return rows.Err() // Next has closed the rows after the last one
}

// write is like read, for a statement that changes rows.
func (s *Store) write(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.read(ctx, scan, query, args...)
}

// takeTurn waits until no other goroutine of this process writes to SQLite.
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

// prepared is a statement that is prepared on first use and lives as long as the
// database.
type prepared struct{ statement atomic.Pointer[sql.Stmt] }

// readPrepared is like read, for a frequent query, which SQLite would parse longer
// than run.
func (s *Store) readPrepared(ctx context.Context, p *prepared, scan func(*sql.Rows) error, query string, args ...any) error {
	if s.dialect != SQLite {
		return s.read(ctx, scan, query, args...) // pgx prepares by itself
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if p.statement.Load() == nil {
		statement, err := s.db.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		if !p.statement.CompareAndSwap(nil, statement) {
			_ = statement.Close() //nolint:sqlclosecheck // another goroutine was first
		}
	}
	rows, err := p.statement.Load().QueryContext(ctx, args...) //nolint:sqlclosecheck // it lives as long as the database
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

// collect returns a function that appends the record that scan reads of a row.
func collect[R any](records *[]R, scan func(*sql.Rows) (R, error)) func(*sql.Rows) error {
	return func(rows *sql.Rows) error {
		r, err := scan(rows)
		if err == nil {
			*records = append(*records, r)
		}
		return err
	}
}

// single returns the only record of a result, or the error absent if it has
// none.
func single[R any](records []R, what string, err, absent error) (R, error) {
	var none R
	switch {
	case err != nil:
		return none, fmt.Errorf("sqlstore: %s: %w", what, err)
	case len(records) == 0:
		return none, absent
	}
	return records[0], nil
}
