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
// numbered from 0 without gaps in the order of their commits. Each record has a seal over
// itself and the record before, see [audit.Sealer]. Triggers refuse UPDATE, DELETE,
// TRUNCATE and a number that is not the next one. [Store.Check] checks that the triggers
// exist.
//
// The owner of the table can remove the triggers: call Migrate as the owner, and give the
// role of the program only the rights to SELECT and INSERT. If the owner changes records,
// [audit.VerifyRecords] names the first changed one. To find records that were removed
// from the end, it needs a checkpoint that is kept elsewhere. Unlike an [audit.Log], the
// table has no proof for one record.
//
// All processes together append one record at a time, each with a commit. For an API
// with a high rate of requests, use an audit.Log in each process.
type Audit struct {
	store *Store
	seal  *audit.Sealer
}

var _ audit.Appender = (*Audit)(nil)

// Audit returns the table of audit records, for [audit.NewRecorder]. Without a sealer,
// Append returns an error.
func (s *Store) Audit(seal *audit.Sealer) *Audit { return &Audit{s, seal} }

// auditLock is the lock that the trigger of the table takes too: it is that of this
// table, not of its namesake in another schema.
const auditLock = `SELECT pg_advisory_xact_lock(1635083369, 'gatehouse_audit'::regclass::oid::integer)` // "audi"

// Append implements [audit.Appender]. It takes at most the timeout of the store.
func (a *Audit) Append(ctx context.Context, record []byte) error {
	if err := a.append(ctx, record); err != nil {
		return fmt.Errorf("sqlstore: append audit record: %w", err)
	}
	return nil
}

func (a *Audit) append(ctx context.Context, record []byte) error {
	if a.seal == nil {
		return errors.New("Store.Audit: sealer: required")
	}
	ctx, cancel := context.WithTimeout(ctx, a.store.timeout)
	defer cancel()
	release, err := a.store.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	conn, err := a.store.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return a.store.exclusive(ctx, conn, auditLock, func() error {
		seq, last := int64(-1), []byte(nil)
		err := conn.QueryRowContext(ctx, "SELECT seq, record FROM gatehouse_audit ORDER BY seq DESC LIMIT 1").Scan(&seq, &last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		sealed, err := a.seal.Seal(seq+1, last, record)
		if err != nil {
			return err
		}
		query := statement{dialect: a.store.dialect}
		query.add("INSERT INTO gatehouse_audit (seq, record) VALUES (?, ?)", seq+1, string(sealed))
		result, err := conn.ExecContext(ctx, query.text.String(), query.args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(errors.New("the database discarded it"), err)
		}
		return nil
	})
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
