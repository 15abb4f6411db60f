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

var raceRules = []rule{
	newRule("race of creations", "Each method is atomic: of several calls of Create with one ID, one succeeds.",
		func(s suite) {
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
					s.Stopf("%d of %d calls of Create with one ID succeeded, want 1", won.Load(), contract.Racers)
				}
			}
		}),
	newRule("race of rotations", "Each method is atomic: of several calls of Rotate with one token, one rotates it, and the others return the same successor.",
		func(s suite) {
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
						s.Failf("outcome = %q, want %q or %q", outcome, refresh.Rotated, refresh.Replayed)
					}
					records[i] = r
				})
				if n := rotated.Load(); n != 1 {
					s.Stopf("%d of %d calls of Rotate rotated the token, want 1", n, contract.Racers)
				}
				want := s.find(id)
				for _, r := range records {
					s.same("returned by one call", r, want)
				}
			}
		}),
	newRule("race without grace", "Each method is atomic: without a grace period, one of several calls of Rotate with one token rotates it, and the next one revokes the family.",
		func(s suite) {
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
					s.Stopf("outcomes = %v, want 1 rotated, 1 reused, %d revoked", outcomes, contract.Racers-2)
				}
			}
		}),
	newRule("race of rotation and revocation", "A change is visible to every reader before the method returns: after Revoke has returned, no token is rotated or replayed, and no change is lost.",
		func(s suite) {
			for round := range contract.Rounds {
				id := fmt.Sprint("race", round)
				s.create(draft(id), time.Hour)
				var returned atomic.Bool
				var newest, next, rotations atomic.Int64
				newest.Store(1)
				next.Store(1)
				var revoked refresh.Record
				contract.Together(contract.Racers, func(i int) {
					if i == 0 {
						for range 3 { // let the others begin
							_, _ = s.store.Find(s.Context(), id)
						}
						var err error
						if revoked, err = s.store.Revoke(s.Context(), id); err != nil {
							s.Failf("unexpected error: %v", err)
						}
						returned.Store(true)
						return
					}
					for n, after := 0, 0; after < 3 && n < 10_000; n++ {
						late := returned.Load()
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
							s.Failf("outcome = %q after Revoke has returned, want %q", outcome, refresh.Revoked)
							return
						case outcome == refresh.Rotated:
							newest.Store(int64(m))
							rotations.Add(1)
						case outcome == refresh.Reused:
							return // the token of a slow racer was rotated twice
						}
					}
				})
				got := s.find(id)
				if !got.Revoked.Equal(revoked.Revoked) || got.Revoked.IsZero() || len(got.Successor) > 0 {
					s.Stopf("Revoked = %v, want %v as Revoke has returned", got.Revoked, revoked.Revoked)
				}
				if want := rotations.Load() + 1; got.Generation != want {
					s.Stopf("Generation = %d, want %d after the successful calls of Rotate", got.Generation, want)
				}
			}
		}),
	newRule("race of revocations", "Each method is atomic: of several calls of RevokeAll, one returns a family.",
		func(s suite) {
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
					s.Failf("%s was returned by %d calls, want 1", id, n)
				}
			}
			if len(seen) != all {
				s.Failf("%d of %d families were returned", len(seen), all)
			}
		}),
}
