// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
)

// prepared is a statement that is prepared when it is first needed, and stays
// as long as the database.
type prepared struct{ statement atomic.Pointer[sql.Stmt] }

// readPrepared is read for a question that is asked again and again. SQLite
// takes longer to read the statement than to carry it out.
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
			_ = statement.Close() //nolint:sqlclosecheck // somebody else was first
		}
	}
	rows, err := p.statement.Load().QueryContext(ctx, args...) //nolint:sqlclosecheck // it stays as long as the database
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

// collect returns a function that appends what scan makes of a row to records.
func collect[R any](records *[]R, scan func(*sql.Rows) (R, error)) func(*sql.Rows) error {
	return func(rows *sql.Rows) error {
		r, err := scan(rows)
		if err == nil {
			*records = append(*records, r)
		}
		return err
	}
}

// single returns the one record that a statement has yielded. Where there is
// none, the error is absent.
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
