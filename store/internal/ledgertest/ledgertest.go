// SPDX-License-Identifier: Apache-2.0

// Package ledgertest tests stores of budgets that execute several calls at once.
package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// Call is a call of a [budget.Store]: Reserve or Extend of Hold, or Settle of its tenant
// and ID if there are Amounts.
type Call struct {
	Extend  bool
	Hold    budget.Reservation
	Amounts []int64
}

// alone makes a call.
func (c Call) alone(t *testing.T, store budget.Store) (r budget.Result) {
	t.Helper()
	var err error
	switch {
	case c.Amounts != nil:
		r, err = store.Settle(t.Context(), c.Hold.Tenant, c.Hold.ID, c.Amounts)
	case c.Extend:
		r, err = store.Extend(t.Context(), c.Hold)
	default:
		r, err = store.Reserve(t.Context(), c.Hold)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBatches compares calls that together executes as one batch with the same calls of
// [budget.Memory], one after the other. All calls of a batch are of Settle or none is.
func TestBatches(t *testing.T, store budget.Store, together func(t *testing.T, calls []Call) []budget.Result) {
	memory, start := budget.NewMemory(0), time.Now().Add(-30*time.Minute).UTC().Truncate(time.Second)
	equal := []cmp.Option{cmpopts.IgnoreFields(budget.Result{}, "At", "Deadline"), cmpopts.EquateEmpty()}
	const seed = 1 // with which all outcomes occur
	random := rand.New(rand.NewPCG(seed, 0))
	outcomes := make(map[budget.Outcome]int)
	for round := range 40 {
		calls := make([]Call, 1+random.IntN(12))
		for i := range calls {
			if calls[i] = hold(random, start, round/10); round%2 == 1 {
				calls[i].Amounts = []int64{random.Int64N(8), random.Int64N(8)}[:1+random.IntN(2)]
			}
		}
		got := together(t, calls)
		for i, c := range calls {
			want := c.alone(t, memory)
			outcomes[want.Outcome]++
			if diff := cmp.Diff(want, got[i], equal...); diff != "" {
				t.Fatalf("seed %d, round %d, call %d of %d, %+v (-alone +together):\n%s", seed, round, i, len(calls), c, diff)
			}
		}
		for _, account := range accounts {
			want, _, err := memory.Read(t.Context(), "acme", account, "day", start.Add(-2*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := store.Read(t.Context(), "acme", account, "day", start.Add(-2*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, counters of %s after round %d (-alone +together):\n%s", seed, account, round, diff)
			}
		}
	}
	for _, outcome := range []budget.Outcome{budget.Held, budget.Settled, budget.Exceeded, budget.Differs, budget.Absent} {
		if outcomes[outcome] == 0 {
			t.Errorf("seed %d: no call had the outcome %s", seed, outcome)
		}
	}
}

var accounts = [...]string{"a", "b"}

// hold is a call of Reserve or Extend for one of a few IDs, accounts and hours, so that
// many calls of a batch concern the same.
func hold(random *rand.Rand, start time.Time, era int) Call {
	c := Call{Extend: random.IntN(3) == 0, Hold: budget.Reservation{
		Tenant: "acme", ID: fmt.Sprint(era, "-", random.IntN(12)), TTL: 20 * time.Minute,
	}}
	for _, account := range accounts[random.IntN(2):] {
		amount, first := random.Int64N(8), start.Add(-time.Duration(random.IntN(2))*time.Hour)
		c.Hold.Entries = append(c.Hold.Entries, budget.Entry{
			Account: account, Window: "day", Start: first, Since: start.Add(-time.Hour), Next: start.Add(time.Hour), End: start.Add(time.Hour),
			Max: 30 * int64(era+1), Limit: 30*int64(era+1) - random.Int64N(2), Amount: amount, Floor: amount,
		})
	}
	return c
}
