// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// Sessions is a [session.Store]. Every method is one atomic statement that uses the
// clock of the engine. Each Create removes up to ten expired sessions. It finds an
// expired session from the next full hour on. Sessions is safe for concurrent use.
type Sessions struct {
	store *Store
	sql   *sessionSQL
	got   prepared // the statement of Get
}

var _ session.Store = (*Sessions)(nil)

// Sessions returns the store of sessions.
func (s *Store) Sessions() *Sessions {
	if s.dialect == SQLite {
		return &Sessions{store: s, sql: &sessionSQLite}
	}
	return &Sessions{store: s, sql: &sessionPostgres}
}

// Create implements [session.Store].
func (s *Sessions) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	return s.one(ctx, "create", session.ErrConflict, s.sql.create,
		r.ID, r.Issuer, r.Subject, r.SID, r.Label, r.Idle.Microseconds(), lifetime.Microseconds(), r.Principal, r.Tokens)
}

// Get implements [session.Store].
func (s *Sessions) Get(ctx context.Context, id string) (session.Record, error) {
	var records []session.Record
	err := s.store.readPrepared(ctx, &s.got, collect(&records, scanSession), s.sql.get, id)
	return single(records, "get session", err, session.ErrNotFound)
}

// Swap implements [session.Store].
func (s *Sessions) Swap(ctx context.Context, id string, version int64, c session.Change) (session.Record, error) {
	record, err := s.one(ctx, "swap", session.ErrConflict, s.sql.swap,
		id, version, c.ID, c.Principal, c.Tokens, c.Claim.Microseconds())
	switch {
	case isTaken(err): // by a concurrent statement
		return session.Record{}, session.ErrConflict
	case !errors.Is(err, session.ErrConflict):
		return record, err
	}
	if _, err := s.Get(ctx, id); err != nil {
		return session.Record{}, err
	}
	return session.Record{}, session.ErrConflict
}

// Touch implements [session.Store].
func (s *Sessions) Touch(ctx context.Context, id string, every time.Duration) (bool, error) {
	touched := false
	count := func(*sql.Rows) error { touched = true; return nil }
	if err := s.store.write(ctx, count, s.sql.touch, id, every.Microseconds()); err != nil {
		return false, fmt.Errorf("sqlstore: touch session: %w", err)
	}
	return touched, nil
}

// Delete implements [session.Store].
func (s *Sessions) Delete(ctx context.Context, id string) error {
	ignore := func(*sql.Rows) error { return nil }
	if err := s.store.write(ctx, ignore, s.sql.delete, id); err != nil {
		return fmt.Errorf("sqlstore: delete session: %w", err)
	}
	return nil
}

// DeleteAll implements [session.Store].
func (s *Sessions) DeleteAll(ctx context.Context, sel session.Selector) (int, error) {
	if sel.Subject == "" && sel.SID == "" {
		return 0, ctx.Err()
	}
	count := 0
	add := func(rows *sql.Rows) error {
		var valid bool
		err := rows.Scan(&valid)
		if valid {
			count++
		}
		return err
	}
	query := s.deleteAllStatement(sel)
	if err := s.store.write(ctx, add, query.text.String(), query.args...); err != nil {
		return 0, fmt.Errorf("sqlstore: delete all sessions: %w", err)
	}
	return count, nil
}

func (s *Sessions) deleteAllStatement(sel session.Selector) *statement {
	query := &statement{dialect: s.store.dialect}
	query.add(s.sql.deleteAll)
	query.selector(sel)
	query.add(s.sql.deleteAllReturning)
	return query
}

// List implements [session.Store].
func (s *Sessions) List(ctx context.Context, sel session.Selector, limit int) ([]session.Record, error) {
	if sel.Subject == "" && sel.SID == "" {
		return nil, ctx.Err()
	}
	var records []session.Record
	query := s.listStatement(sel, limit)
	if err := s.store.read(ctx, collect(&records, scanSession), query.text.String(), query.args...); err != nil {
		return nil, fmt.Errorf("sqlstore: list sessions: %w", err)
	}
	return records, nil
}

func (s *Sessions) listStatement(sel session.Selector, limit int) *statement {
	query := &statement{dialect: s.store.dialect}
	query.add(s.sql.list)
	query.selector(sel)
	query.add(s.sql.listOrder, max(limit, 0))
	return query
}

// selector adds the conditions of a selector with a Subject or a SID.
func (s *statement) selector(sel session.Selector) {
	s.add(" AND issuer = ?", sel.Issuer)
	if sel.Subject != "" {
		s.add(" AND subject = ?", sel.Subject)
	}
	if sel.SID != "" {
		s.add(" AND sid = ?", sel.SID)
	}
	if sel.Except != "" {
		s.add(" AND id <> ?", sel.Except)
	}
}

// one runs a statement that changes one record and returns it. If there is no such
// record, the error is the argument absent.
func (s *Sessions) one(ctx context.Context, verb string, absent error, query string, args ...any) (session.Record, error) {
	var records []session.Record
	err := s.store.write(ctx, collect(&records, scanSession), query, args...)
	return single(records, verb+" session", err, absent)
}

// isTaken reports whether a statement failed because an ID is taken: SQLSTATE
// 23505 is PostgreSQL's unique_violation.
func isTaken(err error) bool {
	violation, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && violation.SQLState() == "23505"
}

// scanSession reads a row of sessionColumns and the time of the engine. A malformed
// row is an error.
func scanSession(rows *sql.Rows) (session.Record, error) {
	var r session.Record
	var idle int64
	err := rows.Scan(&r.ID, &r.Issuer, &r.Subject, &r.SID, &r.Label, &idle,
		instant{&r.Created}, instant{&r.LastSeen}, instant{&r.Expires}, instant{&r.Claimed},
		&r.Version, &r.Principal, &r.Tokens, instant{&r.AsOf})
	if err != nil {
		return session.Record{}, err
	}
	r.Idle = time.Duration(idle) * time.Microsecond
	return r, nil
}
