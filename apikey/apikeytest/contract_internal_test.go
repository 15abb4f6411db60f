// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
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

// record runs a part of a contract and returns what it had to say.
func record(t *testing.T, run func(s suite)) []string {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &recorder{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(suite{r, "(the rule)", time.Second / 4})
	}()
	<-done
	return r.failures
}

// TestFaults shows that the contract fails each store that breaks it, and does
// not fail the same store without a fault.
func TestFaults(t *testing.T) {
	for _, rule := range contract {
		store := newFaulty("")
		if failures := record(t, func(s suite) { rule.run(s, store) }); len(failures) > 0 {
			t.Errorf("%s: fails a store without fault:\n%s", rule.name, strings.Join(failures, "\n"))
		}
	}
	var mu sync.Mutex
	caught := make(map[string]bool)
	t.Run("each", func(t *testing.T) {
		for _, fault := range faults {
			t.Run(fault, func(t *testing.T) {
				t.Parallel()
				by := catches(t, fault)
				if by == "" {
					t.Fatal("passes the contract")
				}
				mu.Lock()
				defer mu.Unlock()
				caught[by] = true
			})
		}
	})
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
			failures := record(t, func(s suite) { rule.run(s, store) })
			store.late.Wait()
			if len(failures) > 0 {
				return rule.name
			}
		}
	}
	return ""
}

// faultyWatcher is a watcher with a fault.
type faultyWatcher struct {
	*apikey.Memory
	fault string
}

func (f faultyWatcher) Watch(ctx context.Context, changed func(string)) error {
	if f.fault == "never ends" {
		ctx = context.WithoutCancel(ctx)
	}
	var told atomic.Int32
	err := f.Memory.Watch(ctx, func(id string) {
		n := told.Add(1)
		switch {
		case f.fault == "silent at first" && n == 1:
		case f.fault == "silent later" && n > 1:
		case f.fault == "forgets some" && n > 10:
		default:
			changed(id)
		}
	})
	if f.fault == "ends without error" {
		return nil
	}
	return err
}

func TestWatcherFaults(t *testing.T) {
	if failures := record(t, func(s suite) { m := apikey.NewMemory(0); watch(s, m, m) }); len(failures) > 0 {
		t.Errorf("fails a watcher without fault: %s", failures)
	}
	for _, fault := range []string{"silent at first", "silent later", "forgets some", "ends without error", "never ends"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			m := apikey.NewMemory(0)
			if failures := record(t, func(s suite) { watch(s, m, faultyWatcher{m, fault}) }); len(failures) == 0 {
				t.Error("passes the contract")
			}
		})
	}
}

// TestFaultsAreNamedOnce keeps the list of faults a list.
func TestFaultsAreNamedOnce(t *testing.T) {
	sorted := slices.Sorted(slices.Values(faults))
	if len(slices.Compact(sorted)) != len(faults) {
		t.Error("a fault is named twice")
	}
}
