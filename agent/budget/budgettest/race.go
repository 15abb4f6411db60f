// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"fmt"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

var raceRules = []rule{
	newRule("race for capacity", "Of several concurrent calls, those that do not fit together are refused.", func(s suite) {
		for round := range contract.Rounds {
			a, b := fmt.Sprint("a", round), fmt.Sprint("b", round)
			var admitted atomic.Int64
			contract.Together(contract.Racers, func(i int) {
				entries := []budget.Entry{s.entry(a, 50, 10), s.entry(b, 1000, 10)}
				r, err := s.store.Reserve(s.Context(), reservation(fmt.Sprint(round, "-", i), entries...))
				if err != nil {
					s.Failf("unexpected error: %v", err)
				}
				if r.Outcome == budget.Held {
					admitted.Add(1)
				}
			})
			if n := admitted.Load(); n != 5 {
				s.Failf("%d calls of 10 were admitted with a limit of 50, want 5", n)
			}
			if c := s.total(b); c.Held != 10*admitted.Load() {
				s.Failf("the other account holds %d, want %d", c.Held, 10*admitted.Load())
			}
		}
	}),
	newRule("race of replays", "Of several concurrent calls of Reserve with one ID, one records the hold. Of several of Settle, one charges it.", func(s suite) {
		for round := range contract.Rounds {
			account := fmt.Sprint("a", round)
			var first, charged atomic.Int64
			contract.Together(contract.Racers, func(int) {
				r, err := s.store.Reserve(s.Context(), reservation(id(round), s.entry(account, 100, 10)))
				if err != nil || r.Outcome != budget.Held {
					s.Failf("Reserve = %v, %v, want a hold", r.Outcome, err)
				}
				if !r.Replayed {
					first.Add(1)
				}
			})
			if c := s.total(account); first.Load() != 1 || c.Held != 10 {
				s.Failf("%d calls recorded the hold, and %d are held, want 1 and 10", first.Load(), c.Held)
			}
			contract.Together(contract.Racers, func(i int) {
				r, err := s.store.Settle(s.Context(), "acme", id(round), []int64{int64(i + 1)})
				if err != nil || r.Outcome != budget.Settled {
					s.Failf("Settle = %v, %v, want settled", r.Outcome, err)
				}
				if err == nil && !r.Replayed {
					charged.Add(int64(i + 1))
				}
			})
			if c := s.total(account); c.Held != 0 || c.Spent != charged.Load() {
				s.Failf("after Settle %+v, want %d spent", c, charged.Load())
			}
		}
	}),
	newRule("race of growth", "Of several concurrent calls of Extend, those that do not fit together are refused.", func(s suite) {
		for round := range contract.Rounds {
			account := fmt.Sprint("a", round)
			for i := range contract.Racers {
				s.reserve(reservation(fmt.Sprint(round, "-", i), s.entry(account, 100, 1)))
			}
			var grown atomic.Int64
			contract.Together(contract.Racers, func(i int) {
				r, err := s.store.Extend(s.Context(), reservation(fmt.Sprint(round, "-", i), s.entry(account, 46, 11)))
				if err != nil {
					s.Failf("unexpected error: %v", err)
				}
				if r.Outcome == budget.Held {
					grown.Add(1)
				}
			})
			if n := grown.Load(); n != 3 {
				s.Failf("%d holds grew by 10 with capacity for 30, want 3", n)
			}
		}
	}),
}
