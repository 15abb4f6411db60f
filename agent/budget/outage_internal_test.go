// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
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
	if tried != 3 || done != 1 || len(l.pending) != 1 {
		t.Errorf("tried %d times, the other change %d times, %d pending; want 3, 1 and 1", tried, done, len(l.pending))
	}
}

// A call that waits while the last chunk of a pool is settled does not use the pool any
// more, whose chunks would never be settled.
func TestPoolThatIsGone(t *testing.T) {
	l, err := New(Config{Store: NewMemory(0)})
	if err != nil {
		t.Fatal(err)
	}
	c := Charge{Line: Line{Account: Account{Per: "key", Name: "k"}, Window: Day(nil), Max: 100, Chunk: 10}, Amount: 1}
	held := l.pools.pool(l, &c, "")
	l.pools.idle(t.Context(), l, true)
	if p, err := held.take(t.Context(), l, &c); p != nil || err != nil {
		t.Errorf("take of a pool that is gone = %v, %v, want nothing", p, err)
	}
}

// Above the limit of changes that wait for the store no call is admitted without it.
func TestUnrecordedCallsEnd(t *testing.T) {
	l, err := New(Config{Store: NewMemory(0), AllowUnrecorded: 100})
	if err != nil {
		t.Fatal(err)
	}
	h := &Hold{plan: &plan{charges: []Charge{{Line: Line{Account: Account{Per: "key", Name: "k"}, Window: Day(nil), Max: 100}, Amount: 1}}}}
	for _, want := range []bool{true, false} {
		if got := l.admitUnrecorded(t.Context(), h); got != want {
			t.Errorf("admitUnrecorded with %d changes that wait = %v, want %v", len(l.pending), got, want)
		}
		l.pending = make([]func(context.Context) error, maxPending)
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
	life := b
	life.Window, life.Unit = Life(time.Time{}), Requests
	header := http.Header{}
	rateLimit(header, []Balance{life}, at, at)
	if got, want := header.Get("RateLimit")+header.Get("RateLimit-Policy"), `"key-requests-life";r=10"key-requests-life";q=10`; got != want {
		t.Errorf("header of a life = %s, want %s", got, want)
	}
	header = http.Header{}
	if rateLimit(header, []Balance{counted}, at, at); len(header) > 0 {
		t.Errorf("header of a budget that only counts = %v, want none", header)
	}
}
