// SPDX-License-Identifier: Apache-2.0

// Package upstreamtest contains the contract of [upstream.Store] as tests: [TestStore]
// runs them for an implementation.
package upstreamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestStore tests whether a store keeps the contract of [upstream.Store]. It calls
// newStore for each rule, with the t of that rule; newStore returns an empty store.
func TestStore(t *testing.T, newStore func(t *testing.T) upstream.Store) {
	contract.Test(t, rules, newStore)
}

type rule = contract.Rule[upstream.Store]

// suite is the test of a rule for a store.
type suite struct {
	contract.Suite
	store upstream.Store
}

func newRule(name, text string, run func(s suite)) rule {
	return rule{Name: name, Rule: text, Run: func(s contract.Suite, store upstream.Store) { run(suite{s, store}) }}
}

// load returns a record.
func (s suite) load(name string) upstream.Record {
	s.Helper()
	r, err := s.store.Load(s.Context(), name)
	s.NoError(err)
	return r
}

func (s suite) swap(name string, revision int64, data string) {
	s.Helper()
	s.NoError(s.store.Swap(s.Context(), name, revision, []byte(data)))
}

// expect checks the revision and the data of a record.
func (s suite) expect(name string, revision int64, data string) {
	s.Helper()
	if r := s.load(name); r.Revision != revision || string(r.Data) != data {
		s.Failf("Load(%.40q) = revision %d, %.40q (%d bytes), want revision %d, %.40q (%d bytes)",
			name, r.Revision, r.Data, len(r.Data), revision, data, len(data))
	}
}

// conflict checks that a swap is refused.
func (s suite) conflict(name string, revision int64) {
	s.Helper()
	if err := s.store.Swap(s.Context(), name, revision, []byte("other")); !errors.Is(err, upstream.ErrConflict) {
		s.Failf("Swap(%q, revision %d) error = %v, want ErrConflict", name, revision, err)
	}
}

var rules = []rule{
	newRule("absent", "A record that was never written has the revision 0 and no data.", func(s suite) {
		s.expect("never", 0, "")
		s.expect("never", 0, "")
	}),
	newRule("swap", "Swap writes data, of any octets, and the record has the next revision.", func(s suite) {
		for n := range 5 {
			data := fmt.Sprintf("\x00\xff%d\n\x00", n)
			s.swap("main", int64(n), data)
			s.expect("main", int64(n+1), data)
		}
		s.swap("main", 5, "")
		s.expect("main", 6, "")
	}),
	newRule("conflict", "If the record has another revision, Swap changes nothing and returns ErrConflict.", func(s suite) {
		s.conflict("main", 1)
		s.conflict("main", -1)
		s.expect("main", 0, "")
		s.swap("main", 0, "a")
		s.conflict("main", 0)
		s.conflict("main", 2)
		s.expect("main", 1, "a")
		s.swap("main", 1, "b")
		s.conflict("main", 0)
		s.conflict("main", 1)
		s.conflict("main", 3)
		s.expect("main", 2, "b")
	}),
	newRule("names", "Each name has its own record. Names are compared byte by byte.", func(s suite) {
		names := []string{
			"a", "A", "a ", " a", "a\t", "a:b", "a/b", "a%", "a_", "*", "caf\u00e9", "cafe\u0301", "\u212a", "K", "k",
			strings.Repeat("n", 127), strings.Repeat("n", 128),
		}
		for _, name := range names {
			s.expect(name, 0, "")
			s.swap(name, 0, name)
		}
		for _, name := range names {
			s.expect(name, 1, name)
		}
	}),
	newRule("size", "Data is at most MaxRecordBytes of any octets.", func(s suite) {
		data := make([]byte, upstream.MaxRecordBytes)
		for i := range data {
			data[i] = byte(i * 7)
		}
		s.swap("main", 0, string(data))
		s.expect("main", 1, string(data))
	}),
	newRule("clock", "AsOf is the current time by one clock, in UTC, to the microsecond, also of an absent record.", func(s suite) {
		s.swap("main", 0, "a")
		first := s.load("main").AsOf
		for _, name := range []string{"main", "never"} {
			at := s.load(name).AsOf
			if at.IsZero() || at.Before(first) || at.Location() != time.UTC || !at.Equal(at.Truncate(time.Microsecond)) {
				s.Failf("Load(%q).AsOf = %v after %v", name, at, first)
			}
		}
		s.Until("the clock moves on", func() bool { return s.load("main").AsOf.Sub(first) > 5*time.Millisecond })
	}),
	newRule("context", "If the context is already done, a method changes nothing and returns an error, which is not ErrConflict.", func(s suite) {
		s.swap("main", 0, "a")
		ctx, cancel := context.WithCancel(s.Context())
		cancel()
		if _, err := s.store.Load(ctx, "main"); err == nil {
			s.Failf("Load with a canceled context: no error")
		}
		for revision := range int64(2) {
			if err := s.store.Swap(ctx, "main", revision, []byte("b")); err == nil || errors.Is(err, upstream.ErrConflict) {
				s.Failf("Swap with a canceled context: error = %v", err)
			}
		}
		s.expect("main", 1, "a")
	}),
	newRule("copies", "The caller may change the data that it passed or got.", func(s suite) {
		data := []byte("aaaa")
		s.NoError(s.store.Swap(s.Context(), "main", 0, data))
		copy(data, "bbbb")
		s.expect("main", 1, "aaaa")
		copy(s.load("main").Data, "cccc")
		s.expect("main", 1, "aaaa")
	}),
	newRule("race", "Of several swaps of one revision one succeeds, and the others get ErrConflict.", func(s suite) {
		for round := range int64(contract.Rounds) {
			var won atomic.Int64
			var winner atomic.Pointer[[]byte]
			contract.Together(contract.Racers, func(i int) {
				data := bytes.Repeat([]byte{byte('a' + i)}, 100)
				switch err := s.store.Swap(s.Context(), "main", round, data); {
				case err == nil:
					won.Add(1)
					winner.Store(&data)
				case !errors.Is(err, upstream.ErrConflict):
					s.Failf("Swap error = %v, want nil or ErrConflict", err)
				}
			})
			if won.Load() != 1 {
				s.Stopf("%d swaps of one revision succeeded, want 1", won.Load())
			}
			s.expect("main", round+1, string(*winner.Load()))
		}
	}),
}
