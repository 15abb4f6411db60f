// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

// pools is a ledger with chunks, its store, and the calls in progress.
type pools struct {
	t     *testing.T
	store *store
	*budget.Ledger
	events *events
	stop   func() // of Run
	line   budget.Line
	n      int
}

func newPools(t *testing.T, limit, chunk int64) *pools {
	k := &pools{t: t, store: newStore(), events: &events{}, line: chunkedLine(limit, chunk)}
	k.Ledger = newLedger(t, budget.Config{Store: k.store, Observer: k.events})
	k.stop = run(t, k.Ledger)
	return k
}

func (k *pools) hold(amount int64) *budget.Hold {
	k.t.Helper()
	k.n++
	return reserve(k.t, k.Ledger, fmt.Sprint(k.n), budget.Charge{Line: k.line, Amount: amount, Floor: min(amount, 1)})
}

func (k *pools) settle(h *budget.Hold, amounts ...int64) {
	k.t.Helper()
	noError(k.t, h.Settle(k.t.Context(), amounts...))
}

func (k *pools) extend(h *budget.Hold, amounts ...int64) {
	k.t.Helper()
	noError(k.t, h.Extend(k.t.Context(), amounts...))
}

func TestChunks(t *testing.T) {
	for _, test := range []struct {
		name         string
		limit, chunk int64
		act          func(k *pools)
		spent, held  int64
		calls        int64 // of the store, 0 for any number
	}{
		{"are used up", 1000, 100, func(k *pools) {
			for range 10 {
				k.hold(10)
			}
		}, 0, 100, 1},
		{"serve the calls that follow each other", 1_000_000, 1000, func(k *pools) {
			for range 95 {
				k.settle(k.hold(10), 9)
			}
			time.Sleep(5 * time.Second)
		}, 0, 1000, 1},
		{"are settled when no call uses them", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 9)
			time.Sleep(2 * time.Minute)
			if n := k.store.swept.Load(); n < 100 {
				k.t.Errorf("%d sweeps in two minutes, want one each second", n)
			}
		}, 9, 0, 2},
		{"do not exist without Run, which settles them", 1000, 100, func(k *pools) {
			k.stop()
			k.hold(10)
		}, 0, 10, 1},
		{"serve a call of their size", 1000, 100, func(k *pools) { k.settle(k.hold(100), 9) }, 0, 100, 1},
		{"serve a call that grows", 1000, 100, func(k *pools) {
			h := k.hold(10)
			time.Sleep(2 * time.Minute) // of three minutes, and a call may take one
			k.extend(h, 100)
		}, 0, 100, 1},
		{"of two budgets serve a call", 1000, 100, func(k *pools) {
			second := k.line
			second.Account.Name = "b"
			for _, id := range []string{"1", "2"} {
				reserve(k.t, k.Ledger, id, charge(k.line, 10), charge(second, 10))
			}
		}, 0, 100, 2},
		{"are settled after half of a hold without a call", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 9)
			time.Sleep(30*time.Second + time.Second/2)
		}, 9, 0, 2},
		{"are settled although the next caller has gone", 1000, 100, func(k *pools) {
			k.settle(k.hold(91), 91)
			ctx, cancel := context.WithCancel(k.t.Context())
			k.store.before = cancel
			_, err := k.Reserve(ctx, "gone", charge(k.line, 10))
			refused(k.t, "Reserve with a context that is canceled", err, 503, budget.ReasonUnavailable)
		}, 91, 0, 3},
		{"are settled although an older one could not be", 1000, 100, func(k *pools) {
			first, second := k.hold(60), k.hold(50)
			k.store.down.Store(true)
			k.settle(first, 55)
			k.store.down.Store(false)
			k.settle(second, 40)
			k.stop()
		}, 95, 0, 0},
		{"are not reserved for nothing", 1000, 100, func(k *pools) { k.hold(0) }, 0, 0, 1},
		{"are half of a small limit", 1000, 1000, func(k *pools) { k.hold(10) }, 0, 500, 1},
		{"are half of what is left", 1000, 1000, func(k *pools) {
			reserve(k.t, newLedger(k.t, budget.Config{Store: k.store}), "other", charge(k.line, 900))
			k.hold(10)
		}, 0, 950, 3},
		{"are settled when the next one begins", 1000, 100, func(k *pools) {
			k.settle(k.hold(91), 91)
			k.hold(10)
		}, 91, 100, 3},
		{"are smaller if another one is not used up", 1000, 100, func(k *pools) { k.hold(60); k.hold(50); k.hold(45) }, 0, 100 + 60 + 50, 3},
		{"are settled when a newer one is in use", 1000, 100, func(k *pools) {
			first := k.hold(60)
			k.hold(50)
			k.settle(first, 55)
		}, 55, 60, 3},
		{"are charged in full if a call outlives them", 1000, 100, func(k *pools) {
			h := k.hold(10)
			time.Sleep(3 * time.Minute)
			refused(k.t, "Extend after three minutes", h.Extend(k.t.Context(), 20), 503, budget.ReasonUnavailable)
		}, 100, 0, 2},
		{"count a call once", 1000, 100, func(k *pools) {
			h := k.hold(10)
			k.settle(h, 9)
			k.settle(h, 9)
			k.stop()
		}, 9, 0, 2},
		{"end before a call may", 1000, 100, func(k *pools) {
			k.hold(10)
			time.Sleep(2*time.Minute + time.Second) // of three minutes, and a call may take one
			k.hold(10)
		}, 0, 110, 2},
		{"serve as long as a call may take", 1000, 100, func(k *pools) {
			k.hold(10)
			time.Sleep(2 * time.Minute)
			k.hold(10)
		}, 0, 100, 1},
		{"grow with a call", 1000, 100, func(k *pools) { k.extend(k.hold(10), 400) }, 0, 400, 2},
		{"grow up to the limit", 1000, 100, func(k *pools) {
			h := k.hold(10)
			for _, amount := range []int64{90, 400, 1000} {
				k.extend(h, amount)
			}
			refused(k.t, "Extend above the limit", h.Extend(k.t.Context(), 1001), 429, budget.ReasonBusy)
			for range 5 {
				time.Sleep(50 * time.Second)
				k.extend(h)
			}
			k.settle(h, 777)
			time.Sleep(2 * time.Minute)
		}, 777, 0, 0},
		{"are extended if they end before a call may", 1000, 100, func(k *pools) {
			h := k.hold(10)
			for range 4 {
				time.Sleep(50 * time.Second)
				k.extend(h)
			}
		}, 0, 100, 2},
		{"are charged more than a call has held", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 50)
			k.stop()
		}, 50, 0, 2},
		{"are settled when they end before the next call would", 1000, 100, func(k *pools) {
			for range 5 {
				k.settle(k.hold(10), 10)
				time.Sleep(24 * time.Second)
			}
			time.Sleep(time.Second / 2)
			if n := k.store.calls.Load(); n != 1 {
				k.t.Errorf("%d calls of the store when a minute is left, want 1", n)
			}
			time.Sleep(3 * time.Second) // less than a minute is left
		}, 50, 0, 2},
		{"are settled after their window", 1000, 100, func(k *pools) {
			k.line.Window = budget.Minute()
			time.Sleep(50 * time.Second)
			k.settle(k.hold(10), 10)
			time.Sleep(10*time.Second + time.Second/2)
		}, 0, 0, 2},
		{"are settled after the hour of a rolling window", 1000, 100, func(k *pools) {
			k.line.Window = budget.Rolling24h()
			time.Sleep(59*time.Minute + 50*time.Second)
			k.settle(k.hold(10), 10)
			time.Sleep(10*time.Second + time.Second/2)
		}, 10, 0, 2},
		{"are of one account and window", 1000, 100, func(k *pools) {
			k.hold(10)
			account, window := k.line, k.line
			account.Account.Name, window.Window = "b", budget.Day(nil) // which has begun when the month has
			for _, line := range []budget.Line{account, window} {
				reserve(k.t, k.Ledger, line.Account.Name+line.Window.String(), charge(line, 10))
				expect(k.t, "of another budget", k.Ledger, line, 0, 100)
			}
		}, 0, 100, 0},
		{"may use the spare when they grow", 1000, 100, func(k *pools) {
			k.line.Spare = 300
			h := k.hold(10)
			k.settle(k.hold(95), 800)
			time.Sleep(40 * time.Second) // until the second one is settled
			refused(k.t, "Extend above Max", h.Extend(k.t.Context(), 210), 429, budget.ReasonBusy)
		}, 800, 100, 0},
		{"end with their window", 1000, 100, func(k *pools) {
			k.line.Window = budget.Minute()
			k.hold(10)
			time.Sleep(time.Minute)
			k.hold(10)
		}, 0, 100, 2},
		{"are settled after Run by the last call", 1000, 100, func(k *pools) {
			h := k.hold(10)
			k.stop()
			k.settle(h, 5)
		}, 5, 0, 2},
		{"are settled at the end of Run after an outage", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 5)
			k.store.down.Store(true)
			time.Sleep(time.Minute + time.Second/2)
			k.store.down.Store(false)
			k.stop()
		}, 5, 0, 0},
		{"are settled after an outage", 1000, 100, func(k *pools) {
			k.settle(k.hold(10), 5)
			k.store.down.Store(true)
			time.Sleep(time.Minute)
			k.store.down.Store(false)
			time.Sleep(2 * time.Second)
		}, 5, 0, 0},
		{"are of one limit", 1000, 100, func(k *pools) { // a call with a lower one takes nothing of a chunk
			k.hold(10)
			k.line.Max = 50
			_, err := k.Reserve(k.t.Context(), "low", charge(k.line, 10))
			refused(k.t, "Reserve(10) of 50 with 100 held", err, 429, budget.ReasonBusy)
			k.line.Max, k.line.Spare = 1000, 950
			_, err = k.Reserve(k.t.Context(), "spare", charge(k.line, 10))
			refused(k.t, "Reserve(10) of 50 beside a spare with 100 held", err, 429, budget.ReasonBusy)
		}, 0, 100, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newPools(t, test.limit, test.chunk)
				test.act(k)
				if calls := k.store.calls.Load(); test.calls > 0 && calls != test.calls {
					t.Errorf("%d calls of the store, want %d", calls, test.calls)
				}
				expect(t, "at the end", k.Ledger, k.line, test.spent, test.held)
				for _, r := range k.store.reserved {
					if e := r.Entries[0]; e.Account != "tenant/acme" && e.Account != "tenant/b" || r.TTL > time.Minute && e.Floor != e.Amount { // a process that dies has used all of its chunks
						t.Errorf("chunk of %d with the floor %d of %s, want both equal, and the account tenant/…", e.Amount, e.Floor, e.Account)
					}
				}
			})
		})
	}
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
			base := func(*http.Request) (*http.Response, error) { return response(http.NoBody, "application/json"), nil }
			resp, err := newMeter(t, k.Ledger, model.ChatCompletions, nil).Transport(roundTrip(base)).RoundTrip(chatRequest(t))
			noError(t, err)
			noError(t, resp.Body.Close())
			if got := resp.Header.Get("RateLimit"); !strings.HasSuffix(got, ";t=43200") {
				t.Errorf("RateLimit = %s, want 12 h until the end of the day of the store", got)
			}
			before := len(k.store.reserved)
			k.hold(5)
			time.Sleep(2*time.Minute + time.Second)
			k.hold(5) // does not fit into the lifetime of a chunk of the first one
			if got := len(k.store.reserved) - before; got != 2 {
				t.Errorf("chunks of %d: two calls in more than two minutes cost %d calls of the store, want 2", chunk, got)
			}
			k.store.reserve = func(budget.Reservation) budget.Result {
				return budget.Result{Outcome: budget.Exceeded, At: tomorrow.Add(12 * time.Hour), Counts: []budget.Count{{Spent: 1000}}}
			}
			_, err = k.Reserve(t.Context(), "exhausted", charge(k.line, 10))
			if e, _ := refused(t, "Reserve of an exhausted budget", err, 429, budget.ReasonExhausted); e.RetryAfter != 12*time.Hour {
				t.Errorf("Retry-After = %v, want 12 h until the end of the day of the store", e.RetryAfter)
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
		{`outcome "x" of Reserve`, map[int64]int{0: 1, 10: 1}, func(int) budget.Result { return budget.Result{Outcome: "x", Counts: make([]budget.Count, 1)} }},
		{"no count", map[int64]int{0: 1, 10: 1}, func(int) budget.Result { return budget.Result{Outcome: budget.Exceeded} }},
		{"no", map[int64]int{0: 3, 10: 4}, func(n int) budget.Result {
			return budget.Result{Outcome: budget.Moved, At: time.Now().AddDate(0, n, 0)}
		}},
	} {
		for chunk, calls := range test.calls {
			synctest.Test(t, func(t *testing.T) {
				k := newPools(t, 1000, chunk)
				k.store.reserve = func(budget.Reservation) budget.Result { return test.store(len(k.store.reserved)) }
				_, err := k.Reserve(t.Context(), "1", charge(k.line, 5))
				e, _ := refused(t, "Reserve with chunks of "+fmt.Sprint(chunk), err, 503, budget.ReasonUnavailable)
				if !strings.Contains(e.Cause.Error(), test.text) || len(k.store.reserved) != calls {
					t.Errorf("Reserve with chunks of %d after %d calls of the store = %v, want %q after %d", chunk, len(k.store.reserved), e.Cause, test.text, calls)
				}
			})
		}
	}
}

// A call with a part of a chunk and a hold of its own extends and settles both, and a call
// that one of its budgets refuses takes nothing of a chunk.
func TestCallWithPartAndHold(t *testing.T) {
	for _, test := range []struct {
		per   string // before and after the tenant, in the order of the plan
		chunk int64  // of its budget, from which a refusal may come too
	}{{"aaa", 0}, {"user", 0}, {"user", 5}} {
		synctest.Test(t, func(t *testing.T) {
			k := newPools(t, 1000, 100)
			own, last := keyLine(9), keyLine(50)
			own.Account.Per, own.Chunk, last.Account.Per, last.Warn = test.per, test.chunk, "zzz", []float64{0.04}
			if test.chunk == 0 {
				own.Warn = []float64{0.3}
			}
			h := reserve(t, k.Ledger, "1", charge(k.line, 10), charge(own, 5), charge(last, 4))
			if test.chunk == 0 && (len(h.Balances) != 2 || h.Balances[0].Account.Per != test.per || h.Balances[1].Account.Per != "zzz") {
				t.Errorf("Balances = %+v, want those of %s and zzz", h.Balances, test.per)
			}
			for i := range 100 {
				_, err := k.Reserve(t.Context(), fmt.Sprint("x", i), charge(k.line, 10), charge(own, 5))
				if _, cause := refused(t, "Reserve above the limit", err, 429, budget.ReasonBusy); cause.Balance.Account.Per != test.per {
					t.Errorf("Reserve above the limit of %s: %+v", test.per, cause)
				}
			}
			if _, cause := refused(t, "Extend above the limit", h.Extend(t.Context(), 10, 10, 4), 429, budget.ReasonBusy); cause.Balance.Account.Per != test.per {
				t.Errorf("Extend above the limit of %s: %+v", test.per, cause)
			}
			expect(t, "one chunk after Reserve", k.Ledger, k.line, 0, 100)
			noError(t, h.Extend(t.Context(), 120, 7, 6))
			expect(t, "after Extend", k.Ledger, k.line, 0, 120)
			expect(t, "after Extend", k.Ledger, own, 0, 7)
			expect(t, "after Extend", k.Ledger, last, 0, 6)
			k.settle(h, 15, 3, 7)
			noError(t, reserve(t, k.Ledger, "2", charge(k.line, 10), charge(own, 1), charge(last, 1)).SettleAll(t.Context()))
			k.stop()
			expect(t, "after Settle", k.Ledger, k.line, 25, 0)
			expect(t, "after Settle", k.Ledger, own, 4, 0)
			expect(t, "after Settle", k.Ledger, last, 8, 0)
			want := []gatehouse.EventType{budget.EventThreshold, budget.EventOverrun}
			if test.chunk == 0 {
				want = slices.Insert(want, 0, budget.EventThreshold) // of own
			}
			if got := k.events.types(); !slices.Equal(got, want) {
				t.Errorf("events = %v, want %v", got, want)
			}
		})
	}
}
