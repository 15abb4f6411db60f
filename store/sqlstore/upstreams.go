// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

// Upstreams is an [upstream.Store]. Every method is one statement, and the clock is
// that of the engine.
type Upstreams struct {
	store *Store
	sql   *upstreamSQL
}

var _ upstream.Store = (*Upstreams)(nil)

// Upstreams returns the store of the credentials of upstreams.
func (s *Store) Upstreams() *Upstreams {
	if s.dialect == SQLite {
		return &Upstreams{store: s, sql: &upstreamSQLite}
	}
	return &Upstreams{store: s, sql: &upstreamPostgres}
}

// upstreamSQL has the statements of one engine.
type upstreamSQL struct{ load, create, swap string }

var upstreamPostgres = upstreamSQL{
	load: `
SELECT coalesce(revision, 0), data, clock_timestamp()
FROM (VALUES ($1)) AS wanted (name) LEFT JOIN gatehouse_upstreams USING (name)`,
	create: `
INSERT INTO gatehouse_upstreams (name, revision, data) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING RETURNING 1`,
	swap: `
UPDATE gatehouse_upstreams SET revision = revision + 1, data = $2 WHERE name = $1 AND revision = $3 RETURNING 1`,
}

var upstreamSQLite = upstreamSQL{
	load: `
SELECT coalesce(revision, 0), data, ` + nowSQLite + `
FROM (SELECT ?1 AS name) LEFT JOIN gatehouse_upstreams USING (name)`,
	create: `
INSERT INTO gatehouse_upstreams (name, revision, data) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING RETURNING 1`,
	swap: `
UPDATE gatehouse_upstreams SET revision = revision + 1, data = ?2 WHERE name = ?1 AND revision = ?3 RETURNING 1`,
}

// Load implements [upstream.Store].
func (u *Upstreams) Load(ctx context.Context, name string) (record upstream.Record, err error) {
	scan := func(rows *sql.Rows) error {
		return rows.Scan(&record.Revision, &record.Data, instant{&record.AsOf})
	}
	if err := u.store.read(ctx, scan, u.sql.load, name); err != nil {
		return upstream.Record{}, fmt.Errorf("sqlstore: load upstream: %w", err)
	}
	return record, nil
}

// Swap implements [upstream.Store].
func (u *Upstreams) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	written := false
	row := func(*sql.Rows) error { written = true; return nil }
	if data == nil {
		data = []byte{}
	}
	query, args := u.sql.swap, []any{name, data, revision}
	if revision == 0 {
		query, args = u.sql.create, args[:2]
	}
	if err := u.store.write(ctx, row, query, args...); err != nil {
		return fmt.Errorf("sqlstore: swap upstream: %w", err)
	}
	if !written {
		return upstream.ErrConflict
	}
	return nil
}
