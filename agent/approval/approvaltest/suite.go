// SPDX-License-Identifier: Apache-2.0

// Package approvaltest contains the contract of [approval.Store] as tests: [TestStore]
// runs them for an implementation.
//
// The tests run in real time, the longest for some hundred milliseconds. Each failure
// quotes the broken rule of the contract. The implementation must also test durability
// (changes survive the end of the process and of the database), several processes, and
// the removal of expired records.
package approvaltest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestStore tests whether a store keeps the contract of [approval.Store]. It calls
// newStore for each rule, with the t of that rule; newStore returns an empty store.
func TestStore(t *testing.T, newStore func(t *testing.T) approval.Store) {
	contract.Test(t, rules, newStore)
}

type rule = contract.Rule[approval.Store]

var rules = slices.Concat(requestRules, decideRules, claimRules, listRules, raceRules)

// suite is the test of a rule for a store.
type suite struct {
	contract.Suite
	store approval.Store
}

func newRule(name, text string, run func(s suite)) rule {
	return rule{Name: name, Rule: text, Run: func(s contract.Suite, store approval.Store) { run(suite{s, store}) }}
}

const (
	lifetime = time.Hour
	short    = 150 * time.Millisecond
)

func limits(lifetime time.Duration) approval.Limits {
	return approval.Limits{Lifetime: lifetime, Pending: 50, Bytes: 1 << 20}
}

// key returns a person or an agent. Its text has characters that stores might change.
func key(subject string) gatehouse.Key {
	return gatehouse.Key{Issuer: "https://id.example.com/é |", Subject: subject + " % \\ '\" ☂ "}
}

func roles(names ...string) gatehouse.Roles {
	r, err := gatehouse.NewRoles(names...)
	if err != nil {
		panic(err)
	}
	return r
}

// draft returns an approval as approval.Approvals requests it. Two persons must
// approve, who are operators or administrators.
func draft(id string) approval.Approval {
	return approval.Approval{
		ID: id,
		Call: approval.Call{
			Tenant: "tenant ☂", Subject: key("alice"), Actor: key("agent"), Tool: "tool " + id, Version: "1",
			Arguments: "{\"a\":\"\\u0000\\n'\\\\ \u202e\u2028 ☂ 𝄞 \x7f\",\"n\":1.5}",
		},
		Rule: approval.Rule{Roles: roles("admin", "operator, of 100%"), Count: 2},
	}
}

// reason is one with every kind of character.
const reason = "because\x00 \n\r\t %20 + 'quoted' \"twice\" \\ ☂ 𝄞 \u202e\u2028 \x7f"

func approve(subject string) approval.Decision {
	return approval.Decision{Decider: key(subject), Approve: true, Comment: reason}
}

func deny(subject string) approval.Decision {
	return approval.Decision{Decider: key(subject), Comment: "no"}
}

// request requests an approval and checks whether it was added.
func (s suite) request(what string, a approval.Approval, again, want bool) approval.Approval {
	s.Helper()
	return s.requestFor(what, a, lifetime, again, want)
}

func (s suite) requestFor(what string, a approval.Approval, lifetime time.Duration, again, want bool) approval.Approval {
	s.Helper()
	got, added, err := s.store.Request(s.Context(), a, limits(lifetime), again)
	s.NoError(err)
	if added != want {
		s.Failf("Request(%s) added = %v, want %v", what, added, want)
	}
	s.same("stored after Request("+what+")", s.find(got.ID), got)
	return got
}

func (s suite) find(id string) approval.Approval {
	s.Helper()
	found, err := s.store.Find(s.Context(), draft("").Tenant, id)
	s.NoError(err)
	return found
}

// decide decides and checks whether the decision was recorded.
func (s suite) decide(what string, a approval.Approval, d approval.Decision, want bool) approval.Approval {
	s.Helper()
	got, decided, err := s.store.Decide(s.Context(), a.Tenant, a.ID, d)
	s.NoError(err)
	if decided != want {
		s.Failf("Decide(%s) = %v, want %v", what, decided, want)
	}
	s.same("stored after Decide("+what+")", s.find(a.ID), got)
	fixed := a
	fixed.Decisions, fixed.Used, fixed.AsOf = got.Decisions, got.Used, got.AsOf
	s.same("after Decide("+what+")", got, fixed)
	if want {
		n := len(got.Decisions) - 1
		if n < 0 || got.Decisions[n].Time.Compare(a.Created) < 0 || got.Decisions[n].Time.After(got.AsOf) {
			s.Stopf("after Decide(%s) the decisions are %+v, want the time now in the last", what, got.Decisions)
		}
		d.Time = got.Decisions[n].Time
		if got.Decisions[n] != d {
			s.Failf("after Decide(%s) the last decision is %+v, want %+v", what, got.Decisions[n], d)
		}
	}
	return got
}

// approved returns an approval that two persons have approved.
func (s suite) approved(id string) approval.Approval {
	s.Helper()
	a := s.request(id, draft(id), false, true)
	s.decide("first", a, approve("oscar"), true)
	return s.decide("second", a, approve("olga"), true)
}

func (s suite) claim(a approval.Approval) approval.Approval {
	s.Helper()
	got, err := s.store.Claim(s.Context(), a.Tenant, a.Digest())
	s.NoError(err)
	return got
}

func (s suite) notClaimed(what string, a approval.Approval) {
	s.Helper()
	got, err := s.store.Claim(s.Context(), a.Tenant, a.Digest())
	s.notFound("Claim of "+what, err)
	if !reflect.DeepEqual(got, approval.Approval{}) {
		s.Failf("Claim of %s = %+v, want a zero approval", what, got)
	}
}

func (s suite) status(what string, a approval.Approval, want approval.Status) {
	s.Helper()
	if got := a.Status(); got != want {
		s.Failf("%s: status = %s, want %s", what, got, want)
	}
}

// same compares two approvals except for AsOf.
func (s suite) same(what string, got, want approval.Approval) {
	s.Helper()
	for _, a := range []approval.Approval{got, want} {
		if a.AsOf.Location() != time.UTC || a.AsOf.Before(a.Created) || !a.AsOf.Equal(a.AsOf.Truncate(time.Microsecond)) {
			s.Failf("%s: AsOf = %v, want a time after Created in UTC, in microseconds", what, a.AsOf)
		}
	}
	got.AsOf, want.AsOf = time.Time{}, time.Time{}
	if len(got.Decisions) == 0 && len(want.Decisions) == 0 {
		got.Decisions, want.Decisions = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		s.Failf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func (s suite) notFound(what string, err error) {
	s.Helper()
	if !errors.Is(err, approval.ErrNotFound) {
		s.Failf("%s: error = %v, want %v", what, err, approval.ErrNotFound)
	}
}

// until waits until the store's clock, as approval id shows it, is after t.
func (s suite) until(id string, t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the clock of the store is after %v", t), func() bool { return s.find(id).AsOf.After(t) })
}
