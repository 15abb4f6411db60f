// SPDX-License-Identifier: Apache-2.0

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

// TestStore tests whether a store keeps the contract of
// [refresh.Store]. NewStore is called once for each part of it, with the t
// of that part, and returns a store that is empty.
func TestStore(t *testing.T, newStore func(t *testing.T) refresh.Store) {
	contract.Test(t, familyRules, newStore)
}

type familyRule = contract.Rule[refresh.Store]

// familyRules are all the parts of the contract.
var familyRules = slices.Concat(familyRecordRules, familyRotateRules, familyEndRules, familyRaceRules)

// families is a suite and the store that it is about.
type families struct {
	contract.Suite
	store refresh.Store
}

// familyOf makes a rule of a test that is written in terms of families.
func familyOf(name, rule string, run func(s families)) familyRule {
	return familyRule{Name: name, Rule: rule, Run: func(s contract.Suite, store refresh.Store) { run(families{s, store}) }}
}

// hashOf is a hash with awkward bytes in it.
func hashOf(id string, n int) refresh.Hash {
	h := refresh.Hash(sha256.Sum256(fmt.Appendf(nil, "%s %d", id, n)))
	h[0], h[1], h[30], h[31] = 0, 0xff, '\\', 0
	return h
}

// sealedOf is what a store must take for a sealed successor.
func sealedOf(n int) []byte { return fmt.Appendf(nil, "\x00\xff\\sealed %d\x00", n) }

// draft is a record as RefreshTokens would create it. Its first secret is
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

func (s families) create(r refresh.Record, lifetime time.Duration) refresh.Record {
	s.Helper()
	created, err := s.store.Create(s.Context(), r, lifetime)
	s.Good(err)
	return created
}

func (s families) find(id string) refresh.Record {
	s.Helper()
	found, err := s.store.Find(s.Context(), id)
	s.Good(err)
	return found
}

// present is the presentation of secret n of a family, to be succeeded by
// another one.
func present(id string, n, next int, grace time.Duration) refresh.Presentation {
	return refresh.Presentation{
		Key: hashOf(id, 0), Secret: hashOf(id, n), Client: "client",
		Next: hashOf(id, next), Successor: sealedOf(next), Grace: grace,
	}
}

// rotate presents a token and checks what the store makes of it.
func (s families) rotate(what, id string, p refresh.Presentation, want refresh.Outcome) refresh.Record {
	s.Helper()
	got, outcome, err := s.store.Rotate(s.Context(), id, p)
	s.Good(err)
	if outcome != want {
		s.Failf("%s: is %q, want %q", what, outcome, want)
	}
	s.same(what+", what is stored", s.find(id), got)
	return got
}

// ended checks that a family has ended just now, and is otherwise as it was.
func (s families) ended(what string, got, before refresh.Record) {
	s.Helper()
	before.Revoked, before.Successor = got.AsOf, nil
	s.same(what, got, before)
}

// same compares what is kept of two records.
func (s families) same(what string, got, want refresh.Record) {
	s.Helper()
	got.AsOf, want.AsOf = time.Time{}, time.Time{}
	if len(got.Successor) == 0 && len(want.Successor) == 0 {
		got.Successor, want.Successor = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		s.Failf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// unchanged checks that a record is as it was.
func (s families) unchanged(what string, want refresh.Record) {
	s.Helper()
	s.same("after what must not be a change, "+what, s.find(want.ID), want)
}

func (s families) notFound(what string, err error) {
	s.Helper()
	if !errors.Is(err, refresh.ErrNotFound) {
		s.Failf("%s: error %v, want ErrFamilyNotFound", what, err)
	}
}

// until waits until the store's clock has passed t.
func (s families) until(id string, t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the store's clock passes %v", t), func() bool { return s.find(id).AsOf.After(t) })
}
