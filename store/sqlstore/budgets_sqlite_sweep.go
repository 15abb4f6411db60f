// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// move adds to the spent amounts of the counters of a hold, and subtracts from their held
// amounts.
func (tx *budgetTx) move(tenant string, h *budgetHold, used, freed []int64) ([]budget.Count, error) {
	counts := make([]budget.Count, len(used))
	for i := range used {
		err := tx.conn.QueryRowContext(tx.ctx, `UPDATE gatehouse_budget_counters SET spent = min(max(spent + ?5, 0), ?7), held = held - ?6
			WHERE tenant = ?1 AND account = ?2 AND span = ?3 AND starts = ?4 RETURNING spent, held`,
			tenant, h.accounts[i], h.spans[i], h.starts[i], used[i], freed[i], budget.MaxAmount).Scan(&counts[i].Spent, &counts[i].Held)
		if err != nil && !errors.Is(err, sql.ErrNoRows) { // a counter may be gone, long after its end
			return nil, err
		}
	}
	return counts, nil
}

func (tx *budgetTx) end(tenant, id string, state budget.Outcome, charged []int64) error {
	err := tx.exec(`UPDATE gatehouse_budget_holds SET state = ?3, charged = ?4, due = ?5 WHERE tenant = ?1 AND id = ?2`,
		tenant, id, string(state), list(charged), tx.now+budget.Retention.Microseconds())
	return err
}

// sweep expires up to limit holds, and removes old holds and counters if remove is true.
func (tx *budgetTx) sweep(limit int, remove bool) (int, error) {
	type key struct{ tenant, id string }
	var due []key
	rows, err := tx.conn.QueryContext(tx.ctx, `SELECT tenant, id FROM gatehouse_budget_holds WHERE due <= ?1 AND state = 'held' ORDER BY due LIMIT ?2`, tx.now, limit)
	if err == nil {
		err = drain(rows, collect(&due, func(rows *sql.Rows) (k key, err error) { return k, rows.Scan(&k.tenant, &k.id) }))
	}
	if err != nil {
		return 0, err
	}
	for _, k := range due {
		h, err := tx.find(k.tenant, k.id)
		if err != nil {
			return 0, err
		}
		if _, err := tx.move(k.tenant, h, h.floors, h.amounts); err != nil {
			return 0, err
		}
		if err := tx.end(k.tenant, k.id, budget.Expired, h.floors); err != nil {
			return 0, err
		}
	}
	if !remove {
		return len(due), nil
	}
	if err := tx.exec(`DELETE FROM gatehouse_budget_holds WHERE due <= ?1 AND state <> 'held'`, tx.now); err != nil {
		return 0, err
	}
	err = tx.exec(`DELETE FROM gatehouse_budget_counters WHERE ends <= ?1`, tx.now-budget.CounterRetention.Microseconds())
	return len(due), err
}
