// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

// APIKeys is an [apikey.Store]. Each method is one atomic statement. Its clock is
// that of the database. A trigger removes, with each new key, up to ten keys
// that expired longer ago than [apikey.Retention].
type APIKeys struct {
	store *Store
	sql   *apikeySQL

	found prepared // the statement of Find
}

var _ apikey.Store = (*APIKeys)(nil)

// APIKeys returns the store of API keys.
func (s *Store) APIKeys() *APIKeys {
	if s.dialect == SQLite {
		return &APIKeys{store: s, sql: &apikeySQLite}
	}
	return &APIKeys{store: s, sql: &apikeyPostgres}
}

// Create implements [apikey.Store].
func (a *APIKeys) Create(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	return a.one(ctx, "create", nil, a.sql.create,
		r.ID, r.Owner, r.Tenant, r.Environment, r.Scopes.String(), clientaddr.FormatList(r.Networks), r.Metadata.String(),
		r.Lifetime.Microseconds(), r.Current.Sum[:], int64(r.Current.Pepper))
}

// Find implements [apikey.Store].
func (a *APIKeys) Find(ctx context.Context, id string) (apikey.Record, error) {
	var records []apikey.Record
	err := a.store.readPrepared(ctx, &a.found, collect(&records, scanRecord), a.sql.find, id)
	return single(records, "find API key", err, apikey.ErrNotFound)
}

// Rotate implements [apikey.Store].
func (a *APIKeys) Rotate(ctx context.Context, id string, r apikey.Rotation) (apikey.Record, error) {
	record, err := a.one(ctx, "rotate", apikey.ErrConflict, a.sql.rotate,
		id, r.Current.Sum[:], int64(r.Current.Pepper), r.Grace.Microseconds(), r.MaxLifetime.Microseconds(), r.Generation)
	if !errors.Is(err, apikey.ErrConflict) {
		return record, err
	}
	if _, err := a.Find(ctx, id); err != nil {
		return apikey.Record{}, err
	}
	return apikey.Record{}, apikey.ErrConflict
}

// Revoke implements [apikey.Store].
func (a *APIKeys) Revoke(ctx context.Context, id string) (apikey.Record, error) {
	return a.one(ctx, "revoke", apikey.ErrNotFound, a.sql.revoke, id)
}

// RevokeAll implements [apikey.Store].
func (a *APIKeys) RevokeAll(ctx context.Context, f apikey.Filter, limit int) ([]apikey.Record, error) {
	query := a.revokeAllStatement(f, limit)
	var records []apikey.Record
	if err := a.store.write(ctx, collect(&records, scanRecord), query.text.String(), query.args...); err != nil {
		return nil, fmt.Errorf("sqlstore: revoke all API keys: %w", err)
	}
	return records, nil
}

func (a *APIKeys) revokeAllStatement(f apikey.Filter, limit int) *statement {
	query := &statement{dialect: a.store.dialect}
	query.add(a.sql.revokeAll)
	query.filter(f)
	query.add(a.sql.revokeAllLimit, limit)
	return query
}

// Suspend implements [apikey.Store].
func (a *APIKeys) Suspend(ctx context.Context, id string, on bool) (apikey.Record, error) {
	query := a.sql.resume
	if on {
		query = a.sql.suspend
	}
	return a.one(ctx, "suspend", apikey.ErrNotFound, query, id)
}

// Touch implements [apikey.Store].
func (a *APIKeys) Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error) {
	touched := false
	count := func(*sql.Rows) error { touched = true; return nil }
	if err := a.store.write(ctx, count, a.sql.touch, id, uses, every.Microseconds()); err != nil {
		return false, fmt.Errorf("sqlstore: touch API key: %w", err)
	}
	return touched, nil
}

// List implements [apikey.Store].
func (a *APIKeys) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	query := a.listStatement(q)
	var records []apikey.Record
	if err := a.store.read(ctx, collect(&records, scanRecord), query.text.String(), query.args...); err != nil {
		return nil, fmt.Errorf("sqlstore: list API keys: %w", err)
	}
	return records, nil
}

func (a *APIKeys) listStatement(q apikey.Query) *statement {
	query := &statement{dialect: a.store.dialect}
	query.add(a.sql.list)
	query.filter(q.Filter)
	after, order := a.sql.afterCreated, " ORDER BY created, id"
	if q.ExpiresWithin > 0 {
		query.add(a.sql.due, q.ExpiresWithin.Microseconds())
		after, order = a.sql.afterExpires, " ORDER BY expires, id"
	}
	if q.After != (apikey.Position{}) {
		query.add(after, q.After.Time.UnixMicro(), q.After.ID)
	}
	query.add(order)
	query.add(" LIMIT ?", q.Limit)
	return query
}

func (s *statement) filter(f apikey.Filter) {
	if !f.AnyTenant {
		s.add(" AND tenant = ?", f.Tenant)
	}
	if f.Owner != "" {
		s.add(" AND owner = ?", f.Owner)
	}
}

// one runs a statement that changes one record and returns it. If there is no such
// record, the error is the argument absent.
func (a *APIKeys) one(ctx context.Context, verb string, absent error, query string, args ...any) (apikey.Record, error) {
	var records []apikey.Record
	err := a.store.write(ctx, collect(&records, scanRecord), query, args...)
	return single(records, verb+" API key", err, absent)
}
