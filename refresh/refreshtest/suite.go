// SPDX-License-Identifier: Apache-2.0

// Package refreshtest contains the contract of [refresh.Store] as tests: [TestStore] runs
// them for an implementation.
//
// The tests run in real time, the longest for some hundred milliseconds. Each failure
// quotes the broken rule of the contract. The implementation must also test durability
// (changes survive the end of the process and of the database), several processes, and
// the removal of expired records.
package refreshtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/refresh"
)

// TestStore tests whether a store keeps the contract of [refresh.Store]. It calls
// newStore for each rule, with the t of that rule; newStore returns an empty store.
func TestStore(t *testing.T, newStore func(t *testing.T) refresh.Store) {
	contract.Test(t, rules, newStore)
}

type rule = contract.Rule[refresh.Store]

var rules = slices.Concat(recordRules, rotateRules, revokeRules, raceRules)

// suite is the test of a rule for a store.
type suite struct {
	contract.Suite
	store refresh.Store
}

func newRule(name, text string, run func(s suite)) rule {
	return rule{Name: name, Rule: text, Run: func(s contract.Suite, store refresh.Store) { run(suite{s, store}) }}
}

// hashOf returns a hash that contains zero bytes, 0xff and a backslash.
func hashOf(id string, n int) refresh.Hash {
	h := refresh.Hash(sha256.Sum256(fmt.Appendf(nil, "%s %d", id, n)))
	h[0], h[1], h[30], h[31] = 0, 0xff, '\\', 0
	return h
}

// sealedOf returns a Successor.
func sealedOf(n int) []byte { return fmt.Appendf(nil, "\x00\xff\\sealed %d\x00", n) }

// draft returns a record as refresh.Tokens creates it. Its current secret has
// number 1.
func draft(id string) refresh.Record {
	scopes, _ := gatehouse.ParseScopes("reports:read reports:write")
	metadata, _ := gatehouse.NewClaims(`{"name":"a \"grant\"","n":1.50,"é":"\u0000 ☂","z":null,"a":[1,2]}`)
	return refresh.Record{
		Family: refresh.Family{ID: id, Grant: refresh.Grant{
			Subject: "subject", Client: "client", Tenant: "tenant", Scopes: scopes, Metadata: metadata,
			AuthTime: time.Date(2026, 7, 8, 9, 10, 11, 121314000, time.UTC),
		}},
		Key: hashOf(id, 0), Current: hashOf(id, 1),
	}
}

func (s suite) create(r refresh.Record, lifetime time.Duration) refresh.Record {
	s.Helper()
	created, err := s.store.Create(s.Context(), r, lifetime)
	s.NoError(err)
	return created
}

func (s suite) find(id string) refresh.Record {
	s.Helper()
	found, err := s.store.Find(s.Context(), id)
	s.NoError(err)
	return found
}

func (s suite) revoke(id string) refresh.Record {
	s.Helper()
	revoked, err := s.store.Revoke(s.Context(), id)
	s.NoError(err)
	return revoked
}

// present returns the presentation of secret number n of a family, with next as its
// successor.
func present(id string, n, next int, grace time.Duration) refresh.Presentation {
	return refresh.Presentation{
		Key: hashOf(id, 0), Secret: hashOf(id, n), Client: "client",
		Next: hashOf(id, next), Successor: sealedOf(next), Grace: grace,
	}
}

// rotate presents a token and checks the outcome, and that the returned record is
// stored.
func (s suite) rotate(what, id string, p refresh.Presentation, want refresh.Outcome) refresh.Record {
	s.Helper()
	got, outcome, err := s.store.Rotate(s.Context(), id, p)
	s.NoError(err)
	if outcome != want {
		s.Failf("Rotate(%s) outcome = %q, want %q", what, outcome, want)
	}
	s.same("stored after Rotate("+what+")", s.find(id), got)
	return got
}

// revoked checks that a family was revoked now, and is otherwise unchanged.
func (s suite) revoked(what string, got, before refresh.Record) {
	s.Helper()
	before.Revoked, before.Successor = got.AsOf, nil
	s.same(what, got, before)
}

// same compares two records except for AsOf.
func (s suite) same(what string, got, want refresh.Record) {
	s.Helper()
	got.AsOf, want.AsOf = time.Time{}, time.Time{}
	if len(got.Successor) == 0 && len(want.Successor) == 0 {
		got.Successor, want.Successor = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		s.Failf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// unchanged checks that a record is stored as it was.
func (s suite) unchanged(what string, want refresh.Record) {
	s.Helper()
	s.same("stored after "+what, s.find(want.ID), want)
}

func (s suite) notFound(what string, err error) {
	s.Helper()
	if !errors.Is(err, refresh.ErrNotFound) {
		s.Failf("%s: error = %v, want %v", what, err, refresh.ErrNotFound)
	}
}

// until waits until the store's clock, as family id shows it, is after t.
func (s suite) until(id string, t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the clock of the store is after %v", t), func() bool { return s.find(id).AsOf.After(t) })
}
