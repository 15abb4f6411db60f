// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Revocations is a [jwtauth.RevocationStore]. Every method is one statement, and
// its clock is that of the engine. Each new revocation removes up to ten whose
// time is over.
type Revocations struct {
	store *Store
	sql   *revocationSQL

	found [5]prepared // the statement of Find, by the number of questions
}

var _ jwtauth.RevocationStore = (*Revocations)(nil)

// Revocations returns the store of revoked access tokens.
func (s *Store) Revocations() *Revocations {
	if s.dialect == SQLite {
		return &Revocations{store: s, sql: &revocationSQLite}
	}
	return &Revocations{store: s, sql: &revocationPostgres}
}

// revocationSQL is what one engine is told.
type revocationSQL struct{ revoke, find string }

// A revocation that is repeated while another one is under way may have read
// the clock before it.
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

// Revoke implements [jwtauth.RevocationStore].
func (r *Revocations) Revoke(ctx context.Context, what jwtauth.Revocation, lifetime time.Duration) error {
	none := func(*sql.Rows) error { return nil }
	if err := r.store.write(ctx, none, r.sql.revoke, what.Issuer, string(what.Kind), what.Value, lifetime.Microseconds()); err != nil {
		return fmt.Errorf("sqlstore: revoke: %w", err)
	}
	return nil
}

// Find implements [jwtauth.RevocationStore].
func (r *Revocations) Find(ctx context.Context, asked []jwtauth.Revocation) ([]time.Time, error) {
	times := make([]time.Time, len(asked))
	if len(asked) == 0 {
		return times, ctx.Err()
	}
	query := r.findStatement(asked)
	scan := func(rows *sql.Rows) error {
		var n int
		var at time.Time
		if err := rows.Scan(&n, instant{&at}); err != nil {
			return err
		}
		if n < 0 || n >= len(times) {
			return errors.New("an answer to no question")
		}
		times[n] = at
		return nil
	}
	var err error
	if len(asked) < len(r.found) {
		err = r.store.readPrepared(ctx, &r.found[len(asked)], scan, query.text.String(), query.args...)
	} else {
		err = r.store.read(ctx, scan, query.text.String(), query.args...)
	}
	if err != nil {
		return nil, fmt.Errorf("sqlstore: find revocations: %w", err)
	}
	return times, nil
}

// findStatement asks each question in a part of its own, with its number, so
// that each is answered from the primary key.
func (r *Revocations) findStatement(asked []jwtauth.Revocation) *statement {
	query := &statement{dialect: r.store.dialect}
	for n, what := range asked {
		if n > 0 {
			query.add(" UNION ALL ")
		}
		query.add(r.sql.find, n, what.Issuer, string(what.Kind), what.Value)
	}
	return query
}
