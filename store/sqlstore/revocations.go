// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/revocation"
)

// Revocations is a [revocation.Store]. Every method is one statement, and the
// clock is that of the engine. Each new revocation removes up to ten expired ones.
type Revocations struct {
	store *Store
	sql   *revocationSQL

	find [5]prepared // statements of Find, by number of targets
}

var _ revocation.Store = (*Revocations)(nil)

// Revocations returns the store of revoked access tokens.
func (s *Store) Revocations() *Revocations {
	if s.dialect == SQLite {
		return &Revocations{store: s, sql: &revocationSQLite}
	}
	return &Revocations{store: s, sql: &revocationPostgres}
}

// revocationSQL has the statements of one engine.
type revocationSQL struct{ revoke, find string }

// The later of two times is kept: of two concurrent calls, the one that writes last
// may have read the clock first.
var revocationPostgres = revocationSQL{
	revoke: `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
INSERT INTO gatehouse_revocations AS old (issuer, kind, value, revoked, expires)
SELECT $1, $2, $3, now, now + $4::bigint * interval '1 microsecond' FROM clock
ON CONFLICT (issuer, kind, value) DO UPDATE SET
	revoked = greatest(old.revoked, excluded.revoked), expires = greatest(old.expires, excluded.expires)`,
	find: `SELECT CAST(? AS bigint), revoked FROM gatehouse_revocations
WHERE issuer = ? AND kind = ? AND value = ? AND expires > clock_timestamp()`,
}

var revocationSQLite = revocationSQL{
	revoke: `
INSERT INTO gatehouse_revocations (issuer, kind, value, revoked, expires)
VALUES (?1, ?2, ?3, ` + nowSQLite + `, ` + nowSQLite + ` + ?4)
ON CONFLICT (issuer, kind, value) DO UPDATE SET
	revoked = max(revoked, excluded.revoked), expires = max(expires, excluded.expires)`,
	find: `SELECT CAST(? AS bigint), revoked FROM gatehouse_revocations
WHERE issuer = ? AND kind = ? AND value = ? AND expires > ` + nowSQLite,
}

// Revoke implements [revocation.Store].
func (r *Revocations) Revoke(ctx context.Context, target revocation.Target, lifetime time.Duration) error {
	none := func(*sql.Rows) error { return nil }
	if err := r.store.write(ctx, none, r.sql.revoke, target.Issuer, string(target.Kind), target.Value, lifetime.Microseconds()); err != nil {
		return fmt.Errorf("sqlstore: revoke: %w", err)
	}
	return nil
}

// Find implements [revocation.Store].
func (r *Revocations) Find(ctx context.Context, targets []revocation.Target) ([]time.Time, error) {
	times := make([]time.Time, len(targets))
	if len(targets) == 0 {
		return times, ctx.Err()
	}
	query := r.findStatement(targets)
	scan := func(rows *sql.Rows) error {
		var n int
		var at time.Time
		if err := rows.Scan(&n, instant{&at}); err != nil {
			return err
		}
		if n < 0 || n >= len(times) {
			return errors.New("a result for an unknown target")
		}
		times[n] = at
		return nil
	}
	var err error
	if len(targets) < len(r.find) {
		err = r.store.readPrepared(ctx, &r.find[len(targets)], scan, query.text.String(), query.args...)
	} else {
		err = r.store.read(ctx, scan, query.text.String(), query.args...)
	}
	if err != nil {
		return nil, fmt.Errorf("sqlstore: find revocations: %w", err)
	}
	return times, nil
}

// findStatement has one SELECT for each target, with its index, so that each one
// uses the primary key.
func (r *Revocations) findStatement(targets []revocation.Target) *statement {
	query := &statement{dialect: r.store.dialect}
	for n, target := range targets {
		if n > 0 {
			query.add(" UNION ALL ")
		}
		query.add(r.sql.find, n, target.Issuer, string(target.Kind), target.Value)
	}
	return query
}
