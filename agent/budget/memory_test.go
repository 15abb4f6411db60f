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
		extended := []budget.Entry{entry("a", 100, 0), entry("b", 100, 2)}
		if r, err := m.Extend(t.Context(), budget.Reservation{Tenant: "acme", ID: "1", TTL: time.Minute, Entries: extended}); r.Outcome != budget.Held || err != nil {
			t.Errorf("Extend = %q, %v, want %q", r.Outcome, err, budget.Held)
		}
		extended[1].Amount = 50
		reserve("of as many holds as fit", budget.Held, "2", entry("a", 50, 5))
		reserve("of one more hold", "", "3", entry("a", 100, 5))
		free := entry("a", 0, 5)
		free.Floor = 0
		reserve("above the limit without a floor", budget.Exceeded, "3", free)
		amounts := []int64{7, 1}
		settled := settle("1", amounts...)
		if amounts[0] = 99; settled.Charged[0] != 7 { // the amounts of the caller
			t.Errorf("Charged = %v, want 7 and 1", settled.Charged)
		}
		settled.Charged[0] = 98 // the result of the caller
		if a, b := counters("a")[0], counters("b")[0]; a.Max != 50 || a.Spent != 7 || a.Held != 5 || b.Held != 0 {
			t.Errorf("after Settle: %+v and %+v, want Max 50 of the last call, and its hold", a, b)
		}
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

// The counters of an account go when the last one has, and those of all accounts at once.
func TestMemoryRemovesCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, start := budget.NewMemory(2), time.Now()
		reserve := func(want budget.Outcome, id string, hours time.Duration, accounts ...string) {
			t.Helper()
			r := budget.Reservation{Tenant: "acme", ID: id, TTL: time.Minute}
			for _, account := range accounts {
				at := start.Add(hours * time.Hour)
				r.Entries = append(r.Entries, budget.Entry{Account: account, Window: "day", Start: at, Since: at, Next: at.Add(time.Hour), End: at.Add(time.Hour)})
			}
			if got, err := m.Reserve(t.Context(), r); got.Outcome != want || (err == nil) != (want != "") {
				t.Errorf("Reserve(%s) of %v = %q, %v, want %q", id, accounts, got.Outcome, err, want)
			}
		}
		counters := func(what, account string, want int) {
			t.Helper()
			if c, _, err := m.Read(t.Context(), "acme", account, "day", start); len(c) != want || err != nil {
				t.Errorf("%s: counters of %s = %v, %v, want %d", what, account, c, err, want)
			}
		}
		reserve("", "1", 0, "a", "b", "c")
		reserve(budget.Held, "1", 0, "a", "b")
		time.Sleep(time.Hour)
		reserve(budget.Held, "2", 1, "a")
		for _, id := range []string{"2", "1"} { // the call of the first hour ends last
			if r, err := m.Settle(t.Context(), "acme", id, map[string][]int64{"2": {1}, "1": {1, 1}}[id]); r.Outcome != budget.Settled || err != nil {
				t.Errorf("Settle(%s) = %q, %v, want %q", id, r.Outcome, err, budget.Settled)
			}
		}
		time.Sleep(budget.CounterRetention)
		reserve(budget.Moved, "3", 1, "a")
		counters("before a call", "a", 2)
		reserve(budget.Held, "3", 49, "a", "b")
		counters("after the retention of the first one", "a", 2)
		time.Sleep(49*time.Hour + budget.CounterRetention)
		reserve(budget.Held, "4", 146, "c", "d")
		counters("after the retention of all", "a", 0)
	})
}
