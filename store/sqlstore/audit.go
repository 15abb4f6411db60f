// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/gatehouse-go/gatehouse/audit"
)

// Audit is an [audit.Appender]: the records of any number of processes in one table,
// numbered from 0 without gaps in the order of their commits. Triggers refuse UPDATE,
// DELETE, TRUNCATE and a number that is not the next one, and [Store.Check] checks that
// the triggers are there.
//
// The owner of the table can remove the triggers: call Migrate as the owner and give the
// role of the program only the rights to SELECT and INSERT. What the owner changes is
// found by [audit.VerifyRecords] with checkpoints that are kept elsewhere. Unlike an
// [audit.Log] the table has no hashes, so that a change is located only to the range
// between two checkpoints, no member mac, and no proof for one record.
//
// Processes append one record at a time, each with a commit: an API with a high rate
// uses an audit.Log for each process.
type Audit struct {
	store *Store
	sql   string
}

var _ audit.Appender = (*Audit)(nil)

// Audit returns the table of audit records, for [audit.NewRecorder].
func (s *Store) Audit() *Audit {
	if s.dialect == SQLite {
		return &Audit{s, appendAuditSQLite}
	}
	return &Audit{s, appendAuditPostgres}
}

// In PostgreSQL a trigger numbers the record.
const appendAuditPostgres = `INSERT INTO gatehouse_audit (record) VALUES ($1) RETURNING 1`

const appendAuditSQLite = `
INSERT INTO gatehouse_audit (seq, record)
SELECT n, '{"seq":' || n || ',' || substr(?1, 2) FROM (SELECT coalesce(max(seq) + 1, 0) AS n FROM gatehouse_audit)
RETURNING 1`

// Append implements [audit.Appender]. It takes at most the timeout of the store.
func (a *Audit) Append(ctx context.Context, record []byte) error {
	if len(record) < 2 || record[0] != '{' {
		return errors.New("sqlstore: append audit record: want a JSON object")
	}
	appended := false
	row := func(*sql.Rows) error { appended = true; return nil }
	err := a.store.write(ctx, row, a.sql, string(record))
	if err == nil && !appended {
		err = errors.New("the database discarded it")
	}
	if err != nil {
		return fmt.Errorf("sqlstore: append audit record: %w", err)
	}
	return nil
}

// auditPage is the number of records that one statement reads.
const auditPage = 1000

// Records returns all records, the first one first, for [audit.VerifyRecords] and
// [audit.SignRecords]. It ends after the first error.
func (a *Audit) Records(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		query := statement{dialect: a.store.dialect}
		query.add("SELECT seq, record FROM gatehouse_audit WHERE seq > ? ORDER BY seq LIMIT ?", int64(0), auditPage)
		for last, more := int64(-1), true; more; {
			var page [][]byte
			query.args[0] = last
			err := a.store.read(ctx, func(rows *sql.Rows) error {
				var record []byte
				err := rows.Scan(&last, &record)
				page = append(page, record)
				return err
			}, query.text.String(), query.args...)
			if err != nil {
				yield(nil, fmt.Errorf("sqlstore: read audit records: %w", err))
				return
			}
			for _, record := range page {
				if !yield(record, nil) {
					return
				}
			}
			more = len(page) == auditPage
		}
	}
}
