// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// TestStore tests the contract of [apikey.Store]. It calls newStore once for each
// rule, with the t of that rule; newStore returns an empty store.
func TestStore(t *testing.T, newStore func(t *testing.T) apikey.Store) {
	contract.Test(t, rules(), newStore)
}

// rule is a sentence of the contract and its test.
type rule struct {
	name, rule string
	run        func(s suite)
}

// rules are all rules of the contract.
func rules() []contract.Rule[apikey.Store] {
	var all []contract.Rule[apikey.Store]
	for _, r := range slices.Concat(recordRules, changeRules, listRules, importRules, raceRules) {
		all = append(all, contract.Rule[apikey.Store]{
			Name: r.name, Rule: r.rule, Run: func(s contract.Suite, store apikey.Store) { r.run(newSuite(s, store)) },
		})
	}
	return all
}

// suite runs one rule. Its methods call the store and end the test if the call
// fails.
type suite struct {
	contract.Suite
	store apikey.Store
	start time.Time
}

func newSuite(s contract.Suite, store apikey.Store) suite {
	return suite{s, store, time.Now().UTC().Truncate(time.Microsecond)}
}

func good[T any](s suite, value T, err error) T {
	s.Helper()
	s.NoError(err)
	return value
}

func (s suite) create(r apikey.Record) apikey.Record {
	s.Helper()
	got, err := s.store.Create(s.Context(), r)
	return good(s, got, err)
}

func (s suite) find(id string) apikey.Record {
	s.Helper()
	got, err := s.store.Find(s.Context(), id)
	return good(s, got, err)
}

func (s suite) rotate(id string, r apikey.Rotation) apikey.Record {
	s.Helper()
	got, err := s.store.Rotate(s.Context(), id, r)
	return good(s, got, err)
}

func (s suite) revoke(id string) apikey.Record {
	s.Helper()
	got, err := s.store.Revoke(s.Context(), id)
	return good(s, got, err)
}

func (s suite) revokeAll(f apikey.Filter, limit int) []apikey.Record {
	s.Helper()
	got, err := s.store.RevokeAll(s.Context(), f, limit)
	return good(s, got, err)
}

func (s suite) suspend(id string, on bool) apikey.Record {
	s.Helper()
	got, err := s.store.Suspend(s.Context(), id, on)
	return good(s, got, err)
}

func (s suite) touch(id string, uses int64, every time.Duration) bool {
	s.Helper()
	got, err := s.store.Touch(s.Context(), id, uses, every)
	return good(s, got, err)
}

func (s suite) list(q apikey.Query) []apikey.Record {
	s.Helper()
	got, err := s.store.List(s.Context(), q)
	return good(s, got, err)
}

// fails checks that a call returned want.
func (s suite) fails(call string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Failf("%s: error = %v, want %v", call, err, want)
	}
}

// same compares two records, all but AsOf.
func (s suite) same(what string, got, want apikey.Record) {
	s.Helper()
	got.AsOf, want.AsOf = time.Time{}, time.Time{}
	if len(got.Networks) == 0 && len(want.Networks) == 0 {
		got.Networks, want.Networks = nil, nil
	}
	if diff := diff(reflect.ValueOf(got), reflect.ValueOf(want)); len(diff) > 0 {
		s.Failf("%s, key %s:\n%s", what, want.ID, strings.Join(diff, "\n"))
	}
}

// diff returns a line for each field in which two structs differ.
func diff(got, want reflect.Value) (lines []string) {
	for i := range got.NumField() {
		field := got.Type().Field(i)
		switch g, w := got.Field(i), want.Field(i); {
		case field.Anonymous:
			lines = append(lines, diff(g, w)...)
		case !reflect.DeepEqual(g.Interface(), w.Interface()):
			lines = append(lines, fmt.Sprintf("%s = %v, want %v", field.Name, g, w))
		}
	}
	return lines
}

// unchanged checks that the record is still want.
func (s suite) unchanged(want apikey.Record) {
	s.Helper()
	s.same("a record that must not change", s.find(want.ID), want)
}

// until waits until the store's clock is after t.
func (s suite) until(id string, t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the store's clock is after %v", t), func() bool { return s.find(id).AsOf.After(t) })
}

// draft is a record as Keys creates it.
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

// short is a record with a short lifetime.
func short(id string) apikey.Record {
	r := draft(id)
	r.Lifetime = 20 * time.Millisecond
	return r
}

// rotation is an unconditional rotation with a secret of its own.
func rotation(id string, n int) apikey.Rotation {
	return apikey.Rotation{Current: hashOf(id, n), Grace: time.Minute, MaxLifetime: 24 * time.Hour}
}

// hashOf is a hash with bytes that an encoding could damage.
func hashOf(id string, n int) apikey.Hash {
	h := apikey.Hash{Sum: sha256.Sum256(fmt.Appendf(nil, "%s %d", id, n)), Pepper: uint32(n)}
	h.Sum[0], h.Sum[1], h.Sum[30], h.Sum[31] = 0, 0xff, '\\', 0
	return h
}

// keyID is an ID in the format of Keys.
func keyID(n int) string { return fmt.Sprintf("Key%013d", n) }

// anyKey matches every key.
var anyKey = apikey.Filter{AnyTenant: true}
