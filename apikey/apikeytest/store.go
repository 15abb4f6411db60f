// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestStore tests whether a store keeps the contract of [apikey.Store].
// NewStore is called once for each part of it, with the t of that part, and
// returns a store that is empty.
func TestStore(t *testing.T, newStore func(t *testing.T) apikey.Store) {
	contract.Test(t, rules(), newStore)
}

// rule is a part of the contract: a sentence, and how to tell.
type rule struct {
	name, rule string
	run        func(s suite, store apikey.Store)
}

// rules are all the parts of the contract.
func rules() []contract.Rule[apikey.Store] {
	var all []contract.Rule[apikey.Store]
	for _, r := range slices.Concat(recordRules, changeRules, listRules, raceRules) {
		all = append(all, contract.Rule[apikey.Store]{
			Name: r.name, Rule: r.rule, Run: func(s contract.Suite, store apikey.Store) { r.run(suite{s}, store) },
		})
	}
	return all
}

// suite is what one part of the contract runs in.
type suite struct{ contract.Suite }

// must ends the test where a call fails that has no reason to.
func must[T any](s suite, value T, err error) T {
	s.Helper()
	s.NoError(err)
	return value
}

// draft is a record as Keys would create it.
func draft(id string) apikey.Record {
	scopes, _ := gatehouse.ParseScopes("reports:read reports:write")
	metadata, _ := gatehouse.NewClaims(`{"name":"a \"key\"","n":1.50,"é":"\u0000 ☂","z":null,"a":[1,2]}`)
	return apikey.Record{
		Key: apikey.Key{
			ID: id, Owner: "owner", Tenant: "tenant", Environment: "live", Scopes: scopes,
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
			Metadata: metadata, Lifetime: time.Hour,
		},
		Current: hashOf(id, 1),
	}
}

// hashOf is a hash with awkward bytes in it.
func hashOf(id string, n int) apikey.Hash {
	h := apikey.Hash{Sum: sha256.Sum256(fmt.Appendf(nil, "%s %d", id, n)), Pepper: uint32(n)}
	h.Sum[0], h.Sum[1], h.Sum[30], h.Sum[31] = 0, 0xff, '\\', 0
	return h
}

// keyID is an id of the form that Keys makes.
func keyID(n int) string { return fmt.Sprintf("Key%013d", n) }

func (s suite) create(store apikey.Store, r apikey.Record) apikey.Record {
	s.Helper()
	created, err := store.Create(s.Context(), r)
	return must(s, created, err)
}

func (s suite) find(store apikey.Store, id string) apikey.Record {
	s.Helper()
	found, err := store.Find(s.Context(), id)
	return must(s, found, err)
}

// same compares what is kept of two records.
func (s suite) same(what string, got, want apikey.Record) {
	s.Helper()
	got.AsOf, want.AsOf = time.Time{}, time.Time{}
	if len(got.Networks) == 0 && len(want.Networks) == 0 {
		got.Networks, want.Networks = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		s.Failf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// unchanged checks that a record is as it was.
func (s suite) unchanged(store apikey.Store, want apikey.Record) {
	s.Helper()
	s.same("after a change that must not be one, "+want.ID, s.find(store, want.ID), want)
}

// until waits until the store's clock has passed t.
func (s suite) until(store apikey.Store, id string, t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the store's clock passes %v", t), func() bool { return s.find(store, id).AsOf.After(t) })
}
