// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"context"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

var reserveRules = []rule{
	newRule("reserve", "Reserve records a hold, if the sum of what is spent and held, plus Amount, is at most Limit.", func(s suite) {
		r := s.reserve(reservation("1", s.entry("a", 100, 60)))
		s.result("Reserve of 60", r, held(budget.Count{Held: 60}))
		if ttl := r.Deadline.Sub(r.At); ttl != 20*time.Minute {
			s.Failf("Deadline is %v after At, want the TTL, 20m", ttl)
		}
		s.result("Reserve of 41", s.reserve(reservation("2", s.entry("a", 100, 41))), exceeded(0, budget.Count{Held: 60}))
		s.result("Reserve of 40", s.reserve(reservation("3", s.entry("a", 100, 40))), held(budget.Count{Held: 100}))
		s.result("Reserve of 1", s.reserve(reservation("4", s.entry("a", 100, 1))), exceeded(0, budget.Count{Held: 100}))
		s.result("Settle", s.settle("1", 30), settled([]int64{30}, budget.Count{Spent: 30, Held: 40}))
		s.result("Reserve of 31", s.reserve(reservation("5", s.entry("a", 100, 31))), exceeded(0, budget.Count{Spent: 30, Held: 40}))
		s.result("Reserve of 30", s.reserve(reservation("6", s.entry("a", 100, 30))), held(budget.Count{Spent: 30, Held: 70}))
	}),
	newRule("limit", "The limit is that of the call: calls of one account may have different ones. An empty counter has no capacity above Limit, and an amount of 0 always fits.", func(s suite) {
		s.result("Reserve above the limit", s.reserve(reservation("1", s.entry("a", 10, 11))), exceeded(0, budget.Count{}))
		s.result("Reserve with a higher limit", s.reserve(reservation("2", s.entry("a", 20, 11))), held(budget.Count{Held: 11}))
		s.result("Reserve with a lower limit", s.reserve(reservation("3", s.entry("a", 10, 1))), exceeded(0, budget.Count{Held: 11}))
		s.result("Reserve of nothing", s.reserve(reservation("4", s.entry("a", 10, 0))), held(budget.Count{Held: 11}))
		s.result("Reserve of nothing with the limit 0", s.reserve(reservation("5", s.entry("b", 0, 0))), held(budget.Count{}))
		spare := s.entry("c", 100, 60)
		spare.Limit = 50
		s.result("Reserve above Limit and below Max", s.reserve(reservation("6", spare)), exceeded(0, budget.Count{}))
	}),
	newRule("large", "Amounts and limits are exact up to MaxAmount.", func(s suite) {
		const most = budget.MaxAmount
		s.result("Reserve of all but two", s.reserve(reservation("1", s.entry("a", most, most-2))), held(budget.Count{Held: most - 2}))
		s.result("Reserve of three", s.reserve(reservation("2", s.entry("a", most, 3))), exceeded(0, budget.Count{Held: most - 2}))
		s.result("Reserve of the last two", s.reserve(reservation("3", s.entry("a", most, 2))), held(budget.Count{Held: most}))
		s.result("Reserve of one more", s.reserve(reservation("4", s.entry("a", most, 1))), exceeded(0, budget.Count{Held: most}))
		s.result("Settle", s.settle("1", most), settled([]int64{most}, budget.Count{Spent: most, Held: 2}))
		s.result("Settle", s.settle("3", 0), settled([]int64{0}, budget.Count{Spent: most}))
	}),
	newRule("all or nothing", "If one entry does not fit, Reserve changes nothing and returns the index of the first one that does not fit.", func(s suite) {
		entries := func(a, b, c int64) []budget.Entry {
			return []budget.Entry{s.entry("a", 100, a), s.entry("b", 50, b), s.entry("c", 10, c)}
		}
		s.result("Reserve", s.reserve(reservation("1", entries(10, 10, 5)...)), held(budget.Count{Held: 10}, budget.Count{Held: 10}, budget.Count{Held: 5}))
		s.result("Reserve without capacity in the last", s.reserve(reservation("2", entries(10, 10, 6)...)), exceeded(2, budget.Count{Held: 5}))
		s.result("Reserve without capacity in the last two", s.reserve(reservation("3", entries(10, 41, 6)...)), exceeded(1, budget.Count{Held: 10}))
		for _, account := range []string{"a", "b"} {
			s.read("after refusals", account, budget.Count{Held: 10})
		}
		s.result("Settle", s.settle("1", 1, 2, 3), settled([]int64{1, 2, 3}, budget.Count{Spent: 1}, budget.Count{Spent: 2}, budget.Count{Spent: 3}))
		s.result("Settle of a refused call", s.settle("2", 1, 2, 3), budget.Result{Outcome: budget.Absent})
	}),
	newRule("names", "A counter is identified by tenant, account, window and start, a hold by tenant and ID. Two names are the same if all of their bytes are.", func(s suite) {
		names := []string{"a", "A", "a ", "ä", `a"b`, `a\b`, "a'b", "a,b", "{a}", "a:b", "a/b", "%a", "NULL", "1", "1:a"}
		for i, name := range names {
			e := s.entry(name, 10, int64(i+1))
			r := reservation(name, e)
			s.result("Reserve of "+name, s.reserve(r), held(budget.Count{Held: int64(i + 1)}))
			r.Tenant = "other"
			s.result("Reserve of another tenant", s.reserve(budget.Reservation{Tenant: name, ID: "x", TTL: time.Minute, Entries: []budget.Entry{e}}), held(budget.Count{Held: int64(i + 1)}))
			if i == 9 {
				names = names[:10] // the limits are 10
				break
			}
		}
		for i, name := range names {
			s.read("after Reserve", name, budget.Count{Held: int64(i + 1)})
			s.readOf("after Reserve", name, name, budget.Count{Held: int64(i + 1)})
		}
		window := s.entry("a", 10, 10)
		window.Window = "week"
		s.result("Reserve in another window", s.reserve(reservation("w", window)), held(budget.Count{Held: 10}))
		s.result("Reserve in an earlier counter", s.reserve(reservation("s", s.inHours("a", 1, 1, 100, 10))), held(budget.Count{Held: 10}))
	}),
	newRule("replay", "If the tenant has a hold with this ID, Replayed is true, and the outcome is the state of that hold, or Differs.", func(s suite) {
		r := reservation("1", s.entry("a", 100, 60), s.entry("b", 100, 60))
		first := s.reserve(r)
		again := s.reserve(r)
		s.result("Reserve again", again, budget.Result{Outcome: budget.Held, Replayed: true})
		if !again.Deadline.Equal(first.Deadline) {
			s.Failf("Deadline of the replay = %v, want that of the hold, %v", again.Deadline, first.Deadline)
		}
		later := r
		later.TTL = time.Hour
		if again := s.reserve(later); !again.Deadline.Equal(first.Deadline) {
			s.Failf("Deadline of a replay with another TTL = %v, want that of the hold, %v", again.Deadline, first.Deadline)
		}
		s.read("after replays", "a", budget.Count{Held: 60})
		differs := budget.Result{Outcome: budget.Differs, Replayed: true}
		s.result("Reserve of another amount", s.reserve(reservation("1", s.entry("a", 100, 60), s.entry("b", 100, 59))), differs)
		s.result("Reserve of another account", s.reserve(reservation("1", s.entry("a", 100, 60), s.entry("c", 100, 60))), differs)
		s.reserve(reservation("2", s.entry("xy", 100, 60)))
		for _, account := range []string{"x", "xyz", "XY"} {
			s.result("Reserve of the account "+account, s.reserve(reservation("2", s.entry(account, 100, 60))), differs)
		}
		s.result("Reserve of fewer entries", s.reserve(reservation("1", s.entry("a", 100, 60))), differs)
		for _, window := range []string{"month", "da", "day@Europe/Berlin"} {
			other := s.entry("b", 100, 60)
			other.Window = window
			s.result("Reserve in the window "+window, s.reserve(reservation("1", s.entry("a", 100, 60), other)), differs)
		}
		s.result("Reserve in another counter", s.reserve(reservation("1", s.entry("a", 100, 60), s.inHours("b", 1, 1, 100, 60))), differs)
		s.read("after replays", "a", budget.Count{Held: 60})
		s.read("after replays", "c")
		s.settle("1", 7, 8)
		s.result("Reserve of an ended call", s.reserve(r), budget.Result{Outcome: budget.Settled, Replayed: true, Charged: []int64{7, 8}})
		s.read("after Settle", "b", budget.Count{Spent: 8})
	}),
	newRule("moved", "The outcome is Moved if the time of the store is not between Start and Next of every entry.", func(s suite) {
		moved := budget.Result{Outcome: budget.Moved}
		past, future := s.entry("b", 100, 1), s.entry("b", 100, 1)
		past.Next = s.start.Add(time.Minute)
		future.Start = s.start.Add(50 * time.Minute)
		s.result("Reserve in the past", s.reserve(reservation("1", s.entry("a", 100, 1), past)), moved)
		s.result("Reserve in the future", s.reserve(reservation("2", s.entry("a", 100, 1), future)), moved)
		past.Amount = 101 // does not fit either
		s.result("Reserve of too much in the past", s.reserve(reservation("2", s.entry("a", 100, 101), past)), moved)
		s.read("after Moved", "a")
		r := reservation("3", s.entry("a", 100, 1))
		s.reserve(r)
		r.Entries[0].Next = past.Next
		s.result("replay in the past", s.reserve(r), budget.Result{Outcome: budget.Held, Replayed: true})
	}),
	newRule("extend", "Extend sets the amounts and floors of a hold, and its deadline to TTL from now. An entry whose amount grows must fit.", func(s suite) {
		s.reserve(reservation("1", s.entry("a", 100, 60), s.entry("b", 100, 60)))
		r := reservation("1", s.entry("a", 100, 90), s.entry("b", 100, 50))
		r.TTL = time.Hour
		e := s.extend(r)
		s.result("Extend", e, held(budget.Count{Held: 90}, budget.Count{Held: 50}))
		if ttl := e.Deadline.Sub(e.At); ttl != time.Hour {
			s.Failf("Deadline is %v after At, want the TTL, 1h", ttl)
		}
		s.result("the same Extend", s.extend(r), held(budget.Count{Held: 90}, budget.Count{Held: 50}))
		s.result("Extend above the limit", s.extend(reservation("1", s.entry("a", 100, 95), s.entry("b", 100, 101))), exceeded(1, budget.Count{Held: 50}))
		s.read("after a refused Extend", "a", budget.Count{Held: 90})
		s.result("Extend without more", s.extend(reservation("1", s.entry("a", 1, 90), s.entry("b", 1, 50))), held(budget.Count{Held: 90}, budget.Count{Held: 50}))
		s.result("Extend of other counters", s.extend(reservation("1", s.entry("a", 100, 90), s.entry("c", 100, 50))), budget.Result{Outcome: budget.Differs})
		s.result("Extend of fewer counters", s.extend(reservation("1", s.entry("a", 100, 90))), budget.Result{Outcome: budget.Differs})
		s.result("Extend of no hold", s.extend(reservation("2", s.entry("a", 100, 90))), budget.Result{Outcome: budget.Absent})
		s.result("Settle", s.settle("1", 1, 2), settled([]int64{1, 2}, budget.Count{Spent: 1}, budget.Count{Spent: 2}))
		s.result("Extend of an ended call", s.extend(r), budget.Result{Outcome: budget.Settled, Charged: []int64{1, 2}})
	}),
	newRule("canceled context", "If the context is already done, a method changes nothing and returns an error.", func(s suite) {
		r := reservation("1", s.entry("a", 100, 60))
		s.reserve(r)
		canceled, cancel := context.WithCancel(s.Context())
		cancel()
		errs := map[string]error{}
		_, errs["Reserve"] = s.store.Reserve(canceled, reservation("2", s.entry("a", 100, 10)))
		_, errs["Extend"] = s.store.Extend(canceled, reservation("1", s.entry("a", 100, 70)))
		_, errs["Settle"] = s.store.Settle(canceled, "acme", "1", []int64{1})
		_, _, errs["Read"] = s.store.Read(canceled, "acme", "a", "day", s.start)
		_, _, errs["List"] = s.store.List(canceled, "acme", 1)
		_, errs["Sweep"] = s.store.Sweep(canceled, 1)
		for name, err := range errs {
			if err == nil {
				s.Failf("%s with a canceled context: no error", name)
			}
		}
		s.read("after canceled calls", "a", budget.Count{Held: 60})
	}),
}
