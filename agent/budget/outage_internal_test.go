// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"testing"
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

// A call that waits while the last chunk of a lease is settled does not use the lease any
// more, whose chunks would never be settled.
func TestLeaseThatIsGone(t *testing.T) {
	l, err := New(Config{Store: NewMemory(0)})
	if err != nil {
		t.Fatal(err)
	}
	c := Charge{Line: Line{Account: Account{Per: "key", Name: "k"}, Window: Day(nil), Max: 100, Chunk: 10}, Amount: 1}
	held := l.leases.lease(l, &c, "")
	l.leases.idle(t.Context(), l, true)
	if p, err := held.take(t.Context(), l, &c); p != nil || err != nil {
		t.Errorf("take of a lease that is gone = %v, %v, want nothing", p, err)
	}
}
