// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// owners are pairs of tenant and owner that a store could confuse: common
// prefixes, separators, wildcards, another case, no tenant.
var owners = []struct{ tenant, owner string }{
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

// populate creates two keys of each owner and returns them in order.
func (s suite) populate() []apikey.Record {
	s.Helper()
	var records []apikey.Record
	for n := range 2 * len(owners) {
		// The order of IDs is neither that of creation nor its reverse.
		r := draft(keyID(n * 7 % 20))
		r.Tenant, r.Owner = owners[n%len(owners)].tenant, owners[n%len(owners)].owner
		r.Lifetime = time.Duration(1+n*3%20) * time.Hour
		records = append(records, s.create(r))
	}
	slices.SortFunc(records, func(a, b apikey.Record) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return records
}

func ids(records []apikey.Record) []string {
	names := make([]string, len(records))
	for i := range records {
		names[i] = records[i].ID
	}
	return names
}

// pages returns the records of all pages of a query.
func (s suite) pages(q apikey.Query) []apikey.Record {
	s.Helper()
	var all []apikey.Record
	for range 100 {
		page := s.list(q)
		if len(page) > q.Limit {
			s.Stopf("List with Limit %d returned %d records", q.Limit, len(page))
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
	s.Stopf("List(%+v) has more than 100 pages", q)
	return nil
}

// filters are all filters for the keys of owners.
func filters() []apikey.Filter {
	all := []apikey.Filter{anyKey}
	for _, o := range owners {
		all = append(all,
			apikey.Filter{Tenant: o.tenant, Owner: o.owner},
			apikey.Filter{Tenant: o.tenant},
			apikey.Filter{AnyTenant: true, Owner: o.owner},
		)
	}
	return append(all, apikey.Filter{Tenant: "unknown"}, apikey.Filter{Tenant: "t", Owner: "unknown"})
}

func matches(f apikey.Filter, r apikey.Record) bool {
	return (f.AnyTenant || r.Tenant == f.Tenant) && (f.Owner == "" || r.Owner == f.Owner)
}

func matching(f apikey.Filter, records []apikey.Record) []apikey.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r apikey.Record) bool { return !matches(f, r) })
}

func (s suite) sameIDs(what string, got, want []apikey.Record) {
	s.Helper()
	if !slices.Equal(ids(got), ids(want)) {
		s.Failf("List, %s:\n got %v\nwant %v", what, ids(got), ids(want))
	}
}

var listRules = []rule{
	{
		"list", "List returns the first Limit records that match and follow After, in the order of Created, then ID.",
		func(s suite) {
			all := s.populate()
			for _, f := range filters() {
				for _, limit := range []int{1, 3, 7, 1000} {
					s.sameIDs(fmt.Sprintf("%+v, pages of %d", f, limit), s.pages(apikey.Query{Filter: f, Limit: limit}), matching(f, all))
				}
			}
			for i, r := range s.list(apikey.Query{Filter: anyKey, Limit: 1000}) {
				s.same("List", r, all[i])
				if r.AsOf.Before(all[i].AsOf) {
					s.Failf("List: AsOf = %v, want no time before the creation at %v", r.AsOf, all[i].AsOf)
				}
			}
			between := apikey.Position{Time: all[4].Created, ID: all[4].ID + "~"}
			s.sameIDs("after a position without a key", s.list(apikey.Query{Filter: anyKey, After: between, Limit: 1000}), all[5:])
		},
	},
	{
		"list changed keys", "List returns revoked, rotated and suspended keys too, and in the same order.",
		func(s suite) {
			all := s.populate()
			for i, r := range all {
				switch i % 3 {
				case 0:
					s.revoke(r.ID)
				case 1:
					s.rotate(r.ID, rotation(r.ID, 2))
				case 2:
					s.suspend(r.ID, true)
				}
			}
			for _, f := range filters() {
				s.sameIDs(fmt.Sprintf("%+v", f), s.pages(apikey.Query{Filter: f, Limit: 3}), matching(f, all))
			}
		},
	},
	{
		"list due keys", "ExpiresWithin selects only keys that are not revoked and whose Expires is after now and at most now + ExpiresWithin. The order is Expires, then ID.",
		func(s suite) {
			all := s.populate()
			r := short(keyID(100))
			r.Tenant, r.Owner = "t", "o"
			expired := s.create(r)
			s.until(expired.ID, expired.Expires)
			due := func(f apikey.Filter, within time.Duration, left []apikey.Record) {
				s.Helper()
				now := s.find(expired.ID).AsOf
				want := slices.DeleteFunc(matching(f, left), func(r apikey.Record) bool { return r.Expires.After(now.Add(within)) })
				slices.SortFunc(want, func(a, b apikey.Record) int {
					return cmp.Or(a.Expires.Compare(b.Expires), strings.Compare(a.ID, b.ID))
				})
				for _, limit := range []int{1, 4, 1000} {
					got := s.pages(apikey.Query{Filter: f, ExpiresWithin: within, Limit: limit})
					s.sameIDs(fmt.Sprintf("%+v, within %v, pages of %d", f, within, limit), got, want)
				}
			}
			const half = 10*time.Hour + 30*time.Minute
			for _, f := range filters() {
				due(f, half, all)
			}
			due(anyKey, time.Minute, all)
			due(anyKey, 1000*time.Hour, all)

			var left []apikey.Record
			for i, r := range all {
				switch i % 4 {
				case 0:
					s.revoke(r.ID)
					continue
				case 1:
					r = s.rotate(r.ID, rotation(r.ID, 2))
				case 2:
					r = s.suspend(r.ID, true)
				}
				left = append(left, r)
			}
			due(anyKey, half, left)
			s.revokeAll(apikey.Filter{Tenant: "t"}, 1000)
			due(anyKey, 1000*time.Hour, slices.DeleteFunc(left, func(r apikey.Record) bool { return r.Tenant == "t" }))
		},
	},
	{
		"revoke all", "RevokeAll revokes at most limit of the keys that match and are not revoked, and returns their records. A result with fewer than limit records means that no such key is left.",
		func(s suite) {
			all := s.populate()
			want := make(map[string]apikey.Record)
			for _, r := range all {
				want[r.ID] = r
			}
			revoked := map[string]time.Time{all[0].ID: s.revoke(all[0].ID).Revoked}
			for _, f := range filters()[1:] {
				left := 0
				for _, r := range matching(f, all) {
					if revoked[r.ID].IsZero() {
						left++
					}
				}
				for _, limit := range []int{1, 1000} {
					got := s.revokeAll(f, limit)
					if len(got) != min(left, limit) {
						s.Failf("RevokeAll(%+v, %d) revoked %d keys, want %d", f, limit, len(got), min(left, limit))
					}
					left -= len(got)
					for _, r := range got {
						if !revoked[r.ID].IsZero() || !matches(f, r) || r.Revoked.IsZero() || !r.Revoked.Equal(r.AsOf) {
							s.Failf("RevokeAll(%+v, %d) returned key %s of %q of %q with Revoked = %v, AsOf = %v", f, limit, r.ID, r.Owner, r.Tenant, r.Revoked, r.AsOf)
						}
						revoked[r.ID] = r.Revoked
						w := want[r.ID]
						w.Revoked = r.Revoked
						s.same("RevokeAll", r, w)
						s.same("Find after RevokeAll", s.find(r.ID), w)
					}
				}
				for _, r := range all {
					if got := s.find(r.ID); !got.Revoked.Equal(revoked[r.ID]) {
						s.Stopf("after RevokeAll(%+v) Revoked of %q of %q = %v, want %v", f, r.Owner, r.Tenant, got.Revoked, revoked[r.ID])
					}
				}
			}
			if len(revoked) != len(all) {
				s.Failf("RevokeAll revoked %d keys, want %d", len(revoked), len(all))
			}
		},
	},
}
