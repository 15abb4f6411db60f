// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

var raceRules = []rule{
	{
		"race of creations", "Each method is atomic: of concurrent creations of one ID, one succeeds.",
		func(s suite) {
			for round := range contract.Rounds {
				id := keyID(round)
				s.oneWins("Create", func(i int) (won bool) {
					r := draft(id)
					r.Current = hashOf(id, i)
					_, err := s.store.Create(s.Context(), r)
					return err == nil
				}, func(i int) bool { return s.find(id).Current == hashOf(id, i) })
			}
		},
	},
	{
		"race of conditional rotations", "Each method is atomic: of concurrent rotations of one generation, one succeeds, and the others return ErrConflict.",
		func(s suite) {
			for round := range contract.Rounds {
				id := keyID(round)
				s.create(draft(id))
				s.oneWins("Rotate", func(i int) (won bool) {
					r := rotation(id, 100+i)
					r.Generation = 1
					_, err := s.store.Rotate(s.Context(), id, r)
					if err != nil && !errors.Is(err, apikey.ErrConflict) {
						s.Failf("Rotate error = %v, want ErrConflict", err)
					}
					return err == nil
				}, func(i int) bool {
					got := s.find(id)
					return got.Generation == 2 && got.Current == hashOf(id, 100+i) && got.Previous == hashOf(id, 1)
				})
			}
		},
	},
	{
		"race of rotations", "Each method is atomic: concurrent rotations follow each other.",
		func(s suite) {
			for round := range contract.Rounds {
				id := keyID(round)
				var mu sync.Mutex
				steps := map[int64]apikey.Record{1: s.create(draft(id))}
				contract.Together(contract.Racers, func(i int) {
					got, err := s.store.Rotate(s.Context(), id, rotation(id, 100+i))
					mu.Lock()
					defer mu.Unlock()
					if _, ok := steps[got.Generation]; err != nil || ok || got.Current != hashOf(id, 100+i) {
						s.Failf("Rotate: error = %v, Generation = %d, want a new one with the secret of the rotation", err, got.Generation)
					}
					steps[got.Generation] = got
				})
				for n := int64(2); n <= contract.Racers+1; n++ {
					if steps[n].Previous != steps[n-1].Current || steps[n].ID == "" {
						s.Stopf("Previous of generation %d is not Current of generation %d", n, n-1)
					}
				}
				s.same("Find", s.find(id), steps[contract.Racers+1])
			}
		},
	},
	{
		"race of a revocation", "A change is visible to all readers before the method returns, and no concurrent rotation, suspension or use resets a revocation.",
		func(s suite) {
			for round := range contract.Rounds {
				id := keyID(round)
				s.create(draft(id))
				var returned atomic.Bool
				var calls, left atomic.Int64
				var revoked apikey.Record
				contract.Together(contract.Racers, func(i int) {
					if i == 0 {
						for calls.Load() < int64(contract.Racers+round) && left.Load() == 0 { // until the others are busy
							runtime.Gosched()
						}
						var err error
						if revoked, err = s.store.Revoke(s.Context(), id); err != nil {
							s.Failf("Revoke error = %v, want nil", err)
						}
						returned.Store(true)
						return
					}
					defer left.Add(1)
					for n, after := 0, 0; after < 3 && n < 10_000; n++ {
						calls.Add(1)
						late := returned.Load()
						if late {
							after++
						}
						if !s.raceWithRevocation(i, n, id, late) {
							return
						}
						runtime.Gosched() // to the goroutine that revokes
					}
				})
				if got := s.find(id); !got.Revoked.Equal(revoked.Revoked) || got.Revoked.IsZero() {
					s.Stopf("Revoked = %v after the race, want %v", got.Revoked, revoked.Revoked)
				}
			}
		},
	},
	{
		"race of revocations", "Each method is atomic: all concurrent revocations of a key return the same time.",
		func(s suite) {
			for round := range contract.Rounds {
				id := keyID(round)
				s.create(draft(id))
				results := make([]apikey.Record, contract.Racers)
				contract.Together(contract.Racers, func(i int) {
					var err error
					if results[i], err = s.store.Revoke(s.Context(), id); err != nil {
						s.Failf("Revoke error = %v, want nil", err)
					}
				})
				want := s.find(id).Revoked
				for _, got := range results {
					if !got.Revoked.Equal(want) || want.IsZero() {
						s.Stopf("Revoke: Revoked = %v, want %v", got.Revoked, want)
					}
				}
			}
		},
	},
	{
		"race of bulk revocations", "Each method is atomic: of concurrent calls of RevokeAll, one returns each key.",
		func(s suite) {
			const keys = 40
			for i := range keys {
				s.create(draft(keyID(i)))
			}
			var mu sync.Mutex
			seen := make(map[string]int)
			contract.Together(contract.Racers, func(int) {
				for {
					got, err := s.store.RevokeAll(s.Context(), apikey.Filter{Tenant: "tenant"}, 3)
					if err != nil {
						s.Failf("RevokeAll error = %v, want nil", err)
						return
					}
					mu.Lock()
					for _, r := range got {
						seen[r.ID]++
					}
					total := len(seen)
					mu.Unlock()
					if len(got) == 0 || total == keys {
						return
					}
				}
			})
			if rest := s.revokeAll(apikey.Filter{Tenant: "tenant"}, keys); len(rest) > 0 || len(seen) != keys {
				s.Failf("RevokeAll returned %d keys and left %d, want %d and 0", len(seen), len(rest), keys)
			}
			for id, n := range seen {
				if n != 1 {
					s.Failf("RevokeAll returned key %s %d times, want once", id, n)
				}
			}
		},
	},
	{
		"race of uses", "Each method is atomic: no use that was written is lost, and of concurrent calls within every, one writes.",
		func(s suite) {
			for round := range contract.Rounds {
				once, always := keyID(round), keyID(1000+round)
				s.create(draft(once))
				s.create(draft(always))
				var written atomic.Int32
				contract.Together(contract.Racers, func(int) {
					for range 4 {
						first, err := s.store.Touch(s.Context(), once, 1, 1<<40)
						if err != nil {
							s.Failf("Touch error = %v, want nil", err)
						}
						if first {
							written.Add(1)
						}
						if ok, err := s.store.Touch(s.Context(), always, 3, 0); err != nil || !ok {
							s.Failf("Touch(every 0) = %t, %v, want true", ok, err)
						}
					}
				})
				if n, uses := written.Load(), s.find(once).Uses; n != 1 || uses != 1 {
					s.Failf("%d calls of Touch within every wrote, Uses = %d, want 1 and 1", n, uses)
				}
				if uses := s.find(always).Uses; uses != 4*3*contract.Racers {
					s.Failf("Uses = %d, want %d", uses, 4*3*contract.Racers)
				}
			}
		},
	},
}

// oneWins runs a race and checks that one call wins it, and that the store then has
// the record of the winner.
func (s suite) oneWins(call string, race, stored func(i int) bool) {
	s.Helper()
	var won atomic.Int32
	var winner atomic.Int64
	contract.Together(contract.Racers, func(i int) {
		if race(i) {
			won.Add(1)
			winner.Store(int64(i))
		}
	})
	if won.Load() != 1 {
		s.Stopf("%d of %d concurrent calls of %s succeeded, want 1", won.Load(), contract.Racers, call)
	}
	if !stored(int(winner.Load())) {
		s.Failf("the record is not that of the successful %s", call)
	}
}

// raceWithRevocation makes the n-th call of goroutine i. late is true if Revoke returned
// before the call. It reports whether to continue.
func (s suite) raceWithRevocation(i, n int, id string, late bool) bool {
	var got apikey.Record
	var err error
	rotates := i%4 == 0
	switch i % 4 {
	case 0:
		got, err = s.store.Rotate(s.Context(), id, rotation(id, 100+i))
	case 1:
		got, err = s.store.Suspend(s.Context(), id, n%2 == 0)
	case 2:
		if _, err = s.store.Touch(s.Context(), id, 1, 0); err == nil {
			got, err = s.store.Find(s.Context(), id)
		}
	case 3:
		got, err = s.store.Find(s.Context(), id)
	}
	switch {
	case err != nil && (!rotates || !errors.Is(err, apikey.ErrConflict)):
		s.Failf("unexpected error: %v", err)
	case late && rotates && err == nil:
		s.Failf("Rotate succeeded after Revoke had returned, want ErrConflict")
	case late && err == nil && got.Revoked.IsZero():
		s.Failf("Revoked is zero after Revoke has returned")
	default:
		return true
	}
	return false
}
