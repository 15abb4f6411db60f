// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// budgetTx is a transaction on SQLite, which has one writer.
type budgetTx struct {
	ctx  context.Context //nolint:containedctx // lives as long as the call
	conn *sql.Conn
	now  int64
}

// begin reads the time, makes the holds expire whose deadline has passed, and returns
// the hold of an ID, nil if there is none.
func (tx *budgetTx) begin(tenant, id string) (known *budgetHold, err error) {
	known, due, err := tx.first(tenant, id)
	if err != nil || !due {
		return known, err
	}
	for swept := sweepAtOnce; swept == sweepAtOnce; {
		if swept, err = tx.sweep(sweepAtOnce, false); err != nil {
			return nil, err
		}
	}
	return tx.find(tenant, id)
}

// first reads the time, whether a hold has to expire, and the hold of an ID.
func (tx *budgetTx) first(tenant, id string) (known *budgetHold, due bool, err error) {
	rows, err := tx.conn.QueryContext(tx.ctx, beginBudget, tenant, id)
	if err != nil {
		return nil, false, err
	}
	return known, due, drain(rows, func(rows *sql.Rows) error {
		var state sql.NullString
		var expires sql.NullInt64
		var lists [6][]byte
		if err := rows.Scan(&tx.now, &due, &state, &expires, &lists[0], &lists[1], &lists[2], &lists[3], &lists[4], &lists[5]); err != nil || !state.Valid {
			return err
		}
		known = &budgetHold{state: budget.Outcome(state.String), due: expires.Int64}
		return known.parse(lists)
	})
}

func (tx *budgetTx) exec(query string, args ...any) error {
	_, err := tx.conn.ExecContext(tx.ctx, query, args...)
	return err
}

// budgetHold is a row of the holds.
type budgetHold struct {
	state           budget.Outcome
	due             int64
	accounts, spans []string
	starts, amounts []int64
	floors, charged []int64
}

const (
	holdColumns = `state, due, accounts, spans, starts, amounts, floors, coalesce(charged, 'null')`
	beginBudget = `SELECT clock.now, EXISTS (SELECT 1 FROM gatehouse_budget_holds WHERE due <= clock.now AND state = 'held'), ` + holdColumns + `
		FROM (SELECT ` + nowSQLite + ` AS now) AS clock LEFT JOIN gatehouse_budget_holds ON tenant = ?1 AND id = ?2`
)

func (h *budgetHold) scan(row interface{ Scan(...any) error }) error {
	var lists [6][]byte
	if err := row.Scan(&h.state, &h.due, &lists[0], &lists[1], &lists[2], &lists[3], &lists[4], &lists[5]); err != nil {
		return err
	}
	return h.parse(lists)
}

func (h *budgetHold) parse(lists [6][]byte) error {
	for i, to := range []any{&h.accounts, &h.spans, &h.starts, &h.amounts, &h.floors, &h.charged} {
		if err := json.Unmarshal(lists[i], to); err != nil {
			return err
		}
	}
	if n := len(h.accounts); len(h.spans) != n || len(h.starts) != n || len(h.amounts) != n || len(h.floors) != n || h.state != budget.Held && len(h.charged) != n {
		return errors.New("malformed hold")
	}
	return nil
}

// find returns a hold, nil if there is none.
func (tx *budgetTx) find(tenant, id string) (*budgetHold, error) {
	var h budgetHold
	err := h.scan(tx.conn.QueryRowContext(tx.ctx, `SELECT `+holdColumns+` FROM gatehouse_budget_holds WHERE tenant = ?1 AND id = ?2`, tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // see above
	}
	return &h, err
}

func list(v any) string {
	text, _ := json.Marshal(v) // of strings and numbers
	return string(text)
}

// same reports whether the hold has the counters of r.
func (h *budgetHold) same(r budget.Reservation) bool {
	if len(h.accounts) != len(r.Entries) {
		return false
	}
	for i, e := range r.Entries {
		if h.accounts[i] != e.Account || h.spans[i] != e.Window || h.starts[i] != e.Start.UnixMicro() {
			return false
		}
	}
	return true
}

// budgetEnd is later than the start of any counter.
var budgetEnd = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// count returns the sum of all counters that count for an entry.
func (tx *budgetTx) count(tenant string, e *budget.Entry) (c budget.Count, err error) {
	last := e.Start
	if e.Since.Before(e.Start) {
		last = budgetEnd
	}
	err = tx.conn.QueryRowContext(tx.ctx, `SELECT coalesce(sum(spent), 0), coalesce(sum(held), 0) FROM gatehouse_budget_counters
		WHERE tenant = ?1 AND account = ?2 AND span = ?3 AND starts BETWEEN ?4 AND ?5`,
		tenant, e.Account, e.Window, e.Since.UnixMicro(), last.UnixMicro()).Scan(&c.Spent, &c.Held)
	return c, err
}

// add adds amounts to all counters if they fit.
func (tx *budgetTx) add(r budget.Reservation, amounts []int64) (result budget.Result, err error) {
	counts := make([]budget.Count, len(r.Entries))
	for i := range r.Entries {
		e := &r.Entries[i]
		if counts[i], err = tx.count(r.Tenant, e); err != nil {
			return result, err
		}
		if amounts[i] > 0 && counts[i].Spent+counts[i].Held+amounts[i] > e.Limit {
			return budget.Result{Outcome: budget.Exceeded, Entry: i, Counts: counts[i : i+1]}, nil
		}
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		counts[i].Held += amounts[i]
		if err := tx.exec(`INSERT INTO gatehouse_budget_counters (tenant, account, span, starts, ends, max, held)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, max(?7, 0)) ON CONFLICT (tenant, account, span, starts)
			DO UPDATE SET held = held + ?7, max = ?6, ends = ?5`,
			r.Tenant, e.Account, e.Window, e.Start.UnixMicro(), e.End.UnixMicro(), e.Max, amounts[i]); err != nil {
			return result, err
		}
	}
	due := tx.now + r.TTL.Microseconds()
	return budget.Result{Outcome: budget.Held, Counts: counts, Deadline: time.UnixMicro(due).UTC()}, nil
}

func (tx *budgetTx) reserve(r budget.Reservation, known *budgetHold) (budget.Result, error) {
	var accounts, spans []string
	var starts, amounts, floors []int64
	moved := false
	for _, e := range r.Entries {
		accounts, spans, starts = append(accounts, e.Account), append(spans, e.Window), append(starts, e.Start.UnixMicro())
		amounts, floors = append(amounts, e.Amount), append(floors, e.Floor)
		moved = moved || tx.now < e.Start.UnixMicro() || tx.now >= e.Next.UnixMicro()
	}
	switch {
	case known != nil && (!known.same(r) || list(known.amounts) != list(amounts)):
		return budget.Result{Outcome: budget.Differs, Replayed: true}, nil
	case known != nil:
		return known.answer(true), nil
	case moved:
		return budget.Result{Outcome: budget.Moved}, nil
	}
	result, err := tx.add(r, amounts)
	if err != nil || result.Outcome != budget.Held {
		return result, err
	}
	err = tx.exec(`INSERT INTO gatehouse_budget_holds (tenant, id, state, due, accounts, spans, starts, amounts, floors)
		VALUES (?1, ?2, 'held', ?3, ?4, ?5, ?6, ?7, ?8)`,
		r.Tenant, r.ID, result.Deadline.UnixMicro(), list(accounts), list(spans), list(starts), list(amounts), list(floors))
	return result, err
}

// answer returns the state of a hold.
func (h *budgetHold) answer(replayed bool) budget.Result {
	r := budget.Result{Outcome: h.state, Replayed: replayed, Charged: h.charged}
	if h.state == budget.Held {
		r.Deadline = time.UnixMicro(h.due).UTC()
	}
	return r
}

func (tx *budgetTx) extend(r budget.Reservation, known *budgetHold) (budget.Result, error) {
	switch {
	case known == nil:
		return budget.Result{Outcome: budget.Absent}, nil
	case !known.same(r):
		return budget.Result{Outcome: budget.Differs}, nil
	case known.state != budget.Held:
		return known.answer(false), nil
	}
	var amounts, floors, more []int64
	for i, e := range r.Entries {
		amounts, floors, more = append(amounts, e.Amount), append(floors, e.Floor), append(more, e.Amount-known.amounts[i])
	}
	result, err := tx.add(r, more)
	if err != nil || result.Outcome != budget.Held {
		return result, err
	}
	err = tx.exec(`UPDATE gatehouse_budget_holds SET due = ?3, amounts = ?4, floors = ?5 WHERE tenant = ?1 AND id = ?2`,
		r.Tenant, r.ID, result.Deadline.UnixMicro(), list(amounts), list(floors))
	return result, err
}

func (tx *budgetTx) settle(tenant, id string, amounts []int64, known *budgetHold) (_ budget.Result, err error) {
	switch {
	case known == nil:
		return budget.Result{Outcome: budget.Absent}, nil
	case len(known.accounts) != len(amounts):
		return budget.Result{Outcome: budget.Differs}, nil
	case known.state == budget.Settled:
		return known.answer(true), nil
	}
	freed, used := known.amounts, amounts
	if known.state == budget.Expired {
		freed, used = make([]int64, len(amounts)), make([]int64, len(amounts))
		for i := range amounts {
			used[i] = amounts[i] - known.charged[i]
		}
	}
	result := budget.Result{Outcome: budget.Settled, Charged: amounts}
	if result.Counts, err = tx.move(tenant, known, used, freed); err != nil {
		return result, err
	}
	return result, tx.end(tenant, id, budget.Settled, amounts)
}
