// SPDX-License-Identifier: Apache-2.0

// Package budgettest contains the contract of [budget.Store] as tests: [TestStore] runs
// them for an implementation.
//
// The tests run in real time, the longest for some hundred milliseconds. Each failure
// quotes the broken rule of the contract. The implementation must also test several
// processes and the removal of old counters.
package budgettest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestStore tests whether a store keeps the contract of [budget.Store]. It calls
// newStore for each rule, with the t of that rule; newStore returns an empty store.
func TestStore(t *testing.T, newStore func(t *testing.T) budget.Store) {
	contract.Test(t, rules(), newStore)
}

type rule = contract.Rule[budget.Store]

// suite is the test of a rule for a store.
type suite struct {
	contract.Suite
	store budget.Store
	start time.Time // of the counters
}

func newRule(name, text string, run func(s suite)) rule {
	return rule{Name: name, Rule: text, Run: func(s contract.Suite, store budget.Store) {
		run(suite{s, store, time.Now().Add(-30 * time.Minute).UTC().Truncate(time.Second)})
	}}
}

// short is the time to live of holds that expire during a test. No test relies on a
// call before that.
const short = 100 * time.Millisecond

// entry returns an entry of a counter of an hour.
func (s suite) entry(account string, limit, amount int64) budget.Entry {
	end := s.start.Add(time.Hour)
	return budget.Entry{
		Account: account, Window: "day", Start: s.start, Since: s.start, Next: end, End: end,
		Max: limit, Limit: limit, Amount: amount, Floor: amount,
	}
}

func reservation(id string, entries ...budget.Entry) budget.Reservation {
	return budget.Reservation{Tenant: "acme", ID: id, TTL: 20 * time.Minute, Entries: entries}
}

func (s suite) reserve(r budget.Reservation) budget.Result {
	s.Helper()
	start := time.Now()
	result, err := s.store.Reserve(s.Context(), r)
	s.NoError(err)
	s.at("Reserve", start, result.At)
	return result
}

func (s suite) extend(r budget.Reservation) budget.Result {
	s.Helper()
	start := time.Now()
	result, err := s.store.Extend(s.Context(), r)
	s.NoError(err)
	s.at("Extend", start, result.At)
	return result
}

func (s suite) settle(id string, amounts ...int64) budget.Result {
	s.Helper()
	start := time.Now()
	result, err := s.store.Settle(s.Context(), "acme", id, amounts)
	s.NoError(err)
	s.at("Settle", start, result.At)
	return result
}

// at checks the time of the store of a call that began at start and has returned: the
// clocks may differ by 10 s.
func (s suite) at(what string, start, at time.Time) {
	s.Helper()
	if end := time.Now(); start.Sub(at) > 10*time.Second || at.Sub(end) > 10*time.Second {
		s.Failf("%s: At = %v, want a time from %v to %v", what, at, start, end)
	}
}

// result checks a result. Its times are those of the store, and Deadline, if there is
// one, is after At.
func (s suite) result(what string, got, want budget.Result) {
	s.Helper()
	if got.At.Location() != time.UTC || !got.At.Equal(got.At.Truncate(time.Microsecond)) {
		s.Failf("%s: At = %v, want UTC and microseconds", what, got.At)
	}
	if held := want.Outcome == budget.Held; held != got.Deadline.After(got.At) {
		s.Failf("%s: Deadline = %v, At = %v", what, got.Deadline, got.At)
	}
	got.At, got.Deadline = time.Time{}, time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Failf("%s (-want +got):\n%s", what, diff)
	}
}

func held(counts ...budget.Count) budget.Result {
	return budget.Result{Outcome: budget.Held, Counts: counts}
}

func settled(charged []int64, counts ...budget.Count) budget.Result {
	return budget.Result{Outcome: budget.Settled, Charged: charged, Counts: counts}
}

func exceeded(entry int, count budget.Count) budget.Result {
	return budget.Result{Outcome: budget.Exceeded, Entry: entry, Counts: []budget.Count{count}}
}

// read checks the counter of an account.
func (s suite) read(what, account string, want ...budget.Count) {
	s.Helper()
	s.readOf(what, "acme", account, want...)
}

func (s suite) readOf(what, tenant, account string, want ...budget.Count) {
	s.Helper()
	start := time.Now()
	counters, at, err := s.store.Read(s.Context(), tenant, account, "day", s.start)
	s.NoError(err)
	s.at("Read", start, at)
	var got []budget.Count
	for _, c := range counters {
		got = append(got, c.Count)
	}
	if !slices.Equal(got, want) {
		s.Failf("%s: counters of %s = %v, want %v", what, account, got, want)
	}
}

// total returns what an account has spent and holds.
func (s suite) total(account string) (sum budget.Count) {
	s.Helper()
	counters, _, err := s.store.Read(s.Context(), "acme", account, "day", s.start)
	s.NoError(err)
	for _, c := range counters {
		sum.Spent += c.Spent
		sum.Held += c.Held
	}
	return sum
}

// inHours returns the entry for the counter that began n hours before the present one;
// the counters of the last hours from since on count.
func (s suite) inHours(account string, n, since int, limit, amount int64) budget.Entry {
	e := s.entry(account, limit, amount)
	e.Start = s.start.Add(-time.Duration(n) * time.Hour)
	e.Since = s.start.Add(-time.Duration(since) * time.Hour)
	return e
}

func rules() []rule {
	return slices.Concat(reserveRules, endRules, counterRules, readRules, raceRules)
}

func id(n int) string { return fmt.Sprintf("call-%d", n) }
