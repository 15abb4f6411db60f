// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/refresh"
)

var familyRaceRules = []familyRule{
	familyOf("race of creations", "Each method is atomic: of several that create one id, one does.",
		func(s families) {
			for round := range contract.Rounds {
				id := fmt.Sprint("race", round)
				var won, winner atomic.Int64
				contract.Together(contract.Racers, func(i int) {
					r := draft(id)
					r.Current = hashOf(id, i+1)
					if _, err := s.store.Create(s.Context(), r, time.Hour); err == nil {
						won.Add(1)
						winner.Store(int64(i) + 1)
					}
				})
				if won.Load() != 1 || s.find(id).Current != hashOf(id, int(winner.Load())) {
					s.Stopf("%d of %d have created the same id", won.Load(), contract.Racers)
				}
			}
		}),
	familyOf("race of rotations", "Each method is atomic: of several that present one token at once, one rotates it, and the others are told of the same successor.",
		func(s families) {
			for round := range contract.Rounds {
				id := fmt.Sprint("race", round)
				s.create(draft(id), time.Hour)
				var rotated atomic.Int64
				records := make([]refresh.Record, contract.Racers)
				contract.Together(contract.Racers, func(i int) {
					r, outcome, err := s.store.Rotate(s.Context(), id, present(id, 1, 100+i, time.Minute))
					switch {
					case err != nil:
						s.Failf("unexpected error: %v", err)
					case outcome == refresh.Rotated:
						rotated.Add(1)
					case outcome != refresh.Replayed:
						s.Failf("is %q", outcome)
					}
					records[i] = r
				})
				if n := rotated.Load(); n != 1 {
					s.Stopf("%d of %d have rotated the same token", n, contract.Racers)
				}
				want := s.find(id)
				for _, r := range records {
					s.same("one of them was told", r, want)
				}
			}
		}),
	familyOf("race without grace", "Each method is atomic: without grace, one of several that present one token at once rotates it, and the next one ends the family.",
		func(s families) {
			for round := range contract.Rounds {
				id := fmt.Sprint("race", round)
				s.create(draft(id), time.Hour)
				var mu sync.Mutex
				outcomes := make(map[refresh.Outcome]int)
				contract.Together(contract.Racers, func(i int) {
					_, outcome, err := s.store.Rotate(s.Context(), id, present(id, 1, 100+i, 0))
					if err != nil {
						s.Failf("unexpected error: %v", err)
					}
					mu.Lock()
					defer mu.Unlock()
					outcomes[outcome]++
				})
				if outcomes[refresh.Rotated] != 1 || outcomes[refresh.Reused] != 1 || outcomes[refresh.Revoked] != contract.Racers-2 {
					s.Stopf("outcomes are %v", outcomes)
				}
			}
		}),
	familyOf("race with an end", "A change is visible to every reader before the method returns: no token is rotated or replayed once the end of its family was acknowledged, nothing undoes it, and it undoes nothing.",
		func(s families) {
			for round := range contract.Rounds {
				id := fmt.Sprint("race", round)
				s.create(draft(id), time.Hour)
				var acknowledged atomic.Bool
				var newest, next, rotations atomic.Int64
				newest.Store(1)
				next.Store(1)
				var ended refresh.Record
				contract.Together(contract.Racers, func(i int) {
					if i == 0 {
						for range 3 { // not before the others are under way
							_, _ = s.store.Find(s.Context(), id)
						}
						var err error
						if ended, err = s.store.Revoke(s.Context(), id); err != nil {
							s.Failf("unexpected error: %v", err)
						}
						acknowledged.Store(true)
						return
					}
					for n, after := 0, 0; after < 3 && n < 10_000; n++ {
						late := acknowledged.Load()
						if late {
							after++
						}
						m := int(next.Add(1))
						_, outcome, err := s.store.Rotate(s.Context(), id, present(id, int(newest.Load()), m, time.Minute))
						switch {
						case err != nil:
							s.Failf("unexpected error: %v", err)
							return
						case late && outcome != refresh.Revoked:
							s.Failf("is %q after the end was acknowledged", outcome)
							return
						case outcome == refresh.Rotated:
							newest.Store(int64(m))
							rotations.Add(1)
						case outcome == refresh.Reused:
							return // a racer was late by two, and has ended it
						}
					}
				})
				got := s.find(id)
				if !got.Revoked.Equal(ended.Revoked) || got.Revoked.IsZero() || len(got.Successor) > 0 {
					s.Stopf("ended at %v, afterwards %v", ended.Revoked, got.Revoked)
				}
				if want := rotations.Load() + 1; got.Generation != want {
					s.Stopf("%d tokens were acknowledged, and then there are %d", want, got.Generation)
				}
			}
		}),
	familyOf("race of ends", "Each method is atomic: of several EndAll, each family is returned by one.",
		func(s families) {
			const all = 40
			for i := range all {
				s.create(draft(fmt.Sprint("race", i)), time.Hour)
			}
			var mu sync.Mutex
			seen := make(map[string]int)
			contract.Together(contract.Racers, func(int) {
				for {
					got, err := s.store.RevokeAll(s.Context(), refresh.Filter{Subject: "subject"}, 3)
					if err != nil {
						s.Failf("unexpected error: %v", err)
						return
					}
					mu.Lock()
					for _, r := range got {
						seen[r.ID]++
					}
					total := len(seen)
					mu.Unlock()
					if len(got) == 0 || total == all {
						return
					}
				}
			})
			for id, n := range seen {
				if n != 1 {
					s.Failf("%s was returned %d times", id, n)
				}
			}
			if len(seen) != all {
				s.Failf("%d of %d were returned", len(seen), all)
			}
		}),
}
