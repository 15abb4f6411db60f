// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestWatcher tests whether a watcher tells of the changes in a store, as
// [apikey.Watcher] says. NewWatcher returns both, the store empty. That a
// watcher says "" after a break, the implementation must show by itself.
func TestWatcher(t *testing.T, newWatcher func(t *testing.T) (apikey.Store, apikey.Watcher)) {
	contract.Test(t, watcherRules, func(t *testing.T) watched {
		store, watcher := newWatcher(t)
		return watched{store, watcher}
	})
}

// watched is a store and what tells of its changes.
type watched struct {
	apikey.Store
	watcher apikey.Watcher
}

var watcherRules = []contract.Rule[watched]{{
	Name: "watch",
	Rule: "Watch calls changed with \"\" as soon as it listens, with the id of every key that is rotated, revoked, suspended or resumed, and not after it has returned.",
	Run:  func(s contract.Suite, w watched) { watch(suite{s}, w.Store, w.watcher) },
}}

func watch(s suite, store apikey.Store, watcher apikey.Watcher) {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	changes := make(chan string, 1000)
	ended := make(chan error, 1)
	go func() { ended <- watcher.Watch(ctx, func(id string) { changes <- id }) }()

	// wait waits for word of id; "" stands for every key.
	wait := func(what, id string) {
		s.Helper()
		timeout := time.NewTimer(s.Timeout)
		defer timeout.Stop()
		for {
			select {
			case got := <-changes:
				if got == id || got == "" {
					return
				}
			case err := <-ended:
				s.Stopf("Watch ended early: %v", err)
			case <-timeout.C:
				s.Stopf("no word of it for %v: %s", s.Timeout, what)
			}
		}
	}
	// drain makes sure that what comes next is news.
	drain := func() {
		for len(changes) > 0 {
			<-changes
		}
	}
	wait("that it listens", "")

	key := s.create(store, draft(keyID(1)))
	for _, change := range []struct {
		name string
		call func(context.Context, string) error
	}{
		{"rotate", func(ctx context.Context, id string) error {
			_, err := store.Rotate(ctx, id, rotation(id, 2))
			return err
		}},
		{"suspend", func(ctx context.Context, id string) error {
			_, err := store.Suspend(ctx, id, true)
			return err
		}},
		{"resume", func(ctx context.Context, id string) error {
			_, err := store.Suspend(ctx, id, false)
			return err
		}},
		{"revoke", func(ctx context.Context, id string) error {
			_, err := store.Revoke(ctx, id)
			return err
		}},
	} {
		drain()
		must(s, 0, change.call(s.Context(), key.ID))
		wait(change.name, key.ID)
	}

	var many []string
	for i := range 20 {
		many = append(many, s.create(store, draft(keyID(100+i))).ID)
	}
	drain()
	revoked, err := store.RevokeAll(s.Context(), apikey.Filter{Tenant: "tenant"}, 100)
	must(s, revoked, err)
	told := make(map[string]bool)
	timeout := time.NewTimer(s.Timeout)
	defer timeout.Stop()
	for len(told) < len(many) && !told[""] {
		select {
		case id := <-changes:
			told[id] = true
		case <-timeout.C:
			s.Stopf("word of %d of the %d that RevokeAll has revoked", len(told), len(many))
		}
	}

	cancel()
	stopped := time.NewTimer(s.Timeout)
	defer stopped.Stop()
	select {
	case err := <-ended:
		if err == nil {
			s.Failf("Watch returned nil")
		}
	case <-stopped.C:
		s.Stopf("Watch goes on for %v after its context is over", s.Timeout)
	}
	drain()
	last := s.create(store, draft(keyID(200)))
	gone, err := store.Revoke(s.Context(), last.ID)
	must(s, gone, err)
	select {
	case id := <-changes:
		s.Failf("word of %q after Watch has returned", id)
	default:
	}
}
