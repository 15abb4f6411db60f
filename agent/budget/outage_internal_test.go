// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// A change that always fails, such as one of a malformed record, does not stop the others.
func TestRetryOfOthers(t *testing.T) {
	var l Ledger
	tried, done := 0, 0
	l.later(func(context.Context) error { tried++; return errors.New("malformed") })
	l.later(func(context.Context) error { done++; return nil })
	for range 3 {
		if err := l.retry(t.Context()); err == nil {
			t.Error("retry = nil, want the error of the first change")
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(canceled); err == nil {
		t.Error("Run = nil, want the error of the change that was not made")
	}
	if tried != 4 || done != 1 || len(l.pending) != 1 {
		t.Errorf("tried %d times, the other change %d times, %d pending; want 4, 1 and 1", tried, done, len(l.pending))
	}
}

var tokens = Charge{Line: Line{Account: Account{Per: "key", Name: "k"}, Window: Rolling24h(), Max: 100, Chunk: 10}, Amount: 1}

// Who has the turn of a pool has it alone, and its chunks are of one window.
func TestTurnOfAPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(Config{Store: NewMemory(0)})
		if err != nil {
			t.Fatal(err)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		c := tokens
		time.Sleep(59 * time.Minute) // of the hour that one counter has
		held := l.pools.pool(l, &c, "")
		first, err := held.take(t.Context(), l, &c)
		if err != nil {
			t.Fatal(err)
		}
		held.turn <- struct{}{} // of another call
		if _, err := held.take(canceled, l, &c); !errors.Is(err, context.Canceled) {
			t.Errorf("take without the turn = %v, want %v", err, context.Canceled)
		}
		if err := first.extend(canceled, l, &c); !errors.Is(err, context.Canceled) {
			t.Errorf("extend without the turn = %v, want %v", err, context.Canceled)
		}
		go first.settle(canceled, l, 1)
		synctest.Wait()
		if first.chunk.used != 0 {
			t.Error("settle did not wait for the turn")
		}
		<-held.turn
		synctest.Wait()
		if first.chunk.used != 1 {
			t.Error("settle has no effect after it got the turn")
		}
		second, err := held.take(t.Context(), l, &c)
		if err != nil {
			t.Fatal(err)
		}
		l.skew.Store(int64(time.Minute))
		third, err := held.take(t.Context(), l, &c)
		if err != nil || third.chunk == second.chunk {
			t.Fatalf("take in the next hour of the store = %+v, %v, want a part of another chunk", third, err)
		}
		time.Sleep(time.Minute)
		if next, err := held.take(t.Context(), l, &c); err != nil || next.chunk == third.chunk {
			t.Errorf("take in the next hour = %+v, %v, want a part of another chunk", next, err)
		}
		// A call that waits while the last chunk is settled does not use the pool any more:
		// its chunks would never be settled.
		held.chunks = nil
		l.pools.idle(t.Context(), l, true)
		if p, err := held.take(t.Context(), l, &c); p != nil || err != nil {
			t.Errorf("take of a pool that is gone = %v, %v, want nothing", p, err)
		}
		l.running.Store(1)
		waits := l.pools.pool(l, &c, "")
		waits.turn <- struct{}{} // of another call
		taken := make(chan *part, 1)
		go func() {
			parts, _ := l.pools.take(t.Context(), l, &plan{charges: []Charge{c}})
			taken <- partOf(parts, 0)
		}()
		synctest.Wait()
		waits.gone = true
		clear(l.pools.byName)
		<-waits.turn
		if p := <-taken; p == nil || p.chunk.pool == waits {
			t.Errorf("take that has waited for a pool that is gone = %+v, want a part of another one", p)
		}
		l.pools.pool(l, &c, "other")
		for _, held := range l.pools.byName {
			held.chunks = nil
		}
		if l.pools.idle(t.Context(), l, true); len(l.pools.byName) > 0 {
			t.Errorf("%d pools without chunks, want none", len(l.pools.byName))
		}
	})
}

// After Run, a call can settle two chunks in its turn: both thresholds are reported.
func TestTurnReportsAllChunks(t *testing.T) {
	events := 0
	l, err := New(Config{Store: NewMemory(0), Observer: gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { events++; return nil })})
	if err != nil {
		t.Fatal(err)
	}
	c := tokens
	c.Amount, c.Line.Warn = 10, []float64{0.1, 0.2}
	held := l.pools.pool(l, &c, "")
	var parts []*part
	for range 2 {
		p, err := held.take(t.Context(), l, &c)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	l.running.Store(1)
	parts[1].settle(t.Context(), l, 10) // its chunk stays in use
	l.running.Store(0)
	if parts[0].settle(t.Context(), l, 10); events != 2 {
		t.Errorf("%d events, want 2", events)
	}
}

// Above the limits of changes that wait for the store, and of accounts, no call is admitted
// without it, and no release is added.
func TestUnrecordedCallsEnd(t *testing.T) {
	l, err := New(Config{Store: NewMemory(0), AllowUnrecorded: 100})
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{charges: []Charge{tokens}}
	h := &Hold{plan: p, direct: p, random: true}
	waiting := func(n int) []func(context.Context) error { return make([]func(context.Context) error, n) }
	l.pending = waiting(maxPending)
	if l.later(nil); len(l.pending) != maxPending {
		t.Errorf("%d changes wait, want at most %d", len(l.pending), maxPending)
	}
	l.pending = nil
	if l.admitUnrecorded(t.Context(), h) {
		l.recordLater(p, []int64{1})
	}
	if err := l.retry(t.Context()); err != nil || len(l.outage.used) > 0 {
		t.Errorf("retry = %v, with %v accounts afterwards, want none", err, l.outage.used)
	}
	for n, want := range map[int]bool{0: true, maxPending - 1: true, maxPending: false} {
		l.pending = waiting(n)
		if got := l.admitUnrecorded(t.Context(), h); got != want {
			t.Errorf("admitUnrecorded with %d changes that wait = %v, want %v", n, got, want)
		}
	}
	for n, want := range map[int]int{maxAbandoned - 1: maxAbandoned, maxAbandoned: maxAbandoned} {
		l.pending = waiting(n)
		if l.abandon(h, errors.New("down")); len(l.pending) != want {
			t.Errorf("abandon with %d changes that wait: %d, want %d", n, len(l.pending), want)
		}
	}
	l.outage.used = make(map[seriesKey]int64)
	for n := range maxUnrecorded {
		if n == maxUnrecorded-1 && !l.admitUnrecorded(t.Context(), h) {
			t.Errorf("admitUnrecorded with %d accounts = false, want true", len(l.outage.used))
		}
		l.outage.used[seriesKey{account: fmt.Sprint(n)}] = 1
	}
	if l.admitUnrecorded(t.Context(), h) {
		t.Errorf("admitUnrecorded with %d accounts = true, want false", len(l.outage.used))
	}
}

func TestRateLimit(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := Balance{Account: Account{Per: "key"}, Window: Minute(), Start: at, End: at.Add(time.Minute), Max: 10}
	counted := b
	counted.Max = MaxAmount
	for _, test := range []struct {
		until time.Duration
		want  string
	}{{time.Second, `"key-minute";r=10;t=1`}, {time.Second + 1, `"key-minute";r=10;t=2`}} {
		header := http.Header{}
		rateLimit(header, []Balance{counted, b}, at, at.Add(test.until))
		if got := header.Get("RateLimit"); got != test.want {
			t.Errorf("RateLimit of %v = %s, want %s", test.until, got, test.want)
		}
	}
	header := http.Header{}
	week, large := b, b
	week.Window, week.Spent, large.Max = Week(nil), 4, 1000
	large.Spent = 1
	rateLimit(header, []Balance{large, counted, week}, at, time.Time{})
	if got, want := header.Get("RateLimit")+" "+header.Get("RateLimit-Policy"), `"key-minute";r=999;t=60, "key-week";r=6;t=60 "key-minute";q=1000;w=60, "key-week";q=10;w=60`; got != want {
		t.Errorf("header of two budgets = %s, want %s", got, want)
	}
	before := header.Get("RateLimit")
	header.Add("RateLimit-Policy", "another")
	if got := header.Get("RateLimit"); got != before {
		t.Errorf("RateLimit beside another policy = %s, want %s", got, before)
	}
	life := b
	life.Window, life.Unit = Life(time.Time{}), Requests
	header = http.Header{}
	rateLimit(header, []Balance{life}, at, at)
	if got, want := header.Get("RateLimit")+header.Get("RateLimit-Policy"), `"key-requests-life";r=10"key-requests-life";q=10`; got != want {
		t.Errorf("header of a life = %s, want %s", got, want)
	}
	header = http.Header{}
	if rateLimit(header, []Balance{counted}, at, at); len(header) > 0 {
		t.Errorf("header of a budget that only counts = %v, want none", header)
	}
}
