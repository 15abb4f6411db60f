// SPDX-License-Identifier: Apache-2.0

// Package dpoptest contains the contract of [dpop.ReplayStore] as tests: [TestStore] runs
// them for an implementation.
//
// The tests run in real time, the longest for some hundred milliseconds. Each failure
// quotes the broken rule of the contract. The implementation must also test several
// processes and the removal of expired keys.
package dpoptest

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestStore tests whether a store keeps the contract of [dpop.ReplayStore]. It calls
// newStore for each rule, with the t of that rule; newStore returns an empty store
// for at least 1,000 keys.
func TestStore(t *testing.T, newStore func(t *testing.T) dpop.ReplayStore) {
	contract.Test(t, rules, newStore)
}

type rule = contract.Rule[dpop.ReplayStore]

type key = [32]byte

// suite is the test of a rule for a store.
type suite struct {
	contract.Suite
	store dpop.ReplayStore
}

func newRule(name, text string, run func(s suite)) rule {
	return rule{Name: name, Rule: text, Run: func(s contract.Suite, store dpop.ReplayStore) { run(suite{s, store}) }}
}

// key returns one of many keys, which are equal in most bytes.
func (s suite) key(n int) key {
	var k key
	binary.BigEndian.PutUint64(k[12:], uint64(n))
	return k
}

func (s suite) insert(k key, lifetime time.Duration) bool {
	s.Helper()
	inserted, err := s.store.Insert(s.Context(), k, lifetime)
	s.NoError(err)
	return inserted
}

// check inserts a key and checks whether it was absent.
func (s suite) check(what string, k key, lifetime time.Duration, want bool) {
	s.Helper()
	if got := s.insert(k, lifetime); got != want {
		s.Failf("%s: Insert(%x) = %v, want %v", what, k, got, want)
	}
}

var rules = []rule{
	newRule("insert", "Insert records key and reports whether it was absent.", func(s suite) {
		s.check("first", s.key(1), time.Hour, true)
		s.check("again", s.key(1), time.Hour, false)
		s.check("once more", s.key(1), time.Minute, false)
		s.check("another key", s.key(2), time.Hour, true)
	}),
	newRule("keys", "Two keys are the same if all of their 32 bytes are.", func(s suite) {
		keys := []key{{}}
		for n := range 32 {
			for _, b := range []byte{1, '\'', '%', '*', 'A', 'a', 0x80, 0xff} {
				var k key
				k[n] = b
				keys = append(keys, k)
			}
		}
		for _, want := range []bool{true, false} {
			for _, k := range keys {
				s.check("one of many keys", k, time.Hour, want)
			}
		}
	}),
	newRule("lifetime", "The key is recorded for lifetime, in a resolution of milliseconds or better. A key that has expired is absent.", func(s suite) {
		const lifetime = 150 * time.Millisecond
		s.check("long", s.key(1), time.Hour, true)
		start := time.Now()
		s.check("short", s.key(2), lifetime, true)
		after := time.Now()
		var found, began time.Time // when the last two calls began
		s.Until("a key is absent after its lifetime", func() bool {
			found, began = began, time.Now()
			return s.insert(s.key(2), time.Hour)
		})
		if d := time.Since(start); d < lifetime {
			s.Failf("a key of %v was absent after %v", lifetime, d)
		}
		if late := found.Sub(after); late > 2*lifetime {
			s.Failf("a key of %v was present in a call that began %v after it was inserted", lifetime, late)
		}
		s.check("a key that was inserted again", s.key(2), time.Hour, false)
		s.check("a key with a longer lifetime than one that has expired", s.key(1), time.Hour, false)
	}),
	newRule("expiry", "A key that is present keeps its expiry.", func(s suite) {
		s.check("long", s.key(0), time.Hour, true)
		s.check("long again, with a short lifetime", s.key(0), time.Millisecond, false)
		s.Short(func(n int, lifetime time.Duration) bool {
			k := s.key(n + 1)
			start := time.Now()
			s.check("short", k, lifetime, true)
			if s.insert(k, time.Hour) {
				if d := time.Since(start); d < lifetime {
					s.Failf("short again, with a long lifetime: inserted after %v of %v", d, lifetime)
				}
				return false
			}
			s.Until("a key is absent after the lifetime of its first Insert", func() bool { return s.insert(k, time.Hour) })
			s.check("long, after a second Insert with a short lifetime", s.key(0), time.Hour, false)
			return true
		})
	}),
	newRule("canceled context", "If the context is already done, Insert changes nothing and returns an error.", func(s suite) {
		canceled, cancel := context.WithCancel(s.Context())
		cancel()
		if inserted, err := s.store.Insert(canceled, s.key(1), time.Hour); err == nil || inserted {
			s.Failf("Insert with a canceled context = %v, %v, want false and an error", inserted, err)
		}
		s.check("after a canceled Insert", s.key(1), time.Hour, true)
	}),
	newRule("many", "Every key is recorded for its lifetime.", func(s suite) {
		const n = 300
		for i := range n {
			lifetime := time.Hour
			if i%2 == 1 {
				lifetime = time.Millisecond // removed by a store that cleans up
			}
			s.check("one of many", s.key(i), lifetime, true)
		}
		for i := 0; i < n; i += 2 {
			s.check(fmt.Sprintf("after %d others", n), s.key(i), time.Hour, false)
		}
	}),
	newRule("race", "Of several concurrent calls with one key, exactly one returns true.", func(s suite) {
		s.check("an expired key", s.key(0), time.Millisecond, true)
		start := time.Now()
		s.Until("the first key has expired", func() bool { return time.Since(start) > 20*time.Millisecond })
		for round := range contract.Rounds {
			var inserted atomic.Int64
			contract.Together(contract.Racers, func(int) {
				ok, err := s.store.Insert(s.Context(), s.key(round), time.Hour)
				if err != nil {
					s.Failf("unexpected error: %v", err)
				}
				if ok {
					inserted.Add(1)
				}
			})
			if n := inserted.Load(); n != 1 {
				s.Failf("%d of %d calls returned true, want 1", n, contract.Racers)
			}
		}
	}),
}
