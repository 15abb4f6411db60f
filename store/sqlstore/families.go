// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Families is a [jwtauth.FamilyStore]. Every method is one statement, which the
// engine carries out as a whole or not at all, and its clock is that of the
// engine. Each Create removes up to ten families whose time is over.
type Families struct {
	store *Store
	sql   *familySQL

	found prepared // the statement of Find
}

var _ jwtauth.FamilyStore = (*Families)(nil)

// Families returns the store of families of refresh tokens.
func (s *Store) Families() *Families {
	if s.dialect == SQLite {
		return &Families{store: s, sql: &familySQLite}
	}
	return &Families{store: s, sql: &familyPostgres}
}

// Create implements [jwtauth.FamilyStore].
func (f *Families) Create(ctx context.Context, r jwtauth.FamilyRecord, lifetime time.Duration) (jwtauth.FamilyRecord, error) {
	authTime := sql.NullInt64{Int64: r.AuthTime.UnixMicro(), Valid: !r.AuthTime.IsZero()}
	created, err := f.one(ctx, "create", f.sql.create,
		r.ID, r.Subject, r.Client, r.Tenant, r.Scopes.String(), r.Metadata.String(), authTime,
		lifetime.Microseconds(), r.Key[:], r.Current[:])
	return created.FamilyRecord, err
}

// Find implements [jwtauth.FamilyStore].
func (f *Families) Find(ctx context.Context, id string) (jwtauth.FamilyRecord, error) {
	var found []presented
	err := f.store.readPrepared(ctx, &f.found, collect(&found, scanFamily), f.sql.find, id)
	r, err := single(found, "find family", err, jwtauth.ErrFamilyNotFound)
	return r.FamilyRecord, err
}

// Rotate implements [jwtauth.FamilyStore].
func (f *Families) Rotate(ctx context.Context, id string, p jwtauth.Presentation) (jwtauth.FamilyRecord, jwtauth.FamilyOutcome, error) {
	r, err := f.one(ctx, "rotate", f.sql.rotate,
		id, p.Key[:], p.Secret[:], p.Client, p.Next[:], p.Successor, p.Grace.Microseconds())
	return r.FamilyRecord, r.outcome, err
}

// End implements [jwtauth.FamilyStore].
func (f *Families) End(ctx context.Context, id string) (jwtauth.FamilyRecord, error) {
	r, err := f.one(ctx, "end", f.sql.end, id)
	return r.FamilyRecord, err
}

// EndAll implements [jwtauth.FamilyStore].
func (f *Families) EndAll(ctx context.Context, filter jwtauth.FamilyFilter, limit int) ([]jwtauth.FamilyRecord, error) {
	if (filter == jwtauth.FamilyFilter{}) {
		return nil, ctx.Err()
	}
	query := f.endAllStatement(filter, limit)
	var ended []presented
	if err := f.store.write(ctx, collect(&ended, scanFamily), query.text.String(), query.args...); err != nil {
		return nil, fmt.Errorf("sqlstore: end all families: %w", err)
	}
	records := make([]jwtauth.FamilyRecord, len(ended))
	for i := range ended {
		records[i] = ended[i].FamilyRecord
	}
	return records, nil
}

func (f *Families) endAllStatement(filter jwtauth.FamilyFilter, limit int) *statement {
	query := &statement{dialect: f.store.dialect}
	query.add(f.sql.endAll)
	if filter.Subject != "" {
		query.add(" AND subject = ?", filter.Subject)
	}
	if filter.Client != "" {
		query.add(" AND client = ?", filter.Client)
	}
	query.add(f.sql.endAllLimit, limit)
	return query
}

// one runs a statement that changes one family and returns it.
func (f *Families) one(ctx context.Context, verb, query string, args ...any) (presented, error) {
	var changed []presented
	err := f.store.write(ctx, collect(&changed, scanFamily), query, args...)
	return single(changed, verb+" family", err, jwtauth.ErrFamilyNotFound)
}
