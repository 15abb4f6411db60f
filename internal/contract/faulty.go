// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Faulty tests a contract with stores S that each have one fault.
type Faulty[S any] struct {
	// New returns a store with the fault, or without any for "".
	New func(fault string) S
	// Wait, if set, waits for changes that a store makes after it has returned.
	Wait func(S)
	// Timeout is the Suite.Timeout for faulty stores, 1 s if zero.
	Timeout time.Duration
	// RealTime runs the rules outside of package synctest. It is for faults that
	// leave goroutines behind.
	RealTime bool
}

// TestFaults checks that the rules accept the store without a fault, also if its calls
// are slow, that each fault breaks a rule, and that each rule is the first one that
// some fault breaks.
func (f Faulty[S]) TestFaults(t *testing.T, rules []Rule[S], faults []string) {
	t.Helper()
	run := synctest.Test
	if f.RealTime {
		run = func(t *testing.T, test func(*testing.T)) { test(t) }
	}
	for _, r := range rules {
		run(t, func(t *testing.T) {
			if failures := record(t, r, f.New(""), time.Minute); len(failures) > 0 {
				t.Errorf("rule %q fails a store without fault:\n%s", r.Name, strings.Join(failures, "\n"))
			}
		})
		if f.RealTime || strings.HasPrefix(r.Name, "race") {
			continue // some races are busy loops, in which the clock of package synctest stands still
		}
		run(t, func(t *testing.T) {
			start := time.Now()
			if failures := record(t, r, f.New(string(slow)), time.Minute); len(failures) > 0 {
				t.Errorf("rule %q fails a slow store:\n%s", r.Name, strings.Join(failures, "\n"))
			}
			if time.Since(start) < slowness {
				t.Errorf("rule %q: the store with the fault %q is not slow", r.Name, slow)
			}
		})
	}
	caught := make(map[string]bool)
	var mu sync.Mutex
	t.Run("fault", func(t *testing.T) {
		named := make(map[string]bool)
		for _, fault := range faults {
			if named[fault] {
				t.Errorf("fault %q is listed twice", fault)
			}
			named[fault] = true
			t.Run(fault, func(t *testing.T) {
				t.Parallel()
				by := ""
				run(t, func(t *testing.T) { by = f.broken(t, rules, fault) })
				if by == "" {
					t.Errorf("fault %q breaks no rule", fault)
				}
				mu.Lock()
				defer mu.Unlock()
				caught[by] = true
			})
		}
	})
	for _, r := range rules {
		if !caught[r.Name] {
			t.Errorf("no fault breaks rule %q first", r.Name)
		}
	}
}

// broken returns the name of the first rule that a fault breaks, "" for none.
func (f Faulty[S]) broken(t *testing.T, rules []Rule[S], fault string) string {
	t.Helper()
	for _, r := range rules {
		tries := 1
		if strings.HasPrefix(r.Name, "race") {
			tries = 5 // a race does not show each time
		}
		for range tries {
			store := f.New(fault)
			failures := record(t, r, store, cmp.Or(f.Timeout, time.Second))
			if f.Wait != nil {
				f.Wait(store)
			}
			if len(failures) > 0 {
				return r.Name
			}
		}
	}
	return ""
}

// record runs a rule and returns its failures.
func record[S any](t *testing.T, r Rule[S], store S, timeout time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rec := &recorder{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() { // Fatalf ends the goroutine
		defer close(done)
		r.Run(Suite{rec, r.Rule, timeout}, store)
	}()
	<-done
	return rec.failures
}

// recorder is a testing.TB that records failures.
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
