// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestWatcher tests the contract of [apikey.Watcher]. newWatcher returns an empty
// store and its watcher. An implementation must itself test that the watcher
// reports "" after a disconnect.
func TestWatcher(t *testing.T, newWatcher func(t *testing.T) (apikey.Store, apikey.Watcher)) {
	contract.Test(t, watcherRules, func(t *testing.T) watched {
		store, watcher := newWatcher(t)
		return watched{store, watcher}
	})
}

// watched is a store with its watcher.
type watched struct {
	apikey.Store
	watcher apikey.Watcher
}

var watcherRules = []contract.Rule[watched]{{
	Name: "watch",
	Rule: "Watch calls changed with \"\" when it starts to listen, with the ID of every key that is rotated, revoked, suspended, resumed or imported again, and not after it has returned.",
	Run:  func(s contract.Suite, w watched) { watch(newSuite(s, w.Store), w.watcher) },
}}

func watch(s suite, watcher apikey.Watcher) {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	changes := make(chan string, 1000)
	ended := make(chan error, 1)
	go func() { ended <- watcher.Watch(ctx, func(id string) { changes <- id }) }()

	// wait waits until all of ids, or "" for all keys, are reported.
	wait := func(call string, ids ...string) {
		s.Helper()
		missing := make(map[string]bool)
		for _, id := range ids {
			missing[id] = true
		}
		timeout := time.NewTimer(s.Timeout)
		defer timeout.Stop()
		for len(missing) > 0 {
			select {
			case id := <-changes:
				if delete(missing, id); id == "" {
					return
				}
			case err := <-ended:
				s.Stopf("Watch returned before its context ended: %v", err)
			case <-timeout.C:
				s.Stopf("%d of %d keys not reported within %v after %s", len(missing), len(ids), s.Timeout, call)
			}
		}
	}
	// drain discards earlier reports.
	drain := func() {
		for len(changes) > 0 {
			<-changes
		}
	}
	wait("the start of Watch", "")

	id := s.create(draft(keyID(1))).ID
	imported := s.find(id)
	imported.Generation, imported.Revoked = 9, imported.Created
	var many []string
	for i := range 20 {
		many = append(many, s.create(draft(keyID(100+i))).ID)
	}
	for _, change := range []struct {
		call string
		make func()
		ids  []string
	}{
		{"Rotate", func() { s.rotate(id, rotation(id, 2)) }, []string{id}},
		{"Suspend", func() { s.suspend(id, true) }, []string{id}},
		{"resume", func() { s.suspend(id, false) }, []string{id}},
		{"Revoke", func() { s.revoke(id) }, []string{id}},
		{"Import", func() { s.imports(imported) }, []string{id}},
		{"RevokeAll", func() { s.revokeAll(apikey.Filter{Tenant: "tenant"}, 100) }, many},
	} {
		drain()
		change.make()
		wait(change.call, change.ids...)
	}

	cancel()
	timeout := time.NewTimer(s.Timeout)
	defer timeout.Stop()
	select {
	case err := <-ended:
		if err == nil {
			s.Failf("Watch returned nil, want an error")
		}
	case <-timeout.C:
		s.Stopf("Watch did not return within %v after its context ended", s.Timeout)
	}
	drain()
	s.revoke(s.create(draft(keyID(200))).ID)
	select {
	case id := <-changes:
		s.Failf("Watch reported %q after it had returned", id)
	default:
	}
}
