// SPDX-License-Identifier: Apache-2.0

// Package revocationtest contains the contract of [revocation.Store] as tests:
// [TestStore] runs them for an implementation.
//
// The tests run in real time, the longest for some hundred milliseconds. Each failure
// quotes the broken rule of the contract. The implementation must also test durability
// (changes survive the end of the process and of the database), several processes, and
// the removal of expired records.
package revocationtest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/revocation"
)

// TestStore tests whether a store keeps the contract of [revocation.Store]. It
// calls newStore for each rule, with the t of that rule; newStore returns an empty
// store.
func TestStore(t *testing.T, newStore func(t *testing.T) revocation.Store) {
	contract.Test(t, rules, newStore)
}

type rule = contract.Rule[revocation.Store]

// suite is the test of a rule for a store.
type suite struct {
	contract.Suite
	store revocation.Store
}

func newRule(name, text string, run func(s suite)) rule {
	return rule{Name: name, Rule: text, Run: func(s contract.Suite, store revocation.Store) { run(suite{s, store}) }}
}

const issuer = "https://auth.example.com"

func subject(name string) revocation.Target {
	return revocation.Target{Kind: revocation.Subject, Issuer: issuer, Value: name}
}

func (s suite) revoke(target revocation.Target, lifetime time.Duration) {
	s.Helper()
	s.NoError(s.store.Revoke(s.Context(), target, lifetime))
}

func (s suite) find(targets ...revocation.Target) []time.Time {
	s.Helper()
	times, err := s.store.Find(s.Context(), targets)
	s.NoError(err)
	if len(times) != len(targets) {
		s.Stopf("Find returned %d times for %d targets", len(times), len(targets))
	}
	return times
}

func (s suite) revoked(target revocation.Target) bool {
	s.Helper()
	return !s.find(target)[0].IsZero()
}

// check checks whether a target is revoked.
func (s suite) check(what string, target revocation.Target, want bool) {
	s.Helper()
	if got := s.revoked(target); got != want {
		s.Failf("%s: %.60q is revoked = %v, want %v", what, target.Value, got, want)
	}
}

// now returns the store's time, by a revocation.
func (s suite) now() time.Time {
	s.Helper()
	clock := revocation.Target{Kind: revocation.Client, Issuer: "clock", Value: "clock"}
	s.revoke(clock, time.Hour)
	return s.find(clock)[0]
}

// until waits until the store's clock is after t.
func (s suite) until(t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the clock of the store is after %v", t), func() bool { return s.now().After(t) })
}

var rules = []rule{
	newRule("revoke", "Revoke records that target is revoked now. Find returns the zero time for targets that are not revoked.",
		func(s suite) {
			kinds := []revocation.Kind{revocation.Token, revocation.Subject, revocation.Client, revocation.Family}
			for n, kind := range kinds {
				s.check("before Revoke", revocation.Target{Kind: kind, Issuer: issuer, Value: "a"}, false)
				s.revoke(revocation.Target{Kind: kind, Issuer: issuer, Value: "a"}, time.Hour)
				for m, other := range kinds {
					s.check(fmt.Sprintf("after Revoke of a %s, %s", kind, other), revocation.Target{Kind: other, Issuer: issuer, Value: "a"}, m <= n)
				}
			}
		}),
	newRule("results", "Find returns the time of the last revocation of each target, in the same order.",
		func(s suite) {
			if got := s.find(); len(got) != 0 {
				s.Failf("Find without targets = %v", got)
			}
			s.revoke(subject("b"), time.Hour)
			s.revoke(subject("d"), time.Hour)
			got := s.find(subject("a"), subject("d"), subject("c"), subject("b"), subject("d"))
			for i, want := range []bool{false, true, false, true, true} {
				if got[i].IsZero() == want {
					s.Failf("Find(a, d, c, b, d): result %d = %v, want revoked = %v", i, got[i], want)
				}
			}
			if !got[1].Equal(got[4]) {
				s.Failf("Find(a, d, c, b, d) = %v, want the same time for both d", got)
			}
		}),
	newRule("names", "Strings are compared byte by byte.",
		func(s suite) {
			long := strings.Repeat("é", 256)
			for _, pair := range [][2]string{
				{issuer, "a"},
				{issuer, "A"},
				{issuer + "/", "a"},
				{"HTTPS://auth.example.com", "a"},
				{issuer, "a "},
				{issuer, " a"},
				{issuer, "é"},
				{issuer, "e\u0301"},
				{issuer, long},
				{issuer, long + "x"},
				{issuer, "a:b"},
				{issuer + ":a", "b"},
				{issuer, "a'b\"; --"},
				{issuer, "%"},
				{issuer, "a*"},
				{issuer, `a\`},
				{issuer, "$1 ?1"},
				{issuer + ":sub", "a"},
			} {
				target := revocation.Target{Kind: revocation.Subject, Issuer: pair[0], Value: pair[1]}
				s.check("before Revoke, issuer "+pair[0], target, false)
				s.revoke(target, time.Hour)
				s.check("after Revoke, issuer "+pair[0], target, true)
			}
		}),
	newRule("revoke again", "Revoke replaces the time of an earlier revocation. The record is kept for lifetime, or until the end of an earlier record if that is later.",
		func(s suite) {
			s.revoke(subject("a"), time.Hour)
			first := s.find(subject("a"))[0]
			s.until(first)
			s.revoke(subject("a"), 50*time.Millisecond)
			second := s.find(subject("a"))[0]
			if !second.After(first) {
				s.Failf("revoked at %v, and again at %v", first, second)
			}
			s.until(second.Add(100 * time.Millisecond))
			s.check("after a second Revoke with a shorter lifetime", subject("a"), true)
			s.revoke(subject("b"), 20*time.Millisecond)
			s.revoke(subject("b"), time.Hour)
			s.until(s.find(subject("b"))[0].Add(60 * time.Millisecond))
			s.check("after a second Revoke with a longer lifetime", subject("b"), true)
		}),
	newRule("lifetime", "The record is kept for lifetime. Then it has no effect.",
		func(s suite) {
			s.revoke(subject("long"), time.Hour)
			before := s.now()
			s.revoke(subject("short"), 150*time.Millisecond)
			at := s.find(subject("short"))[0]
			if at.IsZero() && s.now().Before(before.Add(150*time.Millisecond)) {
				s.Failf("a revocation has no effect during its lifetime")
			}
			s.Until("a revocation has no effect after its lifetime", func() bool { return !s.revoked(subject("short")) })
			if now := s.now(); now.Before(at.Add(150 * time.Millisecond)) {
				s.Failf("a revocation of %v ended %v after it was made", 150*time.Millisecond, now.Sub(at))
			}
			s.check("after another one ended", subject("long"), true)
			s.revoke(subject("short"), time.Hour)
			s.check("after Revoke of an expired one", subject("short"), true)
		}),
	newRule("clock", "One clock yields all times. They have microsecond precision and are returned in UTC.",
		func(s suite) {
			var last time.Time
			for i := range 3 {
				name := fmt.Sprint("s", i)
				s.revoke(subject(name), time.Hour)
				at := s.find(subject(name))[0]
				if at.Location() != time.UTC || at.Nanosecond()%1000 != 0 || at.Before(last) {
					s.Failf("revoked at %v with %d ns, after %v", at, at.Nanosecond(), last)
				}
				last = at
			}
			s.until(last)
		}),
	newRule("canceled context", "With a context that is already canceled, a method changes nothing and returns an error.",
		func(s suite) {
			canceled, cancel := context.WithCancel(s.Context())
			cancel()
			if err := s.store.Revoke(canceled, subject("a"), time.Hour); err == nil {
				s.Failf("Revoke with a canceled context: got no error")
			}
			if _, err := s.store.Find(canceled, []revocation.Target{subject("a")}); err == nil {
				s.Failf("Find with a canceled context: got no error")
			}
			s.check("after Revoke with a canceled context", subject("a"), false)
			s.revoke(subject("a"), time.Hour) // no lock was kept
		}),
	newRule("many", "Every record is kept for its lifetime.",
		func(s suite) {
			var all []revocation.Target
			for i := range 60 {
				lifetime := time.Hour
				if i%2 == 1 {
					lifetime = time.Millisecond // removed by a store that cleans up
				} else {
					all = append(all, subject(fmt.Sprint("many", i)))
				}
				s.revoke(subject(fmt.Sprint("many", i)), lifetime)
			}
			for i, at := range s.find(all...) {
				if at.IsZero() {
					s.Failf("%s is not revoked", all[i].Value)
				}
			}
		}),
	newRule("race", "A revocation is visible to every reader before Revoke returns, and while it is made again.",
		func(s suite) {
			for round := range contract.Rounds {
				target := subject(fmt.Sprint("race", round))
				var returned atomic.Bool
				var revoking atomic.Int64
				const writers = contract.Racers / 4
				revoking.Store(writers)
				contract.Together(2*writers, func(i int) {
					if i < writers {
						for range 4 {
							if err := s.store.Revoke(s.Context(), target, time.Hour); err != nil {
								s.Failf("unexpected error: %v", err)
							}
							returned.Store(true)
						}
						revoking.Add(-1)
						return
					}
					for n := 0; n < 4 || revoking.Load() > 0; n++ {
						late := returned.Load()
						times, err := s.store.Find(s.Context(), []revocation.Target{target})
						if err != nil || len(times) != 1 {
							s.Failf("Find = %v, %v", times, err)
							return
						}
						if late && times[0].IsZero() {
							s.Failf("not revoked after Revoke has returned")
							return
						}
					}
				})
				s.check("after a race", target, true)
			}
		}),
}
