// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse/agent"
)

// Agents is an [agent.Store]. Every method is one atomic statement that uses the clock
// of the engine; if Register fails, a second statement reads the reason. Agents is safe
// for concurrent use.
type Agents struct {
	store *Store
	sql   *agentSQL
	found prepared // the statement of Find
}

var _ agent.Store = (*Agents)(nil)

// Agents returns the store of agents.
func (s *Store) Agents() *Agents {
	if s.dialect == SQLite {
		return &Agents{store: s, sql: &agentSQLite}
	}
	return &Agents{store: s, sql: &agentPostgres}
}

// agentSQL has the statements of one engine.
type agentSQL struct{ register, find, decommission, list string }

const agentColumns = ` id, tenant, details, generation, created, changed, decommissioned`

// A change waits for the lock on the row before it reads the clock: its expressions
// are evaluated on the locked row.
var agentPostgres = agentSQL{
	register: `
INSERT INTO gatehouse_agents AS old (id, tenant, details, generation, created, changed)
SELECT $1, $2, $3, 1, now, now FROM (SELECT clock_timestamp() AS now) AS clock
ON CONFLICT (id) DO UPDATE SET
	details = excluded.details,
	generation = old.generation + (old.details <> excluded.details)::int,
	changed = CASE WHEN old.details <> excluded.details THEN clock_timestamp() ELSE old.changed END
WHERE old.tenant = excluded.tenant AND old.decommissioned IS NULL
RETURNING` + agentColumns,
	find: `SELECT` + agentColumns + ` FROM gatehouse_agents WHERE id = $1`,
	decommission: `
WITH locked AS MATERIALIZED (SELECT id FROM gatehouse_agents WHERE id = $2 AND tenant = $1 FOR UPDATE),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM locked)
UPDATE gatehouse_agents SET
	generation = generation + (decommissioned IS NULL)::int,
	changed = CASE WHEN decommissioned IS NULL THEN (SELECT now FROM clock) ELSE changed END,
	decommissioned = coalesce(decommissioned, (SELECT now FROM clock))
WHERE id = $2 AND tenant = $1 AND EXISTS (SELECT FROM clock)
RETURNING` + agentColumns,
	list: `SELECT` + agentColumns + ` FROM gatehouse_agents WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3`,
}

var agentSQLite = agentSQL{
	register: `
INSERT INTO gatehouse_agents AS old (id, tenant, details, generation, created, changed)
VALUES (?1, ?2, ?3, 1, ` + nowSQLite + `, ` + nowSQLite + `)
ON CONFLICT (id) DO UPDATE SET
	details = excluded.details,
	generation = old.generation + (old.details <> excluded.details),
	changed = CASE WHEN old.details <> excluded.details THEN excluded.changed ELSE old.changed END
WHERE old.tenant = excluded.tenant AND old.decommissioned IS NULL
RETURNING` + agentColumns,
	find: `SELECT` + agentColumns + ` FROM gatehouse_agents WHERE id = ?1`,
	decommission: `
UPDATE gatehouse_agents SET
	generation = generation + (decommissioned IS NULL),
	changed = CASE WHEN decommissioned IS NULL THEN ` + nowSQLite + ` ELSE changed END,
	decommissioned = coalesce(decommissioned, ` + nowSQLite + `)
WHERE id = ?2 AND tenant = ?1
RETURNING` + agentColumns,
	list: `SELECT` + agentColumns + ` FROM gatehouse_agents WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3`,
}

// Register implements [agent.Store].
func (a *Agents) Register(ctx context.Context, id, tenant string, details []byte) (agent.Record, error) {
	var records []agent.Record
	err := a.store.write(ctx, collect(&records, scanAgent), a.sql.register, id, tenant, details)
	if err != nil || len(records) == 1 {
		return single(records, "register agent", err, errors.New("no result"))
	}
	old, err := a.Find(ctx, id)
	switch {
	case err != nil:
		return agent.Record{}, fmt.Errorf("sqlstore: register agent: %w", err)
	case old.Tenant != tenant:
		return agent.Record{}, agent.ErrConflict
	}
	return agent.Record{}, agent.ErrDecommissioned
}

// Find implements [agent.Store].
func (a *Agents) Find(ctx context.Context, id string) (agent.Record, error) {
	var records []agent.Record
	err := a.store.readPrepared(ctx, &a.found, collect(&records, scanAgent), a.sql.find, id)
	return single(records, "find agent", err, agent.ErrNotFound)
}

// Decommission implements [agent.Store].
func (a *Agents) Decommission(ctx context.Context, tenant, id string) (agent.Record, error) {
	var records []agent.Record
	err := a.store.write(ctx, collect(&records, scanAgent), a.sql.decommission, tenant, id)
	return single(records, "decommission agent", err, agent.ErrNotFound)
}

// List implements [agent.Store].
func (a *Agents) List(ctx context.Context, tenant, after string, limit int) ([]agent.Record, error) {
	var records []agent.Record
	if err := a.store.read(ctx, collect(&records, scanAgent), a.sql.list, tenant, after, max(limit, 0)); err != nil {
		return nil, fmt.Errorf("sqlstore: list agents: %w", err)
	}
	return records, nil
}

// scanAgent reads a row of agentColumns. A malformed row is an error.
func scanAgent(rows *sql.Rows) (agent.Record, error) {
	var r agent.Record
	err := rows.Scan(&r.ID, &r.Tenant, &r.Details, &r.Generation, instant{&r.Created}, instant{&r.Changed}, instant{&r.Decommissioned})
	return r, err
}
