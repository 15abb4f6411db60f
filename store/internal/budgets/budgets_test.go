// SPDX-License-Identifier: Apache-2.0

package budgets_test

import (
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/store/internal/budgets"
)

func TestCounters(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	plain := budget.Entry{Start: start, Since: start.UTC()}
	rolling := budget.Entry{Start: start, Since: start.Add(-24 * time.Hour)}
	for want, entries := range map[int][]budget.Entry{0: nil, 2: {plain, plain}, 26: {rolling}, 53: {rolling, plain, rolling}} {
		if got := budgets.Counters(budget.Reservation{Entries: entries}); got != want {
			t.Errorf("Counters(%v) = %d, want %d", entries, got, want)
		}
	}
}
