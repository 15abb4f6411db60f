// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
)

func newLedger(t testing.TB, config budget.Config) *budget.Ledger {
	t.Helper()
	if config.Store == nil {
		config.Store = budget.NewMemory(0)
	}
	l, err := budget.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// noon is a zone in which it is noon when the tests begin: no day ends during them.
var noon = func() *time.Location {
	loc, err := time.LoadLocation(fmt.Sprintf("Etc/GMT%+d", time.Now().UTC().Hour()-12)) // west of Greenwich is positive
	if err != nil {
		panic(err)
	}
	return loc
}()

// here returns noon, or UTC in a bubble of package synctest, whose clock begins at midnight.
func here() *time.Location {
	if time.Now().Year() == 2000 {
		return time.UTC
	}
	return noon
}

func keyLine(limit int64) budget.Line {
	return budget.Line{Account: budget.Account{Tenant: "acme", Per: "key", Name: "k1"}, Window: budget.Day(here()), Max: limit}
}

func tenantLine(limit int64) budget.Line {
	return budget.Line{Account: budget.Account{Tenant: "acme", Per: "tenant", Name: "acme"}, Window: budget.Month(here()), Max: limit}
}

// refusal returns the code, reason and cause of a refusal.
func refusal(t testing.TB, err error) (*gatehouse.Error, *budget.ExceededError) {
	t.Helper()
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		t.Fatalf("error = %v, want a *gatehouse.Error", err)
	}
	cause, _ := errors.AsType[*budget.ExceededError](err)
	return e, cause
}

func state(t testing.TB, l *budget.Ledger, line budget.Line) [2]int64 {
	t.Helper()
	b, err := l.Usage(t.Context(), line)
	if err != nil {
		t.Fatal(err)
	}
	return [2]int64{b[0].Spent, b[0].Held}
}

// nextMinute is a store that has a counter of the next minute already.
type nextMinute struct{ budget.Store }

func (s nextMinute) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	counters, now, err := s.Store.Read(ctx, tenant, account, window, since)
	return append(counters, budget.Counter{Start: since.Add(time.Minute), Count: budget.Count{Spent: 7}}), now, err
}

func TestUsageIsOfOneWindow(t *testing.T) {
	line := keyLine(100)
	line.Window = budget.Minute()
	if got := state(t, newLedger(t, budget.Config{Store: nextMinute{budget.NewMemory(0)}}), line); got != [2]int64{} {
		t.Errorf("spent, held = %v, want none of the next minute", got)
	}
}

func TestReserveIsAllOrNothing(t *testing.T) {
	l := newLedger(t, budget.Config{})
	key, tenant := keyLine(100), tenantLine(50)
	h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: key, Amount: 40, Floor: 40}, budget.Charge{Line: tenant, Amount: 40})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := state(t, l, tenant), [2]int64{0, 40}; got != want {
		t.Errorf("after Reserve: spent, held = %v, want %v", got, want)
	}
	_, err = l.Reserve(t.Context(), "2", budget.Charge{Line: key, Amount: 50}, budget.Charge{Line: tenant, Amount: 50})
	e, cause := refusal(t, err)
	if e.Code != budget.CodeExhausted || e.Reason != budget.ReasonBusy || !cause.Busy || cause.Balance.Account.Per != "tenant" {
		t.Errorf("Reserve without capacity = %v, %+v, want busy for the tenant", e, cause)
	}
	if got, want := state(t, l, key), [2]int64{0, 40}; got != want {
		t.Errorf("after a refused Reserve: spent, held = %v, want %v", got, want)
	}
	if err := h.Settle(t.Context(), 35, 35); err != nil {
		t.Fatal(err)
	}
	if err := h.Settle(t.Context(), 9, 9); err != nil {
		t.Fatal(err)
	}
	if got, want := state(t, l, key), [2]int64{35, 0}; got != want {
		t.Errorf("after Settle: spent, held = %v, want %v", got, want)
	}
	_, err = l.Reserve(t.Context(), "3", budget.Charge{Line: key, Amount: 20}, budget.Charge{Line: tenant, Amount: 20})
	if e, cause := refusal(t, err); e.Reason != budget.ReasonExhausted || cause.Busy || e.RetryAfter != time.Until(cause.Until).Round(time.Second) && e.RetryAfter <= 0 {
		t.Errorf("Reserve of an exhausted budget = %v, %+v", e, cause)
	}
	_, err = l.Reserve(t.Context(), "4", budget.Charge{Line: tenant, Amount: 51})
	if e, cause := refusal(t, err); e.Code != budget.CodeExceeded || e.Code.Status() != 403 || !cause.Never {
		t.Errorf("Reserve above the whole limit = %v, %+v", e, cause)
	}
}

// Two charges of a call for one budget are one charge. It costs the larger of their amounts.
func TestChargesOfOneBudget(t *testing.T) {
	l := newLedger(t, budget.Config{})
	line := keyLine(100)
	h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 40}, budget.Charge{Line: line, Amount: 40})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := state(t, l, line), [2]int64{0, 40}; got != want {
		t.Errorf("after Reserve: spent, held = %v, want %v", got, want)
	}
	if err := h.Settle(t.Context(), 35, 9); err != nil {
		t.Fatal(err)
	}
	if got, want := state(t, l, line), [2]int64{35, 0}; got != want {
		t.Errorf("after Settle: spent, held = %v, want %v", got, want)
	}
}

// SettleAll charges what the last Extend before it has made of the hold.
func TestExtendDuringSettleAll(t *testing.T) {
	l := newLedger(t, budget.Config{})
	line := keyLine(1_000_000)
	want := int64(0)
	for range 200 {
		h, err := l.Reserve(t.Context(), rand.Text(), budget.Charge{Line: line, Amount: 10})
		if err != nil {
			t.Fatal(err)
		}
		extended := make(chan error)
		go func() { extended <- h.Extend(t.Context(), 20) }()
		if err := h.SettleAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want += 10; <-extended == nil {
			want += 10
		}
	}
	if got, want := state(t, l, line), [2]int64{want, 0}; got != want {
		t.Errorf("spent, held = %v, want %v", got, want)
	}
}

// Of two limits for one budget the smaller one counts, without the spare for calls in
// progress.
func TestSmallerLimitWithoutSpare(t *testing.T) {
	spare, plain := keyLine(100), keyLine(80)
	spare.Spare = 50
	for _, lines := range [][2]budget.Line{{spare, plain}, {plain, spare}} {
		l := newLedger(t, budget.Config{})
		_, err := l.Reserve(t.Context(), "1", budget.Charge{Line: lines[0], Amount: 60}, budget.Charge{Line: lines[1], Amount: 60})
		if e, _ := refusal(t, err); e.Code != budget.CodeExceeded {
			t.Errorf("Reserve(60) of 50 = %v, want %s", err, budget.CodeExceeded)
		}
	}
}

func TestHoldExpiresAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, budget.Config{Hold: time.Minute})
		line := keyLine(100)
		_, err := l.Reserve(t.Context(), "0", budget.Charge{Line: line, Amount: 50, Floor: 5})
		if err != nil {
			t.Fatal(err)
		}
		h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 50, Floor: 5})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - time.Microsecond)
		if got, want := state(t, l, line), [2]int64{0, 100}; got != want {
			t.Errorf("before the deadline: spent, held = %v, want %v", got, want)
		}
		time.Sleep(time.Microsecond)
		if got, want := state(t, l, line), [2]int64{10, 0}; got != want {
			t.Errorf("at the deadline: spent, held = %v, want %v", got, want)
		}
		if e, _ := refusal(t, h.Extend(t.Context())); e.Reason != budget.ReasonUnavailable {
			t.Errorf("Extend of an expired hold = %v, want %s", e, budget.ReasonUnavailable)
		}
		if err := h.Settle(t.Context(), 55); err != nil {
			t.Fatal(err)
		}
		if got, want := state(t, l, line), [2]int64{60, 0}; got != want {
			t.Errorf("after a late Settle: spent, held = %v, want %v", got, want)
		}
		// A hold that is extended keeps its floor, but is charged no more than it has.
		for id, amount := range map[string]int64{"2": 5, "3": 25} {
			if h, err = l.Reserve(t.Context(), id, budget.Charge{Line: line, Amount: 15, Floor: 10}); err == nil {
				err = h.Extend(t.Context(), amount)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, want := state(t, l, line), [2]int64{60, 30}; got != want {
			t.Errorf("after Extend: spent, held = %v, want %v", got, want)
		}
		time.Sleep(time.Minute)
		if got, want := state(t, l, line), [2]int64{75, 0}; got != want {
			t.Errorf("after the end of an extended hold: spent, held = %v, want %v", got, want)
		}
		time.Sleep(budget.Retention)
		if err := h.Settle(t.Context(), 5); err != nil {
			t.Errorf("Settle of a hold that was charged long ago: %v", err)
		}
	})
}
