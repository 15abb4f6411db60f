// SPDX-License-Identifier: Apache-2.0

// Package contract runs the contracts of stores: rules, each with a test that a
// store must pass. [Faulty] tests such a contract with broken stores, which
// [Table] helps to write.
package contract

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Racers is the number of goroutines in a test for data races, and Rounds the
// number of its repetitions.
const (
	Racers = 16
	Rounds = 8
)

// Rule is one rule of the contract of a store S. Tests for races have a Name that
// begins with "race".
type Rule[S any] struct {
	Name, Rule string
	Run        func(s Suite, store S)
}

// Suite is the testing.TB of one rule.
type Suite struct {
	testing.TB
	rule string
	// Timeout limits the wait for a condition.
	Timeout time.Duration
}

// Test tests a store. It calls newStore once for each rule.
func Test[S any](t *testing.T, rules []Rule[S], newStore func(t *testing.T) S) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.Name, func(t *testing.T) {
			r.Run(Suite{t, r.Rule, time.Minute}, newStore(t))
		})
	}
}

// Failf reports that the store breaks the rule.
func (s Suite) Failf(format string, args ...any) {
	s.Helper()
	s.Errorf("%s\nThe contract says: %s", fmt.Sprintf(format, args...), s.rule)
}

// Stopf is Failf and ends the test.
func (s Suite) Stopf(format string, args ...any) {
	s.Helper()
	s.Fatalf("%s\nThe contract says: %s", fmt.Sprintf(format, args...), s.rule)
}

// NoError ends the test if err is an error.
func (s Suite) NoError(err error) {
	s.Helper()
	if err != nil {
		s.Stopf("unexpected error: %v", err)
	}
}

// Until waits until condition is true, and ends the test if it is still false when it
// is called after Timeout.
func (s Suite) Until(what string, condition func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), s.Timeout)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		late := ctx.Err() != nil
		if condition() {
			return
		}
		if late {
			s.Stopf("not within %v: %s", s.Timeout, what)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// Short calls attempt with a short lifetime of a record. attempt returns false if its
// calls ended after the lifetime, by the clock of the store; Short then calls it again
// with twice the lifetime. n is the number of the attempt, from 0 on. Short ends the test
// if the calls are too slow for a lifetime of seconds.
func (s Suite) Short(attempt func(n int, lifetime time.Duration) bool) {
	s.Helper()
	const first, last = 100 * time.Millisecond, 20 * time.Second
	for n, lifetime := 0, first; lifetime < last; n, lifetime = n+1, 2*lifetime {
		if attempt(n, lifetime) || s.Failed() {
			return
		}
	}
	s.Stopf("the calls of each attempt ended after the lifetime")
}

// Together runs f in n goroutines that start at the same time, and waits for them.
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
