// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/session"
)

const (
	racers = 64 // goroutines of one race
	rounds = 3  // of each race
)

var raceRules = []rule{
	{
		"race of creations", "Each method is atomic: one of several concurrent calls of Create with one ID succeeds, and the others return ErrConflict.",
		func(s suite, store session.Store) {
			for round := range rounds {
				id := sessionID(round)
				var won, winner atomic.Int64
				contract.Together(racers, func(i int) {
					r := draft(id)
					r.Tokens = strconv.Itoa(i)
					switch _, err := store.Create(s.Context(), r, time.Hour); {
					case err == nil:
						won.Add(1)
						winner.Store(int64(i))
					case !errors.Is(err, session.ErrConflict):
						s.Failf("unexpected error: %v", err)
					}
				})
				if won.Load() != 1 {
					s.Stopf("%d of %d calls of Create succeeded, want 1", won.Load(), racers)
				}
				if got := s.get(store, id); got.Tokens != strconv.FormatInt(winner.Load(), 10) {
					s.Failf("the stored record is not the created one")
				}
			}
		},
	},
	{
		"race of swaps", "Each method is atomic: one of several concurrent calls of Swap with one Version succeeds, and the others return ErrConflict.",
		func(s suite, store session.Store) {
			for round := range rounds {
				id := sessionID(round)
				s.create(store, draft(id), time.Hour)
				var won, winner atomic.Int64
				contract.Together(racers, func(i int) {
					switch _, err := store.Swap(s.Context(), id, 1, session.Change{ID: id, Tokens: strconv.Itoa(i)}); {
					case err == nil:
						won.Add(1)
						winner.Store(int64(i))
					case !errors.Is(err, session.ErrConflict):
						s.Failf("unexpected error: %v", err)
					}
				})
				got := s.get(store, id)
				if won.Load() != 1 || got.Version != 2 {
					s.Stopf("%d of %d calls of Swap succeeded and Version = %d, want 1 and 2", won.Load(), racers, got.Version)
				}
				if got.Tokens != strconv.FormatInt(winner.Load(), 10) {
					s.Failf("the stored record is not the swapped one")
				}
			}
		},
	},
	{
		"race of new IDs", "Each method is atomic: one of several concurrent calls of Swap to different IDs succeeds; there is one session before and after, and none with the old ID.",
		func(s suite, store session.Store) {
			for round := range rounds {
				r := s.create(store, draft(sessionID(1000*round)), time.Hour)
				var won atomic.Int64
				contract.Together(racers, func(i int) {
					c := session.Change{ID: sessionID(1000*round + 1 + i)}
					switch _, err := store.Swap(s.Context(), r.ID, 1, c); {
					case err == nil:
						won.Add(1)
					case !isStateError(err): // the old one has moved, or has another Version
						s.Failf("unexpected error: %v", err)
					}
				})
				if won.Load() != 1 {
					s.Stopf("%d of %d calls of Swap succeeded, want 1", won.Load(), racers)
				}
				s.gone("old ID", store, r.ID)
				sel := session.Selector{Issuer: r.Issuer, Subject: r.Subject}
				if found := s.list(store, sel, 1000); len(found) != 1 || s.get(store, found[0].ID).Version != 2 {
					s.Failf("List = %v, want one", ids(found))
				}
				if n := s.deleteAll(store, sel); n != 1 {
					s.Failf("DeleteAll = %d, want 1", n)
				}
			}
		},
	},
	{
		"race to one ID", "Each method is atomic: of several sessions that are concurrently swapped to one ID, one is, and the others do not change.",
		func(s suite, store session.Store) {
			const few = racers / 4
			for round := range rounds {
				target := sessionID(1000 * round)
				source := make([]session.Record, few)
				for i := range few {
					source[i] = s.create(store, draft(sessionID(1000*round+1+i)), time.Hour)
				}
				won := make([]bool, few)
				contract.Together(few, func(i int) {
					_, err := store.Swap(s.Context(), source[i].ID, 1, session.Change{ID: target, Tokens: source[i].ID})
					if won[i] = err == nil; err != nil && !errors.Is(err, session.ErrConflict) {
						s.Failf("unexpected error: %v", err)
					}
				})
				winners := 0
				for i, r := range source {
					if !won[i] {
						s.unchanged(store, r)
						continue
					}
					winners++
					s.gone("old ID", store, r.ID)
					if got := s.get(store, target); got.Tokens != r.ID {
						s.Failf("the stored record is not the swapped one")
					}
				}
				if winners != 1 {
					s.Stopf("%d of %d calls of Swap to one ID succeeded, want 1", winners, few)
				}
			}
		},
	},
	{
		"race of a swap with touches", "Each method is atomic: Touch neither undoes nor prevents a Swap, and one of several calls of Touch within the interval succeeds.",
		func(s suite, store session.Store) {
			for round := range rounds {
				id, once := sessionID(round), sessionID(1000+round)
				s.create(store, draft(id), time.Hour)
				pause := s.create(store, draft(once), time.Hour)
				s.now(store)
				s.until(store, pause.LastSeen.Add(100*time.Millisecond))
				const swaps = 20
				var done atomic.Int64
				contract.Together(racers/4, func(i int) {
					if i == 0 {
						for n := range swaps {
							c := session.Change{ID: id, Principal: strconv.Itoa(n), Tokens: strconv.Itoa(n)}
							if got, err := store.Swap(s.Context(), id, int64(n+1), c); err != nil || got.Tokens != c.Tokens {
								s.Failf("Swap %d concurrent with Touch: error = %v", n, err)
								return
							}
						}
						return
					}
					for range 5 {
						if _, err := store.Touch(s.Context(), id, 0); err != nil {
							s.Failf("unexpected error: %v", err)
						}
						if touched, err := store.Touch(s.Context(), once, time.Hour); err != nil || touched {
							s.Failf("Touch(every 1h) = %t, %v, want false", touched, err)
						}
					}
					touched, err := store.Touch(s.Context(), once, 100*time.Millisecond)
					if err != nil {
						s.Failf("unexpected error: %v", err)
					}
					if touched {
						done.Add(1)
					}
				})
				last := strconv.Itoa(swaps - 1)
				if got := s.get(store, id); got.Version != 1+swaps || got.Tokens != last || got.Principal != last {
					s.Stopf("after %d calls of Swap, Version = %d and Tokens = %s, want those of the last", swaps, got.Version, got.Tokens)
				}
				// On a slow machine the interval may pass during the race.
				span := s.get(store, once).LastSeen.Sub(pause.LastSeen)
				if n := done.Load(); n < 1 || n > int64(span/(100*time.Millisecond)) {
					s.Failf("%d calls of Touch succeeded within %v, want one in 100 ms", n, span)
				}
			}
		},
	},
	{
		"race of a removal with new IDs", "A change is visible to every reader before the method returns: a session that DeleteAll removed does not come back, under any ID.",
		func(s suite, store session.Store) {
			const few = 8
			for round := range 2 * rounds {
				sel := session.Selector{Issuer: draft("").Issuer, Subject: draft("").Subject}
				if round%2 == 1 {
					sel = session.Selector{Issuer: sel.Issuer, SID: draft("").SID}
				}
				for i := range few {
					s.create(store, draft(sessionID(1_000_000*round+1000*i)), time.Hour)
				}
				var swaps atomic.Int64
				var removed atomic.Bool
				var count int
				var mu sync.Mutex
				last := make(map[string]bool)
				contract.Together(few+1, func(i int) {
					if i == few {
						for swaps.Load() < few { // wait until the others run
							_, _ = store.Get(s.Context(), sessionID(0))
							if s.Failed() {
								return
							}
						}
						n, err := store.DeleteAll(s.Context(), sel)
						if err != nil {
							s.Failf("unexpected error: %v", err)
						}
						count = n
						removed.Store(true)
						return
					}
					id := sessionID(1_000_000*round + 1000*i)
					for n := range 999 {
						late := removed.Load()
						next := sessionID(1_000_000*round + 1000*i + n + 1)
						_, err := store.Swap(s.Context(), id, int64(n+1), session.Change{ID: next})
						swaps.Add(1)
						if err == nil && !late {
							id = next
							continue
						}
						if !errors.Is(err, session.ErrNotFound) {
							s.Failf("Swap of a removed session: error = %v, want ErrNotFound", err)
						}
						break
					}
					mu.Lock()
					defer mu.Unlock()
					last[id] = true
				})
				if count != few {
					s.Failf("DeleteAll = %d, want %d", count, few)
				}
				if found := s.list(store, sel, 10); len(found) > 0 {
					s.Stopf("List = %v after DeleteAll, want none", ids(found))
				}
				for id := range last {
					s.gone("removed", store, id)
				}
			}
		},
	},
	{
		"race of removals", "Each method is atomic: of several concurrent calls of DeleteAll, one counts each session.",
		func(s suite, store session.Store) {
			for range rounds {
				for i := range racers {
					s.create(store, draft(sessionID(i)), time.Hour)
				}
				var count atomic.Int64
				contract.Together(racers/4, func(i int) {
					sel := session.Selector{Issuer: draft("").Issuer, Subject: draft("").Subject}
					if i%2 == 0 {
						sel = session.Selector{Issuer: sel.Issuer, SID: draft("").SID}
					}
					n, err := store.DeleteAll(s.Context(), sel)
					if err != nil {
						s.Failf("unexpected error: %v", err)
					}
					count.Add(int64(n))
				})
				if count.Load() != racers {
					s.Failf("all calls of DeleteAll count %d sessions, want %d", count.Load(), racers)
				}
			}
		},
	},
}
