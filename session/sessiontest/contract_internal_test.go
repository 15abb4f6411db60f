// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

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

// record runs a part of a contract and returns what it had to say.
func record(t *testing.T, run func(s suite), patience time.Duration) []string {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &recorder{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(suite{r, "(the rule)", patience})
	}()
	<-done
	return r.failures
}

// TestFaults shows that the contract fails each store that breaks it, and does
// not fail the same store without a fault.
func TestFaults(t *testing.T) {
	for _, rule := range contract {
		store := newFaulty("")
		if failures := record(t, func(s suite) { rule.run(s, store) }, time.Minute); len(failures) > 0 {
			t.Errorf("%s: fails a store without fault:\n%s", rule.name, strings.Join(failures, "\n"))
		}
	}
	// They wait more than they work, so that more of them go side by side than
	// there are processors.
	var mu sync.Mutex
	caught := make(map[string]bool)
	turns := make(chan struct{}, 16)
	var all sync.WaitGroup
	for _, fault := range faults {
		all.Go(func() {
			turns <- struct{}{}
			by := catches(t, fault)
			<-turns
			if by == "" {
				t.Errorf("%s: passes the contract", fault)
			}
			t.Logf("%s: caught by %q", fault, by)
			mu.Lock()
			defer mu.Unlock()
			caught[by] = true
		})
	}
	all.Wait()
	for _, rule := range contract {
		if !caught[rule.name] {
			t.Errorf("%s: no fault is caught by it first", rule.name)
		}
	}
}

// catches returns the first part of the contract that a fault breaks.
func catches(t *testing.T, fault string) string {
	for _, rule := range contract {
		tries := 1
		if strings.HasPrefix(rule.name, "race") {
			tries = 5 // not every race is lost
		}
		for range tries {
			store := newFaulty(fault)
			if failures := record(t, func(s suite) { rule.run(s, store) }, time.Second); len(failures) > 0 {
				return rule.name
			}
		}
	}
	return ""
}

// TestFaultsAreNamedOnce keeps the list of faults a list.
func TestFaultsAreNamedOnce(t *testing.T) {
	sorted := slices.Sorted(slices.Values(faults))
	if len(slices.Compact(sorted)) != len(faults) {
		t.Error("a fault is named twice")
	}
}
