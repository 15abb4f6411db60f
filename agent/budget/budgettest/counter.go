// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

var counterRules = []rule{
	newRule("large sum", "What a counter has spent is kept within 0 and MaxAmount: no store refuses a settlement because of a large sum.", func(s suite) {
		const most = budget.MaxAmount
		for n := range 2 {
			s.reserve(reservation(id(n), s.entry("a", most, 0)))
			s.result("Settle", s.settle(id(n), most), settled([]int64{most}, budget.Count{Spent: most}))
		}
		s.read("after two of MaxAmount", "a", budget.Count{Spent: most})
		s.result("Reserve of one more", s.reserve(reservation("more", s.entry("a", most, 1))), exceeded(0, budget.Count{Spent: most}))
		var last time.Time
		for n, amount := range []int64{most, 0} {
			e := s.entry("b", most, amount)
			e.Floor = most
			r := reservation(id(2+n), e)
			r.TTL = short
			last = s.reserve(r).Deadline
		}
		s.until(last)
		s.read("after two floors of MaxAmount", "b", budget.Count{Spent: most})
		for n := range 2 {
			s.result("late Settle", s.settle(id(2+n), 0), settled([]int64{0}, budget.Count{}))
		}
	}),
	newRule("max", "Max is that of the last Reserve or Extend that was neither refused nor a replay.", func(s suite) {
		check := func(what string, want int64) {
			counters, _, err := s.store.List(s.Context(), "acme", 10)
			s.NoError(err)
			if len(counters) != 2 || counters[0].Max != want || counters[1].Max != want {
				s.Failf("List after %s = %v, want the counters of a and b with the Max %d", what, counters, want)
			}
		}
		entries := func(limit, amount int64) []budget.Entry {
			return []budget.Entry{s.entry("a", limit, amount), s.entry("b", limit, 0)}
		}
		s.reserve(reservation("1", entries(100, 9)...))
		s.reserve(reservation("2", entries(70, 9)...))
		check("Reserve", 70)
		s.result("replay", s.reserve(reservation("2", entries(60, 9)...)), budget.Result{Outcome: budget.Held, Replayed: true})
		check("a replay", 70)
		s.settle("1", 0, 0)
		check("Settle of an earlier call", 70)
		s.result("Reserve without capacity", s.reserve(reservation("3", append(entries(60, 1), s.entry("c", 1, 2))...)), exceeded(2, budget.Count{}))
		check("a refused Reserve", 70)
		s.extend(reservation("2", entries(50, 8)...))
		check("Extend to less", 50)
		refused := entries(40, 9)
		refused[1].Amount = 41
		s.result("Extend without capacity", s.extend(reservation("2", refused...)), exceeded(1, budget.Count{}))
		check("a refused Extend", 50)
	}),
}
