// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// scripted is a store whose reservations are recorded, and answered by reserve if it is
// set.
type scripted struct {
	outages
	reserve  func(budget.Reservation) budget.Result
	ahead    time.Duration // the clock of Read
	reserved []budget.Reservation
}

func (s *scripted) Reserve(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	s.reserved = append(s.reserved, r)
	if s.reserve != nil {
		return s.reserve(r), nil
	}
	return s.outages.Reserve(ctx, r)
}

func (s *scripted) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	counters, now, err := s.outages.Read(ctx, tenant, account, window, since)
	return counters, now.Add(s.ahead), err
}

func (s *scripted) Extend(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	s.reserved = append(s.reserved, r)
	return s.outages.Extend(ctx, r)
}

// pools is a ledger with chunks, its store, and the calls in progress.
type pools struct {
	t     *testing.T
	store *scripted
	*budget.Ledger
	stop func() // of Run
	line budget.Line
	n    int
}

func newPools(t *testing.T, limit, chunk int64) *pools {
	k := &pools{t: t, store: &scripted{outages: outages{Store: budget.NewMemory(0)}}, line: chunkedLine(limit, chunk)}
	k.Ledger = newLedger(t, budget.Config{Store: k.store})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = k.Run(ctx) }()
	k.stop = func() { cancel(); <-done }
	t.Cleanup(k.stop)
	synctest.Wait()
	return k
}

func (k *pools) hold(amount int64) *budget.Hold {
	k.t.Helper()
	k.n++
	h, err := k.Ledger.Reserve(k.t.Context(), string(rune('a'+k.n)), budget.Charge{Line: k.line, Amount: amount, Floor: min(amount, 1)})
	if err != nil {
		k.t.Fatal(err)
	}
	return h
}

func (k *pools) settle(h *budget.Hold, amounts ...int64) {
	k.t.Helper()
	if err := h.Settle(k.t.Context(), amounts...); err != nil {
		k.t.Fatal(err)
	}
}

func TestChunks(t *testing.T) {
	for _, test := range []struct {
		name         string
		limit, chunk int64
		act          func(k *pools)
		want         [2]int64 // spent, held
		calls        int64    // of the store, 0 for any number
	}{
		{"are used up", 1000, 100, func(k *pools) {
			for range 10 {
				k.hold(10)
			}
		}, [2]int64{0, 100}, 1},
		{"are half of a small limit", 1000, 1000, func(k *pools) { k.hold(10) }, [2]int64{0, 500}, 1},
		{"are half of what is left", 1000, 1000, func(k *pools) {
			if _, err := newLedger(k.t, budget.Config{Store: k.store}).Reserve(k.t.Context(), "other", budget.Charge{Line: k.line, Amount: 900}); err != nil {
				k.t.Fatal(err)
			}
			k.hold(10)
		}, [2]int64{0, 950}, 3},
		{"are settled when the next one begins", 1000, 100, func(k *pools) {
			k.settle(k.hold(91), 91)
			k.hold(10)
		}, [2]int64{91, 100}, 3},
		{"are smaller if another one is not used up", 1000, 100, func(k *pools) { k.hold(60); k.hold(50) }, [2]int64{0, 160}, 2},
		{"count a call once", 1000, 100, func(k *pools) {
			h := k.hold(10)
			k.settle(h, 9)
			k.settle(h, 9)
			k.stop()
		}, [2]int64{9, 0}, 2},
		{"end before a call may", 1000, 100, func(k *pools) {
			k.hold(10)
			time.Sleep(2*time.Minute + time.Second) // of three minutes, and a call may take one
			k.hold(10)
		}, [2]int64{0, 110}, 2},
		{"serve as long as a call may take", 1000, 100, func(k *pools) {
			k.hold(10)
			time.Sleep(2 * time.Minute)
			k.hold(10)
		}, [2]int64{0, 100}, 1},
		{"grow with a call", 1000, 100, func(k *pools) {
			if err := k.hold(10).Extend(k.t.Context(), 400); err != nil {
				k.t.Error(err)
			}
		}, [2]int64{0, 400}, 2},
		{"are extended if they end before a call may", 1000, 100, func(k *pools) {
			h := k.hold(10)
			for range 4 {
				time.Sleep(50 * time.Second)
				if err := h.Extend(k.t.Context()); err != nil {
					k.t.Error(err)
				}
			}
		}, [2]int64{0, 100}, 2},
		{"are charged more than a call has held", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 50)
			k.stop()
		}, [2]int64{50, 0}, 2},
		{"are settled when they end before the next call would", 1000, 100, func(k *pools) {
			for range 5 {
				k.settle(k.hold(10), 10)
				time.Sleep(24 * time.Second)
			}
			time.Sleep(3 * time.Second) // less than a minute is left
		}, [2]int64{50, 0}, 2},
		{"are settled after their window", 1000, 100, func(k *pools) {
			k.line.Window = budget.Minute()
			time.Sleep(50 * time.Second)
			k.settle(k.hold(10), 10)
			time.Sleep(12 * time.Second)
		}, [2]int64{0, 0}, 2},
		{"end with their window", 1000, 100, func(k *pools) {
			k.line.Window = budget.Minute()
			k.hold(10)
			time.Sleep(time.Minute)
			k.hold(10)
		}, [2]int64{0, 100}, 2},
		{"are settled after Run by the last call", 1000, 100, func(k *pools) {
			h := k.hold(10)
			k.stop()
			k.settle(h, 5)
		}, [2]int64{5, 0}, 2},
		{"are settled at the end of Run after an outage", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 5)
			k.store.down.Store(true)
			time.Sleep(time.Minute + time.Second/2)
			k.store.down.Store(false)
			k.stop()
		}, [2]int64{5, 0}, 0},
		{"are settled after an outage", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 5)
			k.store.down.Store(true)
			time.Sleep(time.Minute)
			k.store.down.Store(false)
			time.Sleep(2 * time.Second)
		}, [2]int64{5, 0}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newPools(t, test.limit, test.chunk)
				test.act(k)
				calls := k.store.calls.Load()
				if got := state(t, k.Ledger, k.line); got != test.want || test.calls > 0 && calls != test.calls {
					t.Errorf("spent, held = %v after %d calls of the store, want %v after %d", got, calls, test.want, test.calls)
				}
				// A process that dies has used all of its chunks.
				for _, r := range k.store.reserved {
					if e := r.Entries[0]; r.TTL > time.Minute && e.Floor != e.Amount {
						t.Errorf("chunk of %d with the floor %d, want both equal", e.Amount, e.Floor)
					}
				}
			})
		})
	}
}

// A call with a lower limit takes nothing of a chunk that was admitted by a higher one.
func TestChunkIsOfOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newPools(t, 1000, 100)
		k.hold(10)
		k.line.Max = 50
		_, err := k.Reserve(t.Context(), "low", budget.Charge{Line: k.line, Amount: 10})
		if e, _ := refusal(t, err); e.Reason != budget.ReasonBusy {
			t.Errorf("Reserve(10) of 50 with 100 held = %v, want busy", err)
		}
	})
}

// The clock of the store decides on the window: what one call learns of it spares the
// next ones a call of the store.
func TestClockOfTheStoreIsRemembered(t *testing.T) {
	for _, chunk := range []int64{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			k := newPools(t, 1000, chunk)
			k.line.Window, k.store.ahead = budget.Day(nil), 36*time.Hour
			tomorrow := time.Now().Add(24 * time.Hour)
			if b, err := k.Usage(t.Context(), k.line); err != nil || !b[0].Start.Equal(tomorrow) {
				t.Errorf("Usage = %+v, %v, want that of the day from %v", b, err, tomorrow)
			}
			k.store.reserve = func(r budget.Reservation) budget.Result {
				at := time.Now().Add(36 * time.Hour)
				if at.Before(r.Entries[0].Start) || !at.Before(r.Entries[0].Next) {
					return budget.Result{Outcome: budget.Moved, At: at}
				}
				return budget.Result{Outcome: budget.Held, At: at, Counts: make([]budget.Count, 1)}
			}
			k.hold(10)
			k.hold(10)
			if got := len(k.store.reserved); got != 3 {
				t.Errorf("chunks of %d: two calls cost %d calls of the store, want 3", chunk, got)
			}
		})
	}
}

// What a store answers although it must not is an error, and ends.
func TestFaultyStoreIsUnavailable(t *testing.T) {
	for _, test := range []struct {
		text  string
		calls map[int64]int // by the size of a chunk
		store func(n int) budget.Result
	}{
		{`outcome "x" of Reserve`, map[int64]int{0: 1, 10: 1}, func(int) budget.Result { return budget.Result{Outcome: "x"} }},
		{"no count", map[int64]int{0: 1, 10: 1}, func(int) budget.Result { return budget.Result{Outcome: budget.Exceeded} }},
		{"no", map[int64]int{0: 3, 10: 4}, func(n int) budget.Result {
			return budget.Result{Outcome: budget.Moved, At: time.Now().AddDate(0, n, 0)}
		}},
	} {
		for chunk, calls := range test.calls {
			synctest.Test(t, func(t *testing.T) {
				k := newPools(t, 1000, chunk)
				k.store.reserve = func(budget.Reservation) budget.Result { return test.store(len(k.store.reserved)) }
				_, err := k.Reserve(t.Context(), "1", budget.Charge{Line: k.line, Amount: 5})
				if e, _ := refusal(t, err); e.Reason != budget.ReasonUnavailable || !strings.Contains(e.Cause.Error(), test.text) || len(k.store.reserved) != calls {
					t.Errorf("Reserve with chunks of %d after %d calls of the store = %v: %v, want %q after %d", chunk, len(k.store.reserved), e, e.Cause, test.text, calls)
				}
			})
		}
	}
}

// A call with a part of a chunk and a hold of its own extends and settles both.
func TestCallWithPartAndHold(t *testing.T) {
	for _, per := range []string{"aaa", "user"} { // before and after the tenant, in the order of the plan
		synctest.Test(t, func(t *testing.T) {
			k := newPools(t, 1000, 100)
			own := keyLine(50)
			own.Account.Per = per
			h, err := k.Reserve(t.Context(), "1", budget.Charge{Line: k.line, Amount: 10}, budget.Charge{Line: own, Amount: 5})
			if err != nil || len(h.Balances) != 1 || h.Balances[0].Account.Per != per {
				t.Fatalf("Reserve = %+v, %v, want the balance of %s", h, err, per)
			}
			if err := h.Extend(t.Context(), 120, 7); err != nil {
				t.Errorf("Extend = %v", err)
			}
			if line, key := state(t, k.Ledger, k.line), state(t, k.Ledger, own); line != [2]int64{0, 120} || key != [2]int64{0, 7} {
				t.Errorf("after Extend: spent, held = %v and %v, want 0, 120 and 0, 7", line, key)
			}
			k.settle(h, 15, 3)
			k.stop()
			if line, key := state(t, k.Ledger, k.line), state(t, k.Ledger, own); line != [2]int64{15, 0} || key != [2]int64{3, 0} {
				t.Errorf("after Settle: spent, held = %v and %v, want 15, 0 and 3, 0", line, key)
			}
		})
	}
}
