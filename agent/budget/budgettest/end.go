// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// expire reserves a hold with a floor and waits until it has expired.
func (s suite) expire(id string, amount, floor int64) budget.Reservation {
	s.Helper()
	e := s.entry("a", 100, amount)
	e.Floor = floor
	r := reservation(id, e)
	r.TTL = short
	first := s.reserve(r)
	s.result("Reserve", first, held(budget.Count{Held: amount}))
	s.until(first.Deadline)
	return r
}

// until waits until the clock of the store is after t.
func (s suite) until(t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the clock of the store is after %v", t), func() bool { return s.now().After(t) })
}

// now returns the time of the store.
func (s suite) now() time.Time {
	s.Helper()
	_, at, err := s.store.Read(s.Context(), "clock", "clock", "day", s.start)
	s.NoError(err)
	return at
}

var endRules = []rule{
	newRule("settle", "Settle ends a hold: the given amounts are spent, also if they exceed the hold. A second Settle changes nothing and returns what was charged.", func(s suite) {
		s.reserve(reservation("1", s.entry("a", 100, 60)))
		s.reserve(reservation("2", s.entry("a", 100, 10)))
		s.result("Settle of another number of amounts", s.settle("1", 1, 2), budget.Result{Outcome: budget.Differs})
		s.result("Settle of no hold", s.settle("3", 1), budget.Result{Outcome: budget.Absent})
		s.result("Settle above the hold", s.settle("1", 120), settled([]int64{120}, budget.Count{Spent: 120, Held: 10}))
		s.result("second Settle", s.settle("1", 5), budget.Result{Outcome: budget.Settled, Replayed: true, Charged: []int64{120}})
		s.result("Settle of nothing", s.settle("2", 0), settled([]int64{0}, budget.Count{Spent: 120}))
		s.reserve(reservation("4", s.entry("a", 100, 0)))
		s.result("Settle of an empty hold", s.settle("4", 5), settled([]int64{5}, budget.Count{Spent: 125}))
		s.read("after Settle", "a", budget.Count{Spent: 125})
		result, err := s.store.Settle(s.Context(), "other", "1", []int64{1})
		s.NoError(err)
		s.result("Settle of another tenant", result, budget.Result{Outcome: budget.Absent})
	}),
	newRule("expiry", "A hold whose deadline has passed expires: its amounts are no longer held, and its floors are spent. No method counts it as held.", func(s suite) {
		empty := reservation("0", s.entry("b", 100, 0))
		empty.TTL = short
		s.reserve(empty)
		r := s.expire("1", 60, 10)
		s.result("Reserve of what the hold had", s.reserve(reservation("2", s.entry("a", 100, 90))), held(budget.Count{Spent: 10, Held: 90}))
		s.result("replay of an expired call", s.reserve(r), budget.Result{Outcome: budget.Expired, Replayed: true, Charged: []int64{10}})
		s.result("Extend of an expired call", s.extend(r), budget.Result{Outcome: budget.Expired, Charged: []int64{10}})
	}),
	newRule("expiry in Read", "Read does not count an expired hold as held.", func(s suite) {
		s.expire("1", 60, 60)
		s.read("after the deadline", "a", budget.Count{Spent: 60})
	}),
	newRule("expiry in List", "List does not count an expired hold as held.", func(s suite) {
		s.expire("1", 60, 0)
		counters, _, err := s.store.List(s.Context(), "acme", 10)
		s.NoError(err)
		if len(counters) != 1 || counters[0].Count != (budget.Count{}) {
			s.Failf("List after the deadline = %v, want nothing spent or held", counters)
		}
	}),
	newRule("expiry in Extend", "Extend does not count an expired hold as held, and does not revive one.", func(s suite) {
		s.reserve(reservation("2", s.entry("a", 100, 10)))
		e := s.entry("a", 100, 90)
		e.Floor = 5
		r := reservation("1", e)
		r.TTL = short
		first := s.reserve(r)
		s.result("Reserve", first, held(budget.Count{Held: 100}))
		s.until(first.Deadline)
		s.result("Extend of an expired hold", s.extend(r), budget.Result{Outcome: budget.Expired, Charged: []int64{5}})
		s.result("Extend of another one", s.extend(reservation("2", s.entry("a", 100, 95))), held(budget.Count{Spent: 5, Held: 95}))
	}),
	newRule("extended expiry", "The deadline and the floor of an extended hold are those of the last Extend.", func(s suite) {
		s.Short(func(n int, ttl time.Duration) bool {
			account := fmt.Sprint("a", n)
			r := reservation(account, s.entry(account, 100, 60))
			r.TTL = ttl
			first := s.reserve(r)
			r.TTL = 4 * ttl
			r.Entries[0].Floor = 7
			extended := s.extend(r)
			if extended.Outcome == budget.Expired && !extended.At.Before(first.Deadline) {
				return false
			}
			s.result("Extend", extended, held(budget.Count{Held: 60}))
			s.until(first.Deadline)
			counters, at, err := s.store.Read(s.Context(), "acme", account, "day", s.start)
			s.NoError(err)
			inTime := at.Before(extended.Deadline)
			if inTime && (len(counters) != 1 || counters[0].Count != budget.Count{Held: 60}) {
				s.Failf("Read before the second deadline = %v, want 60 held", counters)
			}
			s.until(extended.Deadline)
			s.read("after the second deadline", account, budget.Count{Spent: 7})
			return inTime
		})
	}),
	newRule("late settle", "An expired hold is settled too: the counters get the difference to the floor.", func(s suite) {
		s.expire("1", 60, 20)
		s.read("after the deadline", "a", budget.Count{Spent: 20})
		s.result("late Settle", s.settle("1", 15), settled([]int64{15}, budget.Count{Spent: 15}))
		s.result("second late Settle", s.settle("1", 50), budget.Result{Outcome: budget.Settled, Replayed: true, Charged: []int64{15}})
		s.read("after Settle", "a", budget.Count{Spent: 15})
	}),
	newRule("sweep", "Sweep makes up to limit holds expire and returns their number. It sums the holds of one counter.", func(s suite) {
		s.Short(func(n int, ttl time.Duration) bool {
			a, b := fmt.Sprint("a", n), fmt.Sprint("b", n)
			s.reserve(reservation("kept"+a, s.entry(a, 100, 1), s.entry(b, 100, 1)))
			var first, last time.Time // the deadlines
			for i := range 3 {
				r := reservation(id(i)+a, s.entry(a, 100, 10), s.entry(b, 100, 5))
				r.TTL = ttl
				last = s.reserve(r).Deadline
				if i == 0 {
					first = last
				}
			}
			early, err := s.store.Sweep(s.Context(), 0)
			s.NoError(err)
			// Make no call between the first deadline and Sweep: other methods may expire holds
			// too, and Sweep does not count these.
			at := s.now()
			inTime, start := at.Before(first), time.Now()
			s.Until("the holds have expired", func() bool { return time.Since(start) > last.Sub(at) })
			two, err := s.store.Sweep(s.Context(), 2)
			s.NoError(err)
			rest, err := s.store.Sweep(s.Context(), 10)
			s.NoError(err)
			if inTime && (early != 0 || two != 2 || rest != 1) {
				s.Failf("Sweep(0), Sweep(2), Sweep(10) of 3 expired holds = %d, %d, %d, want 0, 2, 1", early, two, rest)
			}
			s.read("after Sweep", a, budget.Count{Spent: 30, Held: 1})
			s.read("after Sweep", b, budget.Count{Spent: 15, Held: 1})
			return inTime
		})
	}),
}

var readRules = []rule{
	newRule("since", "What counts for an entry is its counter, and if Since is before Start, all counters of the account and window from Since on.", func(s suite) {
		s.reserve(reservation("0", s.inHours("a", 2, 2, 100, 20)))
		s.settle("0", 15)
		s.result("Reserve in the next hour", s.reserve(reservation("1", s.inHours("a", 1, 2, 100, 30))), held(budget.Count{Spent: 15, Held: 30}))
		s.result("Reserve without capacity in the last hours", s.reserve(reservation("2", s.inHours("a", 0, 2, 100, 56))), exceeded(0, budget.Count{Spent: 15, Held: 30}))
		s.result("Reserve", s.reserve(reservation("3", s.inHours("a", 0, 2, 100, 55))), held(budget.Count{Spent: 15, Held: 85}))
		s.result("Reserve later", s.reserve(reservation("4", s.inHours("a", 0, 1, 100, 15))), held(budget.Count{Held: 100}))
		s.result("Extend", s.extend(reservation("3", s.inHours("a", 0, 2, 116, 56))), held(budget.Count{Spent: 15, Held: 101}))
		s.result("Extend without capacity", s.extend(reservation("3", s.inHours("a", 0, 2, 116, 57))), exceeded(0, budget.Count{Spent: 15, Held: 101}))
		s.result("Extend to less", s.extend(reservation("3", s.inHours("a", 0, 2, 116, 6))), held(budget.Count{Spent: 15, Held: 51}))
		s.result("Settle", s.settle("1", 10), settled([]int64{10}, budget.Count{Spent: 10}))
	}),
	newRule("read", "Read returns the counters of a tenant, an account and a window that begin at since or later, in the order of their start.", func(s suite) {
		for n := range 3 {
			s.reserve(reservation(id(n), s.inHours("a", n, n, 100, int64(n+1))))
		}
		s.reserve(reservation("other", s.entry("b", 100, 50)))
		counters, _, err := s.store.Read(s.Context(), "acme", "a", "day", s.start.Add(-time.Hour))
		s.NoError(err)
		end := s.start.Add(time.Hour)
		want := []budget.Counter{
			{Account: "a", Window: "day", Start: s.start.Add(-time.Hour), End: end, Max: 100, Count: budget.Count{Held: 2}},
			{Account: "a", Window: "day", Start: s.start, End: end, Max: 100, Count: budget.Count{Held: 1}},
		}
		if diff := cmp.Diff(want, counters); diff != "" {
			s.Failf("Read (-want +got):\n%s", diff)
		}
		s.readOf("another tenant", "other", "a")
	}),
	newRule("list", "List returns up to limit counters of a tenant whose End has not passed, in the order of account, window and start.", func(s suite) {
		s.reserve(reservation("1", s.entry("a", 100, 1), s.entry("b", 100, 2)))
		s.reserve(reservation("2", s.entry("b", 70, 3)))
		s.settle("1", 4, 5)
		week := s.entry("a", 30, 6)
		week.Window = "week"
		s.reserve(reservation("3", week))
		ended := s.entry("c", 100, 7)
		ended.End = s.start.Add(time.Minute)
		s.reserve(reservation("4", ended))
		foreign := reservation("5", s.entry("a", 100, 8))
		foreign.Tenant = "other"
		s.reserve(foreign)
		s.reserve(reservation("6", s.inHours("b", 1, 1, 100, 9)))
		end := s.start.Add(time.Hour)
		counter := func(account, window string, start time.Time, limit, spent, held int64) budget.Counter {
			return budget.Counter{Account: account, Window: window, Start: start, End: end, Max: limit, Count: budget.Count{Spent: spent, Held: held}}
		}
		want := []budget.Counter{
			counter("a", "day", s.start, 100, 4, 0), counter("a", "week", s.start, 30, 0, 6),
			counter("b", "day", s.start.Add(-time.Hour), 100, 0, 9), counter("b", "day", s.start, 70, 5, 3),
		}
		for _, limit := range []int{10, 3, 0} {
			got, _, err := s.store.List(s.Context(), "acme", limit)
			s.NoError(err)
			if diff := cmp.Diff(want[:min(limit, len(want))], append([]budget.Counter{}, got...)); diff != "" {
				s.Failf("List(%d) (-want +got):\n%s", limit, diff)
			}
		}
		many := budget.Reservation{Tenant: "many", ID: "7", TTL: time.Minute}
		for n := range 24 {
			many.Entries = append(many.Entries, s.inHours(fmt.Sprint(n/4), 3-n%4, 3-n%4, 100, int64(n)))
		}
		s.reserve(many)
		counters, _, err := s.store.List(s.Context(), "many", 100)
		s.NoError(err)
		for n, c := range counters {
			if c.Held != int64(n) {
				s.Failf("List of many counters: number %d = %+v, want that of entry %d", n, c, n)
			}
		}
	}),
}
