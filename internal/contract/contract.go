// SPDX-License-Identifier: Apache-2.0

// Package contract runs the contracts of stores: sentences, each with a test
// that tells whether a store keeps it.
package contract

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Racers is how many goroutines are enough for most races, and Rounds how often
// a race is to be run.
const (
	Racers = 16
	Rounds = 8
)

// Rule is a part of the contract of a store S.
type Rule[S any] struct {
	Name, Rule string
	Run        func(s Suite, store S)
}

// Suite is what one part of a contract runs in.
type Suite struct {
	testing.TB
	rule string
	// Patience is how long to wait for what must happen.
	Patience time.Duration
}

// Test tests whether a store keeps a contract. NewStore is called once for each
// part of it.
func Test[S any](t *testing.T, rules []Rule[S], newStore func(t *testing.T) S) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.Name, func(t *testing.T) {
			r.Run(Suite{t, r.Rule, 10 * time.Second}, newStore(t))
		})
	}
}

// Failf reports that the store breaks the rule.
func (s Suite) Failf(format string, args ...any) {
	s.Helper()
	s.Errorf("%s\nThe contract says: %s", fmt.Sprintf(format, args...), s.rule)
}

// Stopf is Failf for where it makes no sense to go on.
func (s Suite) Stopf(format string, args ...any) {
	s.Helper()
	s.Fatalf("%s\nThe contract says: %s", fmt.Sprintf(format, args...), s.rule)
}

// Good ends the test where a call fails that has no reason to.
func (s Suite) Good(err error) {
	s.Helper()
	if err != nil {
		s.Stopf("unexpected error: %v", err)
	}
}

// Until waits until condition is true.
func (s Suite) Until(what string, condition func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), s.Patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Stopf("does not happen: %s", what)
		}
	}
}

// Together runs f in n goroutines that start at once, and waits for them.
func Together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// Faulty is a kind of store that can have one fault, which its name says.
type Faulty[S any] struct {
	New func(fault string) S // "" for none
	// Late, if set, waits for what a fault does after it has answered.
	Late func(S)
	// Patience is how long a rule may wait for what a fault keeps from
	// happening, a quarter of a second if zero.
	Patience time.Duration
}

// TestFaults shows that a contract fails each store that breaks it and not the
// same store without a fault, and that there is no rule that no fault needs.
func (f Faulty[S]) TestFaults(t *testing.T, rules []Rule[S], faults []string) {
	t.Helper()
	for _, r := range rules {
		if failures := record(t, r, f.New(""), time.Minute); len(failures) > 0 {
			t.Errorf("%s: fails a store without fault:\n%s", r.Name, strings.Join(failures, "\n"))
		}
	}
	// They wait more than they work, so that more of them go side by side than
	// there are processors.
	turns := make(chan struct{}, 16)
	named := make(map[string]bool)
	caught := make(map[string]bool)
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, fault := range faults {
		if named[fault] {
			t.Errorf("%s: is named twice", fault)
		}
		named[fault] = true
		all.Go(func() {
			turns <- struct{}{}
			by := f.catches(t, rules, fault)
			<-turns
			if by == "" {
				t.Errorf("%s: passes the contract", fault)
			}
			mu.Lock()
			defer mu.Unlock()
			caught[by] = true
		})
	}
	all.Wait()
	for _, r := range rules {
		if !caught[r.Name] {
			t.Errorf("%s: no fault is caught by it first", r.Name)
		}
	}
}

// catches returns the first part of the contract that a fault breaks.
func (f Faulty[S]) catches(t *testing.T, rules []Rule[S], fault string) string {
	t.Helper()
	for _, r := range rules {
		tries := 1
		if strings.HasPrefix(r.Name, "race") {
			tries = 5 // not every race is lost
		}
		for range tries {
			store := f.New(fault)
			failures := record(t, r, store, cmp.Or(f.Patience, time.Second/4))
			if f.Late != nil {
				f.Late(store)
			}
			if len(failures) > 0 {
				return r.Name
			}
		}
	}
	return ""
}

// record runs a part of a contract and returns what it had to say.
func record[S any](t *testing.T, r Rule[S], store S, patience time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rec := &recorder{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(Suite{rec, r.Rule, patience}, store)
	}()
	<-done
	return rec.failures
}

// recorder is a testing.TB that keeps to itself what it is told.
type recorder struct {
	testing.TB
	ctx      context.Context
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}
