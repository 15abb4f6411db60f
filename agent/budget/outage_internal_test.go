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
