// SPDX-License-Identifier: Apache-2.0

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

// TestStore tests whether a store keeps the contract of
// [revocation.Store]. NewStore is called once for each part of it, with
// the t of that part, and returns a store that is empty.
func TestStore(t *testing.T, newStore func(t *testing.T) revocation.Store) {
	contract.Test(t, revocationRules, newStore)
}

type revocationRule = contract.Rule[revocation.Store]

// revocations is a suite and the store that it is about.
type revocations struct {
	contract.Suite
	store revocation.Store
}

func revocationOf(name, rule string, run func(s revocations)) revocationRule {
	return revocationRule{Name: name, Rule: rule, Run: func(s contract.Suite, store revocation.Store) { run(revocations{s, store}) }}
}

const issuer = "https://auth.example.com"

func subject(name string) revocation.Target {
	return revocation.Target{Kind: revocation.Subject, Issuer: issuer, Value: name}
}

func (s revocations) revoke(r revocation.Target, lifetime time.Duration) {
	s.Helper()
	s.Good(s.store.Revoke(s.Context(), r, lifetime))
}

func (s revocations) find(rs ...revocation.Target) []time.Time {
	s.Helper()
	times, err := s.store.Find(s.Context(), rs)
	s.Good(err)
	if len(times) != len(rs) {
		s.Stopf("%d answers to %d questions", len(times), len(rs))
	}
	return times
}

func (s revocations) revoked(r revocation.Target) bool {
	s.Helper()
	return !s.find(r)[0].IsZero()
}

var revocationRules = []revocationRule{
	revocationOf("revoke", "Revoke notes that something is revoked now. Find returns for each of its arguments when it was last revoked, zero if it is not.",
		func(s revocations) {
			kinds := []revocation.Kind{revocation.Token, revocation.Subject, revocation.Client, revocation.Family}
			for n, kind := range kinds {
				r := revocation.Target{Kind: kind, Issuer: issuer, Value: "a"}
				if s.revoked(r) {
					s.Failf("%s is revoked before it was", kind)
				}
				s.revoke(r, time.Hour)
				for m, other := range kinds {
					o := revocation.Target{Kind: other, Issuer: issuer, Value: "a"}
					if s.revoked(o) != (m <= n) {
						s.Failf("after the revocation of a %s, that of a %s is %v", kind, other, s.revoked(o))
					}
				}
			}
		}),
	revocationOf("answers", "Find answers in the order in which it was asked, as often as it was asked.",
		func(s revocations) {
			if got := s.find(); len(got) != 0 {
				s.Failf("no question has the answers %v", got)
			}
			s.revoke(subject("b"), time.Hour)
			s.revoke(subject("d"), time.Hour)
			asked := []revocation.Target{subject("a"), subject("d"), subject("c"), subject("b"), subject("d")}
			got := s.find(asked...)
			want := []bool{false, true, false, true, true}
			for i := range asked {
				if got[i].IsZero() == want[i] {
					s.Failf("%s is %v", asked[i].Value, got[i])
				}
			}
			if !got[1].Equal(got[4]) {
				s.Failf("one question has two answers: %v", got)
			}
		}),
	revocationOf("names", "Strings compare byte by byte.",
		func(s revocations) {
			long := strings.Repeat("é", 127)
			for i, pair := range [][2]string{
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
				r := revocation.Target{Kind: revocation.Subject, Issuer: pair[0], Value: pair[1]}
				if s.revoked(r) {
					s.Failf("number %d, %q, is taken for another one", i, pair)
				}
				s.revoke(r, time.Hour)
				if !s.revoked(r) {
					s.Failf("number %d, %q, is not found", i, pair)
				}
			}
		}),
	revocationOf("revoke again", "The time of an earlier revocation gives way to now; it is kept for lifetime, or for longer if the store has been told to before.",
		func(s revocations) {
			s.revoke(subject("a"), time.Hour)
			first := s.find(subject("a"))[0]
			s.clockPasses(first)
			s.revoke(subject("a"), 50*time.Millisecond) // shortens nothing
			second := s.find(subject("a"))[0]
			if !second.After(first) {
				s.Failf("revoked at %v, and again at %v", first, second)
			}
			s.clockPasses(second.Add(100 * time.Millisecond))
			if !s.revoked(subject("a")) {
				s.Failf("a second revocation has cut the first one short")
			}
			s.revoke(subject("b"), 20*time.Millisecond)
			s.revoke(subject("b"), time.Hour) // makes it longer
			s.clockPasses(s.find(subject("b"))[0].Add(60 * time.Millisecond))
			if !s.revoked(subject("b")) {
				s.Failf("a second revocation has not been kept for its own lifetime")
			}
		}),
	revocationOf("lifetime", "What was kept for its lifetime counts no more, and not before.",
		func(s revocations) {
			s.revoke(subject("long"), time.Hour)
			before := s.now()
			s.revoke(subject("short"), 150*time.Millisecond)
			at := s.find(subject("short"))[0]
			if at.IsZero() && s.now().Before(before.Add(150*time.Millisecond)) {
				s.Failf("a revocation is over at once")
			}
			s.Until("a revocation whose lifetime is over counts no more", func() bool { return !s.revoked(subject("short")) })
			if s.now().Before(at.Add(150 * time.Millisecond)) {
				s.Failf("a revocation is over before its lifetime is")
			}
			if !s.revoked(subject("long")) {
				s.Failf("a revocation ends with another one")
			}
			s.revoke(subject("short"), time.Hour)
			if !s.revoked(subject("short")) {
				s.Failf("what was revoked once cannot be revoked again")
			}
		}),
	revocationOf("clock", "Time is the store's, kept to the microsecond and returned in UTC.",
		func(s revocations) {
			var last time.Time
			for i := range 3 {
				name := fmt.Sprint("s", i)
				s.revoke(subject(name), time.Hour)
				at := s.find(subject(name))[0]
				if at.Location() != time.UTC || at.Nanosecond()%1000 != 0 || at.Before(last) {
					s.Failf("revoked at %v, of %d ns, after %v", at, at.Nanosecond(), last)
				}
				last = at
			}
			s.clockPasses(last)
		}),
	revocationOf("context", "A method whose context is over before it begins changes nothing and returns an error.",
		func(s revocations) {
			over, cancel := context.WithCancel(s.Context())
			cancel()
			if err := s.store.Revoke(over, subject("a"), time.Hour); err == nil {
				s.Failf("revoked with a context that is over")
			}
			if _, err := s.store.Find(over, []revocation.Target{subject("a")}); err == nil {
				s.Failf("found with a context that is over")
			}
			if s.revoked(subject("a")) {
				s.Failf("a call whose context is over has revoked")
			}
		}),
	revocationOf("many", "All that was revoked is kept for its lifetime, however much there is.",
		func(s revocations) {
			var all []revocation.Target
			for i := range 60 {
				lifetime := time.Hour
				if i%2 == 1 {
					lifetime = time.Millisecond // in the way of those that clean up
				} else {
					all = append(all, subject(fmt.Sprint("many", i)))
				}
				s.revoke(subject(fmt.Sprint("many", i)), lifetime)
			}
			for i, at := range s.find(all...) {
				if at.IsZero() {
					s.Failf("%s is not revoked any more", all[i].Value)
				}
			}
		}),
	revocationOf("race", "What was revoked is visible to every reader before Revoke returns, and stays so while it is revoked again.",
		func(s revocations) {
			for round := range contract.Rounds {
				r := subject(fmt.Sprint("race", round))
				var told atomic.Bool
				var revoking atomic.Int64
				revoking.Store((contract.Racers + 3) / 4)
				contract.Together(contract.Racers, func(i int) {
					if i%4 == 0 {
						for range 4 {
							if err := s.store.Revoke(s.Context(), r, time.Hour); err != nil {
								s.Failf("unexpected error: %v", err)
							}
							told.Store(true)
						}
						revoking.Add(-1)
						return
					}
					for n := 0; n < 4 || revoking.Load() > 0; n++ {
						late := told.Load()
						times, err := s.store.Find(s.Context(), []revocation.Target{r})
						if err != nil || len(times) != 1 {
							s.Failf("%v, unexpected error: %v", times, err)
							return
						}
						if late && times[0].IsZero() {
							s.Failf("not revoked after that was acknowledged")
							return
						}
					}
				})
				if !s.revoked(r) {
					s.Failf("not revoked after a race")
				}
			}
		}),
}

// clockPasses waits until the store's clock has passed t.
func (s revocations) clockPasses(t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the store's clock passes %v", t), func() bool { return s.now().After(t) })
}

// now asks the store for its time, by revoking something.
func (s revocations) now() time.Time {
	s.Helper()
	clock := revocation.Target{Kind: revocation.Client, Issuer: "clock", Value: "clock"}
	s.revoke(clock, time.Hour)
	return s.find(clock)[0]
}
