// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

func chunkedLine(limit, chunk int64) budget.Line {
	line := tenantLine(limit)
	line.Chunk = chunk
	return line
}

// A chunk serves many calls with one call of the store, and is settled by what they
// used when it is idle.
func TestChunksSaveCallsOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outages{Store: budget.NewMemory(0)}
		l := newLedger(t, budget.Config{Store: store})
		run(t, l)
		line := chunkedLine(1_000_000, 1000)
		for i := range 95 {
			h, err := l.Reserve(t.Context(), fmt.Sprint(i), budget.Charge{Line: line, Amount: 10})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Settle(t.Context(), 9); err != nil {
				t.Fatal(err)
			}
		}
		if calls := store.calls.Load(); calls != 1 {
			t.Errorf("95 calls of 10 tokens with chunks of 1,000 cost %d calls of the store, want 1", calls)
		}
		if got, want := state(t, l, line), [2]int64{0, 1000}; got != want {
			t.Errorf("spent, held = %v, want %v", got, want)
		}
		time.Sleep(2 * time.Minute)
		if n := store.swept.Load(); n < 100 {
			t.Errorf("%d sweeps in two minutes, want one each second", n)
		}
		if got, want := state(t, l, line), [2]int64{95 * 9, 0}; got != want {
			t.Errorf("after a while: spent, held = %v, want %v", got, want)
		}
	})
}

// Without Run nothing would settle a chunk.
func TestWithoutRunThereAreNoChunks(t *testing.T) {
	l := newLedger(t, budget.Config{})
	line := chunkedLine(1000, 100)
	h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 10})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := state(t, l, line), [2]int64{0, 10}; got != want {
		t.Errorf("spent, held = %v, want %v", got, want)
	}
	_ = h.Settle(t.Context(), 10)
}

// A call that one of its budgets refuses takes nothing from a chunk.
func TestRefusedCallReturnsItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		testRefusedCallReturnsItsPart(t, 0)
		testRefusedCallReturnsItsPart(t, 5) // also for a refusal of a chunk
	})
}

func testRefusedCallReturnsItsPart(t *testing.T, chunk int64) {
	t.Helper()
	l := newLedger(t, budget.Config{})
	run(t, l)
	line, key := chunkedLine(1000, 100), keyLine(5)
	key.Account.Per, key.Chunk = "user", chunk // after the tenant
	if _, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 10}, budget.Charge{Line: key, Amount: 5}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := l.Reserve(t.Context(), fmt.Sprint("x", i), budget.Charge{Line: line, Amount: 10}, budget.Charge{Line: key, Amount: 5}); err == nil {
			t.Fatal("Reserve above the limit of the key: no error")
		}
	}
	if got, want := state(t, l, line), [2]int64{0, 100}; got != want {
		t.Errorf("spent, held = %v, want one chunk, %v", got, want)
	}
}

// A hold that comes from a chunk can be extended beyond it.
func TestExtendOfAPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, budget.Config{})
		run(t, l)
		line := chunkedLine(1000, 100)
		h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, amount := range []int64{90, 400, 1000} {
			if err := h.Extend(t.Context(), amount); err != nil {
				t.Errorf("Extend to %d: %v", amount, err)
			}
		}
		if err := h.Extend(t.Context(), 1001); err == nil {
			t.Error("Extend above the limit: no error")
		}
		for range 20 { // a long call
			time.Sleep(50 * time.Second)
			if err := h.Extend(t.Context()); err != nil {
				t.Fatalf("Extend: %v", err)
			}
		}
		if got, want := state(t, l, line), [2]int64{0, 1000}; got != want {
			t.Errorf("spent, held = %v, want %v", got, want)
		}
		_ = h.Settle(t.Context(), 777)
		time.Sleep(2 * time.Minute)
		if got, want := state(t, l, line), [2]int64{777, 0}; got != want {
			t.Errorf("after Settle: spent, held = %v, want %v", got, want)
		}
	})
}

// latency is a store that takes as long as one across a network.
type latency struct {
	outages
	pass func()
}

func (s *latency) Reserve(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	s.pass()
	return s.outages.Reserve(ctx, r)
}

func (s *latency) Settle(ctx context.Context, tenant, id string, amounts []int64) (budget.Result, error) {
	s.pass()
	return s.outages.Settle(ctx, tenant, id, amounts)
}

// TestThousandNodes simulates 1,000 nodes that serve one hot tenant with chunks, with
// latencies of 2 ms for the store and about 3 s for calls. It shows what the budget
// costs the store, that it is never exceeded, and that what is stranded near the limit
// is bounded.
func TestThousandNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := int64(1000)
		if racetest.Enabled { // which makes it many times slower
			nodes = 100
		}
		const chunk, seconds, perSecond = 10_000, 30, 1 // calls of a node
		limit := 8000 * nodes
		store := &latency{outages{Store: budget.NewMemory(0)}, func() { time.Sleep(2 * time.Millisecond) }}
		line := chunkedLine(limit, chunk)
		ctx, cancel := context.WithCancel(t.Context())
		var running, calls sync.WaitGroup
		var admitted, refused, used atomic.Int64
		var observer *budget.Ledger
		for n := range nodes {
			l := newLedger(t, budget.Config{Store: store, Nodes: int(nodes)})
			observer = l
			running.Go(func() { _ = l.Run(ctx) })
			calls.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), 7))
				for i := range seconds * perSecond {
					time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second / perSecond))))
					calls.Go(func() {
						amount := 200 + (n+int64(i))%800
						h, err := l.Reserve(ctx, fmt.Sprint(n, "-", i), budget.Charge{Line: line, Amount: amount})
						if err != nil {
							refused.Add(1)
							return
						}
						admitted.Add(1)
						time.Sleep(time.Duration(1+i%5) * time.Second)
						used.Add(amount / 2)
						if err := h.Settle(ctx, amount/2); err != nil {
							t.Error(err)
						}
					})
				}
			})
		}
		stranded := int64(-1)
		done := make(chan struct{})
		go func() { calls.Wait(); close(done) }()
		start := time.Now()
		for tick := time.NewTicker(2 * time.Second); ; {
			select {
			case <-tick.C:
				s := state(t, observer, line)
				if s[0]+s[1] > limit {
					t.Errorf("spent %d, held %d, limit %d", s[0], s[1], limit)
				}
				if stranded < 0 && refused.Load() > 0 {
					stranded = limit - used.Load()
				}
				continue
			case <-done:
			}
			break
		}
		took := time.Since(start).Seconds()
		atEnd := store.calls.Load()
		cancel()
		running.Wait()
		s := state(t, newLedger(t, budget.Config{Store: store}), line)
		if s[0] != used.Load() || s[1] != 0 {
			t.Errorf("spent, held = %v, want %d, 0", s, used.Load())
		}
		each := float64(admitted.Load()) / took
		t.Logf("%d nodes: %d calls admitted, %d refused, %.0f calls/s; %.0f ledger calls/s instead of %.0f; when the first call was refused, %d of %d were used",
			nodes, admitted.Load(), refused.Load(), each, float64(atEnd)/took, 2*each, limit-stranded, limit)
		if atEnd > admitted.Load() {
			t.Errorf("%d calls of the store for %d calls: chunks save nothing", atEnd, admitted.Load())
		}
		if refused.Load() > 0 && stranded > nodes*chunk+int64(each*5*1000) {
			t.Errorf("%d tokens were stranded, want at most %d in chunks", stranded, nodes*chunk)
		}
	})
}
