// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
)

// ids returns the sorted IDs of records.
func ids(records []refresh.Record) string {
	var all []string
	for i := range records {
		all = append(all, records[i].ID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// revokeAll calls RevokeAll and returns the IDs of the families that it revokes.
func (s suite) revokeAll(f refresh.Filter, limit int) string {
	s.Helper()
	active, err := s.store.List(s.Context(), refresh.Filter{Subject: f.Subject, Client: f.Client}, 100)
	s.NoError(err)
	revoked, err := s.store.RevokeAll(s.Context(), f, limit)
	s.NoError(err)
	for _, r := range revoked {
		if r.Revoked.Before(r.Created) || r.AsOf.Before(r.Revoked) || len(r.Successor) > 0 {
			s.Failf("RevokeAll(%+v) returned %+v, want it revoked", f, r)
		}
		if i := slices.IndexFunc(active, func(a refresh.Record) bool { return a.ID == r.ID }); i >= 0 {
			s.revoked(fmt.Sprintf("returned by RevokeAll(%+v)", f), r, active[i])
		}
		s.unchanged(fmt.Sprintf("RevokeAll(%+v)", f), r)
	}
	return ids(revoked)
}

// list calls List and returns the IDs in order.
func (s suite) list(f refresh.Filter, limit int) string {
	s.Helper()
	found, err := s.store.List(s.Context(), f, limit)
	s.NoError(err)
	var all []string
	for _, r := range found {
		s.unchanged(fmt.Sprintf("List(%+v)", f), r)
		if r.AsOf.IsZero() {
			s.Failf("List(%+v) returned %s without AsOf", f, r.ID)
		}
		all = append(all, r.ID)
	}
	return strings.Join(all, " ")
}

// createSome creates families of several subjects and clients: a to i. h is revoked,
// and x expires before createSome returns.
func (s suite) createSome() {
	s.Helper()
	for i, grant := range []refresh.Grant{
		{Subject: "s", Client: "c"},
		{Subject: "s", Client: "d"},
		{Subject: "t", Client: "c"},
		{Subject: "t", Client: "d"},
		{Subject: "S", Client: "c"},
		{Subject: "ss", Client: "c"},
		{Subject: "c", Client: "s"},
		{Subject: "s", Client: "c"},
		{Tenant: "t"},
	} {
		r := draft(string(rune('a' + i)))
		r.Grant = grant
		s.create(r, time.Hour)
	}
	s.revoke("h")
	p := present("a", 1, 2, time.Minute)
	p.Client = "c"
	s.rotate("current token", "a", p, refresh.Rotated)
	r := draft("x")
	r.Grant = refresh.Grant{Subject: "s", Client: "c"}
	s.until("a", s.create(r, 50*time.Millisecond).Expires)
}

var revokeRules = []rule{
	newRule("revoke", "Revoke sets Revoked to now and clears Successor. If the family is already revoked, nothing changes.",
		func(s suite) {
			other := s.create(draft("b"), time.Hour)
			s.create(draft("a"), time.Hour)
			before := s.rotate("current token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			want := s.revoke("a")
			s.revoked("returned by Revoke", want, before)
			s.unchanged("Revoke", want)
			s.until("a", want.Revoked)
			s.same("returned by a second Revoke", s.revoke("a"), want)
			s.unchanged("a second Revoke", want)
			s.unchanged("revocation of another family", other)
		}),
	newRule("revoke all", "RevokeAll revokes the active families that match, and returns those that it has changed. A filter without Subject and Client matches nothing.",
		func(s suite) {
			s.createSome()
			for _, test := range []struct {
				filter refresh.Filter
				want   string
			}{
				{refresh.Filter{}, ""},
				{refresh.Filter{Except: "a"}, ""},
				{refresh.Filter{Subject: "u"}, ""},
				{refresh.Filter{Subject: "s", Client: "e"}, ""},
				{refresh.Filter{Subject: "s", Client: "c", Except: "a"}, ""},
				{refresh.Filter{Subject: "s", Client: "c"}, "a"},
				{refresh.Filter{Subject: "s", Client: "c"}, ""},
				{refresh.Filter{Subject: "s", Except: "c"}, "b"},
				{refresh.Filter{Client: "c", Except: "e"}, "c f"},
				{refresh.Filter{Client: "c"}, "e"},
				{refresh.Filter{Client: "d"}, "d"},
				{refresh.Filter{Client: "s"}, "g"},
			} {
				if got := s.revokeAll(test.filter, 100); got != test.want {
					s.Failf("RevokeAll(%+v) revoked %q, want %q", test.filter, got, test.want)
				}
			}
		}),
	newRule("revoke all in batches", "RevokeAll revokes at most limit families. A result shorter than limit means that no other family matched.",
		func(s suite) {
			for i := range 10 {
				r := draft(fmt.Sprintf("f%d", i))
				if i%2 == 1 {
					r.Client = "other"
				}
				s.create(r, time.Hour)
			}
			for _, f := range []refresh.Filter{{Subject: "subject", Client: "other", Except: "f0"}, {Client: "client", Except: "f1"}} {
				for _, want := range []int{3, 2, 0} {
					if got := len(strings.Fields(s.revokeAll(f, 3))); got != want {
						s.Failf("RevokeAll(%+v) with limit 3 revoked %d families, want %d", f, got, want)
					}
				}
			}
		}),
	newRule("list", "List returns the active families that match. A filter without Subject matches nothing.",
		func(s suite) {
			s.createSome()
			for _, test := range []struct {
				filter refresh.Filter
				want   string
			}{
				{refresh.Filter{}, ""},
				{refresh.Filter{Except: "a"}, ""},
				{refresh.Filter{Client: "c"}, ""},
				{refresh.Filter{Subject: "u"}, ""},
				{refresh.Filter{Subject: "s"}, "a b"},
				{refresh.Filter{Subject: "s", Client: "c"}, "a"},
				{refresh.Filter{Subject: "s", Client: "e"}, ""},
				{refresh.Filter{Subject: "t", Except: "c"}, "d"},
				{refresh.Filter{Subject: "c"}, "g"},
			} {
				if got := s.list(test.filter, 100); got != test.want {
					s.Failf("List(%+v) = %q, want %q", test.filter, got, test.want)
				}
			}
		}),
	newRule("list in order", "List returns at most limit families, the last used first: by Rotated, or Created before the first rotation, descending; then by ID.",
		func(s suite) {
			want := ""
			for i := range 8 {
				id := fmt.Sprintf("f%d", (i*3)%8)
				s.until(id, s.create(draft(id), time.Hour).Created)
				want = id + " " + want
			}
			want = strings.TrimSpace(want)
			if got := s.list(refresh.Filter{Subject: "subject"}, 100); got != want {
				s.Failf("List = %q, want %q", got, want)
			}
			s.rotate("current token", "f3", present("f3", 1, 2, time.Minute), refresh.Rotated)
			want = "f3 " + strings.Replace(want, "f3 ", "", 1)
			for limit, want := range map[int]string{0: "", 1: "f3", 3: want[:8], 8: want, 9: want} {
				if got := s.list(refresh.Filter{Subject: "subject"}, limit); got != want {
					s.Failf("List with limit %d = %q, want %q", limit, got, want)
				}
			}
		}),
}
