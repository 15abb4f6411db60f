// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
)

// Families is a [refresh.Store]. Every method is one atomic statement, and the
// clock is that of the engine. Each Create removes up to ten expired families.
type Families struct {
	store *Store
	sql   *familySQL

	find prepared
}

var _ refresh.Store = (*Families)(nil)

// Families returns the store of refresh token families.
func (s *Store) Families() *Families {
	if s.dialect == SQLite {
		return &Families{store: s, sql: &familySQLite}
	}
	return &Families{store: s, sql: &familyPostgres}
}

// Create implements [refresh.Store].
func (f *Families) Create(ctx context.Context, r refresh.Record, lifetime time.Duration) (refresh.Record, error) {
	authTime := sql.NullInt64{Int64: r.AuthTime.UnixMicro(), Valid: !r.AuthTime.IsZero()}
	created, err := f.one(ctx, "create", f.sql.create,
		r.ID, r.Subject, r.Client, r.Tenant, r.Scopes.String(), r.Metadata.String(), authTime,
		lifetime.Microseconds(), r.Key[:], r.Current[:])
	return created.Record, err
}

// Find implements [refresh.Store].
func (f *Families) Find(ctx context.Context, id string) (refresh.Record, error) {
	var found []presented
	err := f.store.readPrepared(ctx, &f.find, collect(&found, scanFamily), f.sql.find, id)
	r, err := single(found, "find family", err, refresh.ErrNotFound)
	return r.Record, err
}

// Rotate implements [refresh.Store].
func (f *Families) Rotate(ctx context.Context, id string, p refresh.Presentation) (refresh.Record, refresh.Outcome, error) {
	r, err := f.one(ctx, "rotate", f.sql.rotate,
		id, p.Key[:], p.Secret[:], p.Client, p.Next[:], p.Successor, p.Grace.Microseconds())
	return r.Record, r.outcome, err
}

// Revoke implements [refresh.Store].
func (f *Families) Revoke(ctx context.Context, id string) (refresh.Record, error) {
	r, err := f.one(ctx, "revoke", f.sql.revoke, id)
	return r.Record, err
}

// RevokeAll implements [refresh.Store].
func (f *Families) RevokeAll(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	if filter.Subject == "" && filter.Client == "" {
		return nil, ctx.Err()
	}
	return f.many(ctx, "revoke all", f.store.write, f.revokeAllStatement(filter, limit))
}

// List implements [refresh.Store].
func (f *Families) List(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	if filter.Subject == "" {
		return nil, ctx.Err()
	}
	return f.many(ctx, "list", f.store.read, f.listStatement(filter, limit))
}

func (f *Families) revokeAllStatement(filter refresh.Filter, limit int) *statement {
	query := &statement{dialect: f.store.dialect}
	query.add(f.sql.revokeAll)
	query.families(filter)
	query.add(f.sql.revokeAllLimit, max(limit, 0))
	return query
}

func (f *Families) listStatement(filter refresh.Filter, limit int) *statement {
	query := &statement{dialect: f.store.dialect}
	query.add(f.sql.list)
	query.families(filter)
	query.add(f.sql.listOrder, max(limit, 0))
	return query
}

// families adds the conditions of a filter.
func (s *statement) families(filter refresh.Filter) {
	if filter.Subject != "" {
		s.add(" AND subject = ?", filter.Subject)
	}
	if filter.Client != "" {
		s.add(" AND client = ?", filter.Client)
	}
	if filter.Except != "" {
		s.add(" AND id <> ?", filter.Except)
	}
}

// one runs a statement that changes one family and returns it.
func (f *Families) one(ctx context.Context, verb, query string, args ...any) (presented, error) {
	var changed []presented
	err := f.store.write(ctx, collect(&changed, scanFamily), query, args...)
	return single(changed, verb+" family", err, refresh.ErrNotFound)
}

// many runs a statement, with [Store].read or write, that returns families.
func (f *Families) many(ctx context.Context, verb string,
	run func(context.Context, func(*sql.Rows) error, string, ...any) error, query *statement,
) ([]refresh.Record, error) {
	var found []presented
	if err := run(ctx, collect(&found, scanFamily), query.text.String(), query.args...); err != nil {
		return nil, fmt.Errorf("sqlstore: %s families: %w", verb, err)
	}
	records := make([]refresh.Record, len(found))
	for i := range found {
		records[i] = found[i].Record
	}
	return records, nil
}
