// SPDX-License-Identifier: Apache-2.0

// Package agenttest contains the contract of [agent.Store] as tests: [TestStore] runs
// them for an implementation.
//
// The tests run in real time. Each failure quotes the broken rule of the contract. The
// implementation must also test durability (changes survive the end of the process and of
// the database) and several processes.
package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestStore tests whether a store keeps the contract of [agent.Store]. It calls
// newStore for each rule, with the t of that rule; newStore returns an empty store.
func TestStore(t *testing.T, newStore func(t *testing.T) agent.Store) {
	contract.Test(t, slices.Concat(rules, races), newStore)
}

type rule = contract.Rule[agent.Store]

// suite is the test of a rule for a store.
type suite struct {
	contract.Suite
	store agent.Store
}

func newRule(name, text string, run func(s suite)) rule {
	return rule{Name: name, Rule: text, Run: func(s contract.Suite, store agent.Store) { run(suite{s, store}) }}
}

func (s suite) register(id, tenant, details string) agent.Record {
	s.Helper()
	r, err := s.store.Register(s.Context(), id, tenant, []byte(details))
	s.NoError(err)
	return r
}

func (s suite) find(id string) agent.Record {
	s.Helper()
	r, err := s.store.Find(s.Context(), id)
	s.NoError(err)
	return r
}

func (s suite) decommission(tenant, id string) agent.Record {
	s.Helper()
	r, err := s.store.Decommission(s.Context(), tenant, id)
	s.NoError(err)
	return r
}

func (s suite) list(tenant, after string, limit int) string {
	s.Helper()
	records, err := s.store.List(s.Context(), tenant, after, limit)
	s.NoError(err)
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

// same checks that a record is as expected.
func (s suite) same(what string, got, want agent.Record) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Failf("%s (-want +got):\n%s", what, diff)
	}
}

// fails checks the error of a call.
func (s suite) fails(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Failf("%s: error = %v, want %v", what, err, want)
	}
}

// later waits until the clock of the store is after t, by registrations of other
// agents.
func (s suite) later(t time.Time) {
	s.Helper()
	n := 0
	s.Until(fmt.Sprintf("the clock of the store is after %v", t), func() bool {
		n++
		return s.register(fmt.Sprint("clock", n, t.UnixNano()), "clock", "").Created.After(t)
	})
}

var rules = []rule{
	newRule("register", "Register adds a record with Generation 1, Created and Changed now.",
		func(s suite) {
			_, err := s.store.Find(s.Context(), "a")
			s.fails("Find before Register", err, agent.ErrNotFound)
			got := s.register("a", "acme", `{"x":1}`)
			want := agent.Record{ID: "a", Tenant: "acme", Details: []byte(`{"x":1}`), Generation: 1, Created: got.Created, Changed: got.Created}
			s.same("Register", got, want)
			if got.Created.IsZero() {
				s.Failf("Created is zero")
			}
			s.same("Find", s.find("a"), want)
			s.later(got.Created)
			s.same("Find later", s.find("a"), want)
		}),
	newRule("register again", "If Details are the same, nothing changes. Otherwise they are replaced, Changed is set to now, and Generation grows by 1.",
		func(s suite) {
			first := s.register("a", "acme", "x")
			s.later(first.Created)
			s.same("Register with the same details", s.register("a", "acme", "x"), first)
			second := s.register("a", "acme", "X")
			if !second.Changed.After(first.Changed) {
				s.Failf("Changed = %v, was %v", second.Changed, first.Changed)
			}
			want := first
			want.Details, want.Generation, want.Changed = []byte("X"), 2, second.Changed
			s.same("Register with other details", second, want)
			s.same("Find", s.find("a"), want)
			s.register("a", "acme", "x")
			s.register("a", "acme", "")
			if r := s.find("a"); r.Generation != 4 || len(r.Details) != 0 {
				s.Failf("after two more changes: generation %d, details %q, want 4 and none", r.Generation, r.Details)
			}
		}),
	newRule("tenant", "ErrConflict, if Tenant differs; ErrNotFound if there is none with this ID and Tenant. No change.",
		func(s suite) {
			first := s.register("a", "acme", "x")
			_, err := s.store.Register(s.Context(), "a", "globex", []byte("y"))
			s.fails("Register for another tenant", err, agent.ErrConflict)
			for _, tenant := range []string{"Acme", "acm", "acme2"} {
				_, err = s.store.Register(s.Context(), "a", tenant, []byte("x"))
				s.fails("Register for a tenant of nearly the same name", err, agent.ErrConflict)
			}
			for _, tenant := range []string{"globex", "", "Acme", "acme ", "acm"} {
				_, err = s.store.Decommission(s.Context(), tenant, "a")
				s.fails("Decommission for another tenant", err, agent.ErrNotFound)
			}
			for _, tenant := range []string{"acme", ""} {
				_, err = s.store.Decommission(s.Context(), tenant, "b")
				s.fails("Decommission of another ID", err, agent.ErrNotFound)
			}
			s.same("Find", s.find("a"), first)
			s.decommission("acme", "a")
			_, err = s.store.Register(s.Context(), "a", "globex", []byte("y"))
			s.fails("Register of a decommissioned one for another tenant", err, agent.ErrConflict)
		}),
	newRule("decommission", "Decommission sets Decommissioned and Changed to now and lets Generation grow by 1. If Decommissioned is set already, nothing changes.",
		func(s suite) {
			first := s.register("a", "acme", "x")
			other := s.register("b", "acme", "x")
			s.later(first.Created)
			ended := s.decommission("acme", "a")
			want := first
			want.Generation, want.Changed, want.Decommissioned = 2, ended.Changed, ended.Changed
			s.same("Decommission", ended, want)
			if !ended.Decommissioned.After(first.Created) {
				s.Failf("Decommissioned = %v, Created = %v", ended.Decommissioned, first.Created)
			}
			s.later(ended.Changed)
			s.same("Find", s.find("a"), want)
			s.same("Decommission again", s.decommission("acme", "a"), want)
			s.same("Find after the second time", s.find("a"), want)
			s.same("Find of another agent", s.find("b"), other)
		}),
	newRule("for good", "ErrDecommissioned, if Decommissioned is set. No change.",
		func(s suite) {
			s.register("a", "acme", "x")
			ended := s.decommission("acme", "a")
			for _, details := range []string{"x", "y"} {
				_, err := s.store.Register(s.Context(), "a", "acme", []byte(details))
				s.fails("Register of a decommissioned one", err, agent.ErrDecommissioned)
			}
			s.same("Find", s.find("a"), ended)
		}),
	newRule("list", "List returns at most limit records of a tenant, also decommissioned ones, whose ID is greater than after, ordered by ID byte by byte.",
		func(s suite) {
			ids := []string{"b", "a", "B", "é", "a b", "aa", "Z"}
			for _, id := range ids {
				s.register(id, "acme", id)
			}
			s.register("c", "globex", "c")
			s.decommission("acme", "aa")
			slices.Sort(ids)
			for limit := range len(ids) + 2 {
				if got, want := s.list("acme", "", limit), strings.Join(ids[:min(limit, len(ids))], " "); got != want {
					s.Failf("List(acme, limit %d) = %q, want %q", limit, got, want)
				}
			}
			for n, id := range ids {
				if got, want := s.list("acme", id, 100), strings.Join(ids[n+1:], " "); got != want {
					s.Failf("List(acme, after %s) = %q, want %q", id, got, want)
				}
			}
			for tenant, want := range map[string]string{"globex": "c", "": "", "Acme": "", "ac": ""} {
				if got := s.list(tenant, "", 100); got != want {
					s.Failf("List(%q) = %q, want %q", tenant, got, want)
				}
			}
			records, err := s.store.List(s.Context(), "acme", "a b", 1)
			s.NoError(err)
			s.same("List", records[0], s.find("aa"))
		}),
	newRule("names", "Strings and Details are stored and compared byte by byte.",
		func(s suite) {
			long := strings.Repeat("é", 120)
			ids := []string{"a", "A", "a ", " a", "é", "e\u0301", long, long + "x", "a'b\"; --", "%", "a*", `a\`, "$1 ?1", "a:b"}
			for n, id := range ids {
				_, err := s.store.Find(s.Context(), id)
				s.fails(fmt.Sprintf("Find(%q) before Register", id), err, agent.ErrNotFound)
				tenant, details := "t "+id, fmt.Sprintf("%d\x00\xff'%s", n, id)
				s.register(id, tenant, details)
				if r := s.find(id); r.ID != id || r.Tenant != tenant || string(r.Details) != details {
					s.Failf("Find(%q) = %q of %q, %q", id, r.ID, r.Tenant, r.Details)
				}
			}
		}),
	newRule("clock", "One clock yields the current time. Times have microsecond precision and are returned in UTC.",
		func(s suite) {
			var last time.Time
			for n := range 3 {
				id := fmt.Sprint("a", n)
				s.register(id, "acme", "x")
				for _, at := range []time.Time{s.find(id).Created, s.register(id, "acme", "y").Changed, s.decommission("acme", id).Decommissioned} {
					if at.Location() != time.UTC || at.Nanosecond()%1000 != 0 || at.Before(last) {
						s.Failf("a change at %v with %d ns, after %v", at, at.Nanosecond(), last)
					}
					last = at
				}
			}
			s.later(last)
		}),
	newRule("copies", "Records are copied in and out.",
		func(s suite) {
			unchanged := func() {
				if got := s.find("a"); string(got.Details) != "x" {
					s.Failf("Details = %q after changes of the caller, want x", got.Details)
				}
			}
			details := []byte("x")
			r, err := s.store.Register(s.Context(), "a", "acme", details)
			s.NoError(err)
			details[0], r.Details[0] = 'y', 'z'
			s.find("a").Details[0] = 'z'
			records, err := s.store.List(s.Context(), "acme", "", 1)
			s.NoError(err)
			records[0].Details[0] = 'z'
			unchanged()
			s.register("a", "acme", "x").Details[0] = 'z'
			s.decommission("acme", "a").Details[0] = 'z'
			unchanged()
		}),
	newRule("canceled context", "If the context is already done, a method changes nothing and returns an error.",
		func(s suite) {
			first := s.register("a", "acme", "x")
			canceled, cancel := context.WithCancel(s.Context())
			cancel()
			_, err1 := s.store.Register(canceled, "a", "acme", []byte("y"))
			_, err2 := s.store.Find(canceled, "a")
			_, err3 := s.store.Decommission(canceled, "acme", "a")
			_, err4 := s.store.List(canceled, "acme", "", 10)
			for n, err := range []error{err1, err2, err3, err4} {
				if err == nil || errors.Is(err, agent.ErrNotFound) || errors.Is(err, agent.ErrConflict) || errors.Is(err, agent.ErrDecommissioned) {
					s.Failf("%s with a canceled context: error = %v", []string{"Register", "Find", "Decommission", "List"}[n], err)
				}
			}
			s.same("Find", s.find("a"), first)
			s.register("b", "acme", "x") // no lock is left
		}),
}
