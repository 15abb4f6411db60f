// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/budget/budgettest"
)

func TestMemory(t *testing.T) {
	budgettest.TestStore(t, func(*testing.T) budget.Store { return budget.NewMemory(0) })
}

// The instants, limits and copies that the contract leaves open.
func TestMemoryLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		entry := func(account string, limit, amount int64) budget.Entry {
			return budget.Entry{
				Account: account, Window: "day", Start: start, Since: start, Next: start.Add(time.Hour), End: start.Add(time.Hour),
				Max: limit, Limit: limit, Amount: amount, Floor: amount,
			}
		}
		m := budget.NewMemory(2)
		reserve := func(what string, want budget.Outcome, id string, entries ...budget.Entry) {
			t.Helper()
			r, err := m.Reserve(t.Context(), budget.Reservation{Tenant: "acme", ID: id, TTL: time.Minute, Entries: entries})
			if r.Outcome != want || (err == nil) != (want != "") {
				t.Errorf("Reserve %s = %q, %v, want %q", what, r.Outcome, err, want)
			}
		}
		settle := func(id string, amounts ...int64) budget.Result {
			t.Helper()
			r, err := m.Settle(t.Context(), "acme", id, amounts)
			if err != nil || r.Outcome != budget.Settled {
				t.Fatalf("Settle(%s) = %v, %v", id, r.Outcome, err)
			}
			return r
		}
		counters := func(account string) []budget.Counter {
			t.Helper()
			c, _, err := m.Read(t.Context(), "acme", account, "day", start)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		entries := []budget.Entry{entry("a", 100, 0), entry("b", 100, 1)}
		reserve("of as many accounts as fit", budget.Held, "1", entries...)
		entries[1].Amount = 50 // the entries of the caller
		reserve("of as many holds as fit", budget.Held, "2", entry("a", 50, 5))
		reserve("of one more hold", "", "3", entry("a", 100, 5))
		free := entry("a", 0, 5)
		free.Floor = 0
		reserve("above the limit without a floor", budget.Exceeded, "3", free)
		settle("1", 7, 1)
		if a, b := counters("a")[0], counters("b")[0]; a.Max != 50 || a.Spent != 7 || a.Held != 5 || b.Held != 0 {
			t.Errorf("after Settle: %+v and %+v, want Max 50 of the last call, and its hold", a, b)
		}
		amounts := []int64{7, 1}
		settle("1", amounts...)
		amounts[0] = 99                   // the amounts of the caller
		settle("1", 7, 1).Charged[0] = 99 // the result of the caller
		if r := settle("1", 7, 1); r.Charged[0] != 7 {
			t.Errorf("Charged = %v, want 7 and 1", r.Charged)
		}
		settle("2", 5)
		time.Sleep(budget.Retention - time.Microsecond)
		settle("1", 7, 1) // as before
		time.Sleep(time.Microsecond)
		if open, _, err := m.List(t.Context(), "acme", 10); err != nil || len(open) > 0 {
			t.Errorf("List at End = %v, %v, want none", open, err)
		}
		reserve("at Next", budget.Moved, "4", entry("a", 100, 5))
		keep := start.Add(time.Hour + budget.CounterRetention)
		time.Sleep(time.Until(keep) - time.Microsecond)
		later := entry("a", 100, 1)
		later.Start, later.Since, later.Next, later.End = later.End, later.End, keep.Add(3*time.Hour), keep.Add(3*time.Hour)
		reserve("in a later counter", budget.Held, "5", later)
		if c := counters("a"); len(c) != 2 {
			t.Errorf("counters before the end of their retention: %v, want two", c)
		}
		settle("5", 1)
		later.Account = "c"
		reserve("of one more account", "", "6", later)
		time.Sleep(time.Microsecond)
		reserve("at the end of the retention of another account", budget.Held, "6", later)
		time.Sleep(time.Minute)
		for _, want := range []int{0, 1} {
			if n, err := m.Sweep(t.Context(), 2*want-1); n != want || err != nil {
				t.Errorf("Sweep(%d) = %d, %v, want %d", 2*want-1, n, err, want)
			}
		}
		time.Sleep(budget.Retention)
		later.Account = "a"
		reserve("after the retention of a counter", budget.Held, "7", later)
		if c := counters("a"); len(c) != 1 {
			t.Errorf("counters after the end of their retention: %v, want one", c)
		}
	})
}
