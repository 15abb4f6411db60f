// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// people own keys in ways that a store might mix up: names that begin alike,
// names that hold what a store might separate them by, no tenant.
var people = []struct{ tenant, owner string }{
	{"t", "o"},
	{"t", "o:2"},
	{"t:o", "2"},
	{"t", "O"},
	{"T", "o"},
	{"", "o"},
	{"tt", "o"},
	{"t%", "o_"},
	{"t", "oo"},
	{"*", "*"},
}

// populate creates two keys for each of people and returns them in order.
func (s suite) populate(store apikey.Store) []apikey.Record {
	s.Helper()
	var records []apikey.Record
	for n := range 2 * len(people) {
		who := people[n%len(people)]
		// The order of ids is neither that of creation nor its reverse.
		r := draft(keyID(n * 7 % 20))
		r.Tenant, r.Owner = who.tenant, who.owner
		r.Lifetime = time.Duration(1+n*3%20) * time.Hour
		records = append(records, s.create(store, r))
	}
	slices.SortFunc(records, byCreated)
	return records
}

func byCreated(a, b apikey.Record) int {
	if c := a.Created.Compare(b.Created); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func byExpires(a, b apikey.Record) int {
	if c := a.Expires.Compare(b.Expires); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func ids(records []apikey.Record) []string {
	names := make([]string, len(records))
	for i := range records {
		names[i] = records[i].ID
	}
	return names
}

// pages turns all the pages of a query.
func (s suite) pages(store apikey.Store, q apikey.Query) []apikey.Record {
	s.Helper()
	var all []apikey.Record
	for range 100 {
		page, err := store.List(s.Context(), q)
		must(s, page, err)
		if len(page) > q.Limit {
			s.Stopf("a page of %d has %d records", q.Limit, len(page))
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return all
		}
		last := page[len(page)-1]
		q.After = apikey.Position{Time: last.Created, ID: last.ID}
		if q.ExpiresWithin > 0 {
			q.After.Time = last.Expires
		}
	}
	s.Stopf("the pages have no end")
	return nil
}

// filters are all the ways to ask for keys of people.
func filters() []apikey.Filter {
	all := []apikey.Filter{{AnyTenant: true}}
	for _, who := range people {
		all = append(all,
			apikey.Filter{Tenant: who.tenant, Owner: who.owner},
			apikey.Filter{Tenant: who.tenant},
			apikey.Filter{AnyTenant: true, Owner: who.owner},
		)
	}
	return append(all, apikey.Filter{Tenant: "nobody"}, apikey.Filter{Tenant: "t", Owner: "nobody"})
}

func matches(f apikey.Filter, r apikey.Record) bool {
	return (f.AnyTenant || r.Tenant == f.Tenant) && (f.Owner == "" || r.Owner == f.Owner)
}

func (s suite) sameIDs(what string, got, want []apikey.Record) {
	s.Helper()
	if !slices.Equal(ids(got), ids(want)) {
		s.Failf("%s:\n got %v\nwant %v", what, ids(got), ids(want))
	}
}

var listRules = []rule{
	{
		"list", "List returns at most Limit records that match, in the order of Created, then ID, of those behind After.",
		func(s suite, store apikey.Store) {
			all := s.populate(store)
			for _, f := range filters() {
				want := slices.DeleteFunc(slices.Clone(all), func(r apikey.Record) bool { return !matches(f, r) })
				for _, limit := range []int{1, 3, 7, 1000} {
					got := s.pages(store, apikey.Query{Filter: f, Limit: limit})
					s.sameIDs(fmt.Sprintf("%+v, pages of %d", f, limit), got, want)
				}
			}
			got, err := store.List(s.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 1000})
			for i, r := range must(s, got, err) {
				s.same("listed", r, all[i])
				if r.AsOf.Before(all[i].AsOf) {
					s.Failf("AsOf is %v for a record created at %v", r.AsOf, all[i].AsOf)
				}
			}
			// After is a place, not a key: none need stand there.
			between := apikey.Position{Time: all[4].Created, ID: all[4].ID + "~"}
			got, err = store.List(s.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, After: between, Limit: 1000})
			s.sameIDs("behind a place where no key is", must(s, got, err), all[5:])
		},
	},
	{
		"list over", "List returns the keys that are over too, and rotation moves none.",
		func(s suite, store apikey.Store) {
			all := s.populate(store)
			for i := range all {
				var err error
				switch i % 3 {
				case 0:
					_, err = store.Revoke(s.Context(), all[i].ID)
				case 1:
					_, err = store.Rotate(s.Context(), all[i].ID, rotation(all[i].ID, 2))
				case 2:
					_, err = store.Suspend(s.Context(), all[i].ID, true)
				}
				must(s, 0, err)
			}
			for _, f := range filters() {
				want := slices.DeleteFunc(slices.Clone(all), func(r apikey.Record) bool { return !matches(f, r) })
				s.sameIDs(fmt.Sprintf("%+v", f), s.pages(store, apikey.Query{Filter: f, Limit: 3}), want)
			}
		},
	},
	{
		"list due", "ExpiresWithin asks only for keys that are not revoked and whose Expires is after now and not after now + ExpiresWithin. The order is that of Expires, then ID.",
		func(s suite, store apikey.Store) {
			all := s.populate(store)
			short := draft(keyID(100))
			short.Tenant, short.Owner, short.Lifetime = "t", "o", 10*time.Millisecond
			expired := s.create(store, short)
			s.until(store, expired.ID, expired.Expires)
			due := func(f apikey.Filter, within time.Duration, left []apikey.Record) {
				s.Helper()
				now := s.find(store, expired.ID).AsOf
				want := slices.DeleteFunc(slices.Clone(left), func(r apikey.Record) bool {
					return !matches(f, r) || r.Expires.After(now.Add(within))
				})
				slices.SortFunc(want, byExpires)
				for _, limit := range []int{1, 4, 1000} {
					got := s.pages(store, apikey.Query{Filter: f, ExpiresWithin: within, Limit: limit})
					s.sameIDs(fmt.Sprintf("%+v, within %v, pages of %d", f, within, limit), got, want)
				}
			}
			for _, f := range filters() {
				due(f, 10*time.Hour+30*time.Minute, all)
			}
			due(apikey.Filter{AnyTenant: true}, time.Minute, all)
			due(apikey.Filter{AnyTenant: true}, 1000*time.Hour, all)

			var left []apikey.Record
			for i, r := range all {
				switch i % 4 {
				case 0:
					revoked, err := store.Revoke(s.Context(), r.ID)
					must(s, revoked, err)
				case 1:
					rotated, err := store.Rotate(s.Context(), r.ID, rotation(r.ID, 2))
					left = append(left, must(s, rotated, err))
				case 2:
					suspended, err := store.Suspend(s.Context(), r.ID, true)
					left = append(left, must(s, suspended, err))
				default:
					left = append(left, r)
				}
			}
			due(apikey.Filter{AnyTenant: true}, 10*time.Hour+30*time.Minute, left)
			revoked, err := store.RevokeAll(s.Context(), apikey.Filter{Tenant: "t"}, 1000)
			must(s, revoked, err)
			left = slices.DeleteFunc(left, func(r apikey.Record) bool { return r.Tenant == "t" })
			due(apikey.Filter{AnyTenant: true}, 1000*time.Hour, left)
		},
	},
	{
		"revoke all", "RevokeAll revokes at most limit of the keys that match and are not revoked, and returns the records of those. Fewer than limit means that none were left.",
		func(s suite, store apikey.Store) {
			all := s.populate(store)
			revoked := make(map[string]time.Time)
			first, err := store.Revoke(s.Context(), all[0].ID)
			revoked[all[0].ID] = must(s, first, err).Revoked
			for _, f := range filters()[1:] {
				left := 0
				for _, r := range all {
					if _, ok := revoked[r.ID]; !ok && matches(f, r) {
						left++
					}
				}
				for _, limit := range []int{1, 1000} {
					got, err := store.RevokeAll(s.Context(), f, limit)
					must(s, got, err)
					if len(got) != min(left, limit) {
						s.Failf("%+v with limit %d has revoked %d of %d", f, limit, len(got), left)
					}
					left -= len(got)
					for _, r := range got {
						if _, ok := revoked[r.ID]; ok || !matches(f, r) || r.Revoked.IsZero() || !r.Revoked.Equal(r.AsOf) {
							s.Failf("%+v has returned %+v", f, r)
						}
						revoked[r.ID] = r.Revoked
						s.same("found", s.find(store, r.ID), r)
					}
				}
				for _, r := range all {
					if got := s.find(store, r.ID); !got.Revoked.Equal(revoked[r.ID]) {
						s.Stopf("after %+v, Revoked of %q of %q is %v, want %v", f, r.Owner, r.Tenant, got.Revoked, revoked[r.ID])
					}
				}
			}
			if len(revoked) != len(all) {
				s.Failf("revoked %d of %d", len(revoked), len(all))
			}
		},
	},
}
