// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

var raceRules = []rule{
	{
		"race of creations", "Each method is atomic: of several that create one id, one does.",
		func(s suite, store apikey.Store) {
			for round := range contract.Rounds {
				id := keyID(round)
				var won atomic.Int32
				var winner atomic.Int64
				contract.Together(contract.Racers, func(i int) {
					r := draft(id)
					r.Current = hashOf(id, i)
					if _, err := store.Create(s.Context(), r); err == nil {
						won.Add(1)
						winner.Store(int64(i))
					}
				})
				if won.Load() != 1 {
					s.Stopf("%d of %d have created the same id", won.Load(), contract.Racers)
				}
				if s.find(store, id).Current != hashOf(id, int(winner.Load())) {
					s.Failf("what is stored is not what was created")
				}
			}
		},
	},
	{
		"race of conditional rotations", "Each method is atomic: of several that rotate one generation, one does, and the others are ErrConflict.",
		func(s suite, store apikey.Store) {
			for round := range contract.Rounds {
				id := keyID(round)
				s.create(store, draft(id))
				var won atomic.Int32
				var winner atomic.Int64
				contract.Together(contract.Racers, func(i int) {
					r := rotation(id, 100+i)
					r.Generation = 1
					switch _, err := store.Rotate(s.Context(), id, r); {
					case err == nil:
						won.Add(1)
						winner.Store(int64(i))
					case !errors.Is(err, apikey.ErrConflict):
						s.Failf("unexpected error: %v", err)
					}
				})
				got := s.find(store, id)
				if won.Load() != 1 || got.Generation != 2 {
					s.Stopf("%d of %d have rotated the same generation, it is now %d", won.Load(), contract.Racers, got.Generation)
				}
				if got.Current != hashOf(id, 100+int(winner.Load())) || got.Previous != hashOf(id, 1) {
					s.Failf("what is stored is not what was rotated")
				}
			}
		},
	},
	{
		"race of rotations", "Each method is atomic: every rotation follows another one.",
		func(s suite, store apikey.Store) {
			for round := range contract.Rounds {
				id := keyID(round)
				first := s.create(store, draft(id))
				var mu sync.Mutex
				steps := map[int64]apikey.Record{1: first}
				contract.Together(contract.Racers, func(i int) {
					got, err := store.Rotate(s.Context(), id, rotation(id, 100+i))
					if err != nil {
						s.Failf("unexpected error: %v", err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if _, ok := steps[got.Generation]; ok || got.Current != hashOf(id, 100+i) {
						s.Failf("generation %d came twice, or with the secret of somebody else", got.Generation)
					}
					steps[got.Generation] = got
				})
				for n := int64(2); n <= contract.Racers+1; n++ {
					if steps[n].Previous != steps[n-1].Current || steps[n].ID == "" {
						s.Stopf("generation %d does not follow the one before", n)
					}
				}
				s.same("found", s.find(store, id), steps[contract.Racers+1])
			}
		},
	},
	{
		"race of a revocation", "A change is visible to every reader before the method returns, and nothing undoes a revocation: no rotation, suspension or use that goes on meanwhile.",
		func(s suite, store apikey.Store) {
			for round := range contract.Rounds {
				id := keyID(round)
				s.create(store, draft(id))
				var acknowledged atomic.Bool
				var revoked apikey.Record
				contract.Together(contract.Racers, func(i int) {
					if i == 0 {
						// Not before the others are under way.
						for range 3 {
							_, _ = store.Find(s.Context(), id)
						}
						var err error
						if revoked, err = store.Revoke(s.Context(), id); err != nil {
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
						var got apikey.Record
						var err error
						switch i % 4 {
						case 0:
							got, err = store.Rotate(s.Context(), id, rotation(id, 100+i))
						case 1:
							got, err = store.Suspend(s.Context(), id, n%2 == 0)
						case 2:
							if _, err = store.Touch(s.Context(), id, 1, 0); err == nil {
								got, err = store.Find(s.Context(), id)
							}
						case 3:
							got, err = store.Find(s.Context(), id)
						}
						switch {
						case err != nil && (i%4 != 0 || !errors.Is(err, apikey.ErrConflict)):
							s.Failf("unexpected error: %v", err)
							return
						case late && i%4 == 0 && err == nil:
							s.Failf("a key was rotated after its revocation was acknowledged")
							return
						case late && err == nil && got.Revoked.IsZero():
							s.Failf("a key was good after its revocation was acknowledged")
							return
						}
					}
				})
				if got := s.find(store, id); !got.Revoked.Equal(revoked.Revoked) || got.Revoked.IsZero() {
					s.Stopf("revoked at %v, afterwards %v", revoked.Revoked, got.Revoked)
				}
			}
		},
	},
	{
		"race of revocations", "Each method is atomic: a key is revoked once, whoever is told.",
		func(s suite, store apikey.Store) {
			for round := range contract.Rounds {
				id := keyID(round)
				s.create(store, draft(id))
				results := make([]apikey.Record, contract.Racers)
				contract.Together(contract.Racers, func(i int) {
					var err error
					if results[i], err = store.Revoke(s.Context(), id); err != nil {
						s.Failf("unexpected error: %v", err)
					}
				})
				want := s.find(store, id).Revoked
				for _, got := range results {
					if !got.Revoked.Equal(want) || want.IsZero() {
						s.Stopf("one was told %v, another %v", got.Revoked, want)
					}
				}
			}
		},
	},
	{
		"race of bulk revocations", "Each method is atomic: of several RevokeAll, each key is returned by one.",
		func(s suite, store apikey.Store) {
			const keys = 40
			for i := range keys {
				s.create(store, draft(keyID(i)))
			}
			var mu sync.Mutex
			seen := make(map[string]int)
			contract.Together(contract.Racers, func(int) {
				for {
					got, err := store.RevokeAll(s.Context(), apikey.Filter{Tenant: "tenant"}, 3)
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
					if len(got) == 0 || total == keys {
						return
					}
				}
			})
			rest, err := store.RevokeAll(s.Context(), apikey.Filter{Tenant: "tenant"}, keys)
			if n := len(must(s, rest, err)); n > 0 {
				s.Failf("%d were left when none were returned", n)
			}
			if len(seen) != keys {
				s.Failf("%d of %d were returned", len(seen), keys)
			}
			for id, n := range seen {
				if n != 1 {
					s.Failf("%s was returned %d times", id, n)
				}
			}
		},
	},
	{
		"race of uses", "Each method is atomic: no use that was written is lost, and of several within the pause one is written.",
		func(s suite, store apikey.Store) {
			for round := range contract.Rounds {
				once, always := keyID(round), keyID(1000+round)
				s.create(store, draft(once))
				s.create(store, draft(always))
				var written atomic.Int32
				contract.Together(contract.Racers, func(int) {
					for range 4 {
						first, err := store.Touch(s.Context(), once, 1, 1<<40)
						if err != nil {
							s.Failf("unexpected error: %v", err)
						}
						if first {
							written.Add(1)
						}
						if ok, err := store.Touch(s.Context(), always, 3, 0); err != nil || !ok {
							s.Failf("a touch without pause was not written: %v", err)
						}
					}
				})
				if n, uses := written.Load(), s.find(store, once).Uses; n != 1 || uses != 1 {
					s.Failf("%d writes within the pause, %d uses", n, uses)
				}
				if uses := s.find(store, always).Uses; uses != 4*3*contract.Racers {
					s.Failf("%d uses were written, %d are kept", 4*3*contract.Racers, uses)
				}
			}
		},
	},
}
