// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/batch"
)

// Budgets is a [budget.Store]. Its clock is that of the engine. On Postgres every method
// calls one function of the database, in one round trip. On SQLite one transaction
// executes the concurrent calls of the process, in their order; a call whose context ends
// meanwhile may still be executed.
type Budgets struct {
	store *Store
	local batch.Queue[localCall, budget.Result] // for SQLite
}

var _ budget.Store = (*Budgets)(nil)

// Budgets returns the store of budgets.
func (s *Store) Budgets() *Budgets { return &s.budgets }

// Reserve implements [budget.Store].
func (b *Budgets) Reserve(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	if b.store.dialect == SQLite {
		return b.locally(ctx, "reserve", localReserve(r))
	}
	return b.call(ctx, "reserve", reservePostgres, reservation(r)...)
}

// Extend implements [budget.Store].
func (b *Budgets) Extend(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	if b.store.dialect == SQLite {
		return b.locally(ctx, "extend", localExtend(r))
	}
	return b.call(ctx, "extend", extendPostgres, reservation(r)...)
}

// Settle implements [budget.Store].
func (b *Budgets) Settle(ctx context.Context, tenant, id string, amounts []int64) (budget.Result, error) {
	if b.store.dialect == SQLite {
		return b.locally(ctx, "settle", localSettle(tenant, id, amounts))
	}
	return b.call(ctx, "settle", settlePostgres, tenant, id, integers(amounts), budget.Retention.Microseconds())
}

const (
	budgetColumns   = `SELECT outcome, replayed, coalesce(entry, -1), at, coalesce(deadline, 0), spents::text, helds::text, charged::text FROM `
	reservePostgres = budgetColumns + `gatehouse_budget_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	extendPostgres  = budgetColumns + `gatehouse_budget_extend($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	settlePostgres  = budgetColumns + `gatehouse_budget_settle($1, $2, $3, $4)`
	sweepPostgres   = `SELECT gatehouse_budget_sweep($1, $2, $3)`

	counterColumns = `SELECT account, span, starts, ends, max, spent, held, `

	// tries is how often a call is repeated after a sweep: other calls may sweep at the
	// same time.
	tries = 5
	// sweepAtOnce is the number of holds that one transaction makes expire.
	sweepAtOnce = 1000
)

// call runs a function that changes a hold. If the result is stale, because a hold that
// it counts has expired, call sweeps and runs the function again.
func (b *Budgets) call(ctx context.Context, verb, query string, args ...any) (budget.Result, error) {
	for try := 1; ; try++ {
		var results []budget.Result
		if err := b.store.write(ctx, collect(&results, scanResult), query, args...); err != nil {
			return budget.Result{}, fmt.Errorf("sqlstore: %s budget: %w", verb, err)
		}
		if len(results) != 1 {
			return budget.Result{}, fmt.Errorf("sqlstore: %s budget: no result", verb)
		}
		switch r := results[0]; {
		case r.Outcome != stale:
			return r, nil
		case try == tries && r.Entry >= 0:
			r.Outcome = budget.Exceeded
			return r, nil
		case try == tries:
			return budget.Result{}, fmt.Errorf("sqlstore: %s budget: the hold is locked", verb)
		}
		if _, err := b.Sweep(ctx, sweepAtOnce); err != nil {
			return budget.Result{}, err
		}
	}
}

const stale budget.Outcome = "stale"

func scanResult(rows *sql.Rows) (r budget.Result, err error) {
	var at, deadline int64
	var spents, helds, charged sql.NullString
	if err := rows.Scan(&r.Outcome, &r.Replayed, &r.Entry, &at, &deadline, &spents, &helds, &charged); err != nil {
		return r, err
	}
	r.At = time.UnixMicro(at).UTC()
	if r.Outcome == budget.Held {
		r.Deadline = time.UnixMicro(deadline).UTC()
	}
	if r.Outcome != budget.Exceeded && r.Outcome != stale {
		r.Entry = 0
	}
	var errs [3]error
	var spent, held []int64
	spent, errs[0] = parseIntegers(spents.String)
	held, errs[1] = parseIntegers(helds.String)
	r.Charged, errs[2] = parseIntegers(charged.String)
	if len(spent) != len(held) {
		return r, errors.New("malformed counts")
	}
	for i := range spent {
		r.Counts = append(r.Counts, budget.Count{Spent: spent[i], Held: held[i]})
	}
	return r, errors.Join(errs[:]...)
}

// reservation returns the arguments of the functions reserve and extend.
func reservation(r budget.Reservation) []any {
	column := func(value func(e *budget.Entry) int64) string {
		values := make([]int64, len(r.Entries))
		for i := range r.Entries {
			values[i] = value(&r.Entries[i])
		}
		return integers(values)
	}
	var accounts, spans []string
	for _, e := range r.Entries {
		accounts, spans = append(accounts, e.Account), append(spans, e.Window)
	}
	return []any{
		r.Tenant, r.ID, r.TTL.Microseconds(), texts(accounts), texts(spans),
		column(func(e *budget.Entry) int64 { return e.Start.UnixMicro() }),
		column(func(e *budget.Entry) int64 { return e.Next.UnixMicro() }),
		column(func(e *budget.Entry) int64 { return e.End.UnixMicro() }),
		column(func(e *budget.Entry) int64 { return e.Since.UnixMicro() }),
		column(func(e *budget.Entry) int64 { return e.Max }),
		column(func(e *budget.Entry) int64 { return e.Limit }),
		column(func(e *budget.Entry) int64 { return e.Amount }),
		column(func(e *budget.Entry) int64 { return e.Floor }),
	}
}

// integers returns an array literal of Postgres.
func integers(values []int64) string {
	literal := make([]byte, 1, 2+12*len(values))
	literal[0] = '{'
	for i, v := range values {
		if i > 0 {
			literal = append(literal, ',')
		}
		literal = strconv.AppendInt(literal, v, 10)
	}
	return string(append(literal, '}'))
}

var arrayEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// texts returns an array literal of Postgres.
func texts(values []string) string {
	var literal strings.Builder
	for i, v := range values {
		literal.WriteString([2]string{`{"`, `","`}[min(i, 1)])
		literal.WriteString(arrayEscaper.Replace(v))
	}
	literal.WriteString(`"}`)
	return literal.String()
}

// parseIntegers reads an array of Postgres. NULL, as an element, is 0.
func parseIntegers(literal string) ([]int64, error) {
	literal = strings.TrimSuffix(strings.TrimPrefix(literal, "{"), "}")
	if literal == "" {
		return nil, nil
	}
	var values []int64
	for text := range strings.SplitSeq(literal, ",") {
		if text == "NULL" {
			text = "0"
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// Read implements [budget.Store].
func (b *Budgets) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	query := &statement{dialect: b.store.dialect}
	query.add(counterColumns+b.clock()+` FROM (SELECT 1) AS one LEFT JOIN gatehouse_budget_counters
		ON tenant = ? AND account = ? AND span = ? AND starts >= ? ORDER BY starts`, tenant, account, window, since.UnixMicro())
	return b.counters(ctx, "read", query)
}

// List implements [budget.Store].
func (b *Budgets) List(ctx context.Context, tenant string, limit int) ([]budget.Counter, time.Time, error) {
	query := &statement{dialect: b.store.dialect}
	query.add(counterColumns+b.clock()+` FROM (SELECT 1) AS one LEFT JOIN gatehouse_budget_counters
		ON tenant = ? AND ends > `+b.clock()+` ORDER BY account, span, starts LIMIT ?`, tenant, max(limit, 1))
	counters, at, err := b.counters(ctx, "list", query)
	return counters[:min(len(counters), max(limit, 0))], at, err
}

func (b *Budgets) clock() string {
	if b.store.dialect == SQLite {
		return nowSQLite
	}
	return `gatehouse_budget_now()`
}

// counters runs a query, after all holds have expired whose deadline has passed. The
// result has at least one row, with the time.
func (b *Budgets) counters(ctx context.Context, verb string, query *statement) (counters []budget.Counter, at time.Time, err error) {
	for {
		n, err := b.Sweep(ctx, sweepAtOnce)
		if err != nil {
			return nil, at, err
		}
		if n < sweepAtOnce {
			break
		}
	}
	err = b.store.read(ctx, func(rows *sql.Rows) error {
		var account, span sql.NullString
		var starts, ends, limit, spent, held sql.NullInt64
		var now int64
		if err := rows.Scan(&account, &span, &starts, &ends, &limit, &spent, &held, &now); err != nil {
			return err
		}
		at = time.UnixMicro(now).UTC()
		if account.Valid {
			counters = append(counters, budget.Counter{
				Account: account.String, Window: span.String, Start: time.UnixMicro(starts.Int64).UTC(), End: time.UnixMicro(ends.Int64).UTC(),
				Max: limit.Int64, Count: budget.Count{Spent: spent.Int64, Held: held.Int64},
			})
		}
		return nil
	}, query.text.String(), query.args...)
	if err != nil {
		return nil, at, fmt.Errorf("sqlstore: %s budgets: %w", verb, err)
	}
	return counters, at, nil
}

// Sweep implements [budget.Store].
func (b *Budgets) Sweep(ctx context.Context, limit int) (int, error) {
	if b.store.dialect == SQLite {
		expired := 0
		err := b.transaction(ctx, func(tx *budgetTx) error {
			_, _, err := tx.first("", "")
			if err == nil {
				expired, err = tx.sweep(max(limit, 0), true)
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("sqlstore: sweep budgets: %w", err)
		}
		return expired, nil
	}
	var expired []int
	err := b.store.write(ctx, collect(&expired, func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) }),
		sweepPostgres, max(limit, 0), budget.Retention.Microseconds(), budget.CounterRetention.Microseconds())
	if err != nil || len(expired) != 1 {
		return 0, fmt.Errorf("sqlstore: sweep budgets: %w", err)
	}
	return expired[0], nil
}
