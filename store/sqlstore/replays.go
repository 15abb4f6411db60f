// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
)

// Replays is a [dpop.ReplayStore]. Insert is one statement, and the clock is that of
// the engine. One call in 16, on average, removes up to 64 expired keys.
type Replays struct {
	store *Store
	sql   string
}

var _ dpop.ReplayStore = (*Replays)(nil)

// Replays returns the store of used proofs.
func (s *Store) Replays() *Replays {
	if s.dialect == SQLite {
		return &Replays{store: s, sql: insertReplaySQLite}
	}
	return &Replays{store: s, sql: insertReplayPostgres}
}

// Of two concurrent calls the second one waits for the first, and then sees its
// expiry.
const insertReplayPostgres = `
INSERT INTO gatehouse_replays AS old (key, expires)
VALUES ($1, clock_timestamp() + $2::bigint * interval '1 microsecond')
ON CONFLICT (key) DO UPDATE SET expires = excluded.expires WHERE old.expires <= clock_timestamp()
RETURNING 1`

const insertReplaySQLite = `
INSERT INTO gatehouse_replays AS old (key, expires) VALUES (?1, ` + nowSQLite + ` + ?2)
ON CONFLICT (key) DO UPDATE SET expires = excluded.expires WHERE old.expires <= ` + nowSQLite + `
RETURNING 1`

// Insert implements [dpop.ReplayStore].
func (r *Replays) Insert(ctx context.Context, key [32]byte, lifetime time.Duration) (inserted bool, err error) {
	row := func(*sql.Rows) error { inserted = true; return nil }
	if err := r.store.write(ctx, row, r.sql, key[:], lifetime.Microseconds()); err != nil {
		return false, fmt.Errorf("sqlstore: insert replay: %w", err)
	}
	return inserted, nil
}
