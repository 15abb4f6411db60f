// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestFaults shows that the contract fails each store that breaks it, and does
// not fail the same store without a fault.
func TestFaults(t *testing.T) {
	contract.Faulty[apikey.Store]{
		New:  func(fault string) apikey.Store { return newFaulty(fault) },
		Wait: func(s apikey.Store) { s.(*faulty).late.Wait() },
	}.TestFaults(t, rules(), faults)
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
	contract.Faulty[watched]{
		New: func(fault string) watched {
			m := apikey.NewMemory(0)
			return watched{m, faultyWatcher{m, fault}}
		},
	}.TestFaults(t, watcherRules, []string{"silent at first", "silent later", "forgets some", "ends without error", "never ends"})
}
