// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/batch"
	"github.com/gatehouse-go/gatehouse/store/internal/budgets"
	"github.com/gatehouse-go/gatehouse/store/internal/ledgertest"
)

func newBudgets(t *testing.T) *Budgets {
	t.Helper()
	db, err := sql.Open("sqlite", SQLiteDSN(filepath.Join(t.TempDir(), "budgets.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := New(Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.Budgets()
}

type budgetCall = batch.Call[localCall, budget.Result]

// TestBudgetBatches: a transaction decides on each call of a batch as if it were alone.
func TestBudgetBatches(t *testing.T) {
	t.Parallel()
	b := newBudgets(t)
	ledgertest.TestBatches(t, b, func(t *testing.T, calls []ledgertest.Call) (results []budget.Result) {
		t.Helper()
		batch := make([]*budgetCall, len(calls))
		for i, c := range calls {
			batch[i] = &budgetCall{Query: localReserve(c.Hold)}
			if c.Extend {
				batch[i].Query = localExtend(c.Hold)
			}
			if c.Amounts != nil {
				batch[i].Query = localSettle("acme", c.Hold.ID, c.Amounts)
			}
		}
		b.together(t.Context(), batch)
		for _, c := range batch {
			if c.Err != nil {
				t.Fatal(c.Err)
			}
			results = append(results, c.Result)
		}
		return results
	})
}

// TestMalformedHold: a call that fails has no effect on the others of its batch, and they
// are executed once.
func TestMalformedHold(t *testing.T) {
	t.Parallel()
	b := newBudgets(t)
	hold := func(id string) budget.Reservation {
		now := time.Now().UTC()
		start, end := now.Add(-time.Hour).Truncate(time.Hour), now.Add(time.Hour)
		return budget.Reservation{Tenant: "acme", ID: id, TTL: time.Minute, Entries: []budget.Entry{{
			Account: "key/ci", Window: "day", Start: start, Since: start, Next: end, End: end, Max: 1000, Limit: 1000, Amount: 10, Floor: 10,
		}}}
	}
	for _, id := range []string{"malformed", "known"} {
		if _, err := b.Reserve(t.Context(), hold(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.store.db.ExecContext(t.Context(), "UPDATE gatehouse_budget_holds SET amounts = 'x' WHERE id = 'malformed'"); err != nil {
		t.Fatal(err)
	}
	calls := []*budgetCall{
		{Query: localReserve(hold("new"))},
		{Query: localSettle("acme", "known", []int64{4})},
		{Query: localSettle("acme", "malformed", []int64{4})},
		{Query: localReserve(hold("newer"))},
	}
	b.together(t.Context(), calls)
	for i, want := range []budget.Outcome{budget.Held, budget.Settled, "", budget.Held} {
		c := calls[i]
		if failed := c.Err != nil; failed != (want == "") || c.Result.Replayed || c.Result.Outcome != want {
			t.Errorf("call %d = %+v, %v, want %q, once", i, c.Result, c.Err, want)
		}
	}
	if want := (budget.Count{Spent: 4, Held: 30}); len(calls[3].Result.Counts) != 1 || calls[3].Result.Counts[0] != want {
		t.Errorf("counts after the batch = %+v, want %+v", calls[3].Result.Counts, want)
	}
}

// TestBatchSize: a call weighs as much as the counters that it reads.
func TestBatchSize(t *testing.T) {
	t.Parallel()
	b := newBudgets(t)
	r := budget.Reservation{Entries: make([]budget.Entry, 3)}
	for want, c := range map[int]localCall{3: localReserve(r), 2: localSettle("acme", "1", make([]int64, 2))} {
		if got := b.local.Weigh(c); got != want || b.local.Limit != budgets.Batch || localExtend(r).counters != 3 {
			t.Errorf("weight of a call of %d counters = %d, in batches of %d, want %d", want, got, b.local.Limit, budgets.Batch)
		}
	}
}
