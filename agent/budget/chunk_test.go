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
		store := newStore()
		store.before = func() { time.Sleep(2 * time.Millisecond) }
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
						h, err := l.Reserve(ctx, fmt.Sprint(n, "-", i), charge(line, amount))
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
				if spent, held := state(t, observer, line); spent+held > limit {
					t.Errorf("spent %d, held %d, limit %d", spent, held, limit)
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
		expect(t, "at the end", newLedger(t, budget.Config{Store: store}), line, used.Load(), 0)
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
