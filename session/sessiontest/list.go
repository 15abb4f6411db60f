// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// users are names that a store might confuse: common prefixes, separators,
// patterns, empty ones.
var users = []struct{ issuer, subject, sid string }{
	{"i", "s", "d"},
	{"i", "s", "d2"},
	{"i", "s:2", "d"},
	{"i:s", "2", "d"},
	{"i", "S", "D"},
	{"I", "s", "d"},
	{"i", "s", ""},
	{"i", "", "d"},
	{"", "s", "d"},
	{"1:i", "s", "d"},
	{"i", "s%", "d_"},
	{"*", "*", "*"},
}

// populate creates two sessions for each of users, changes some, and returns them in
// the order of List.
func (s suite) populate(store session.Store) []session.Record {
	s.Helper()
	n := 2 * len(users)
	names := make([]string, n)
	for i := range n {
		user := users[i%len(users)]
		r := draft(string("aB_-c9Z"[i%7]) + sessionID(i))
		r.Issuer, r.Subject, r.SID = user.issuer, user.subject, user.sid
		s.create(store, r, time.Hour)
		names[i] = r.ID
	}
	// The order of the last use is neither that of creation nor that of the IDs.
	for i := range n {
		id := names[i*7%n]
		if i%3 == 0 {
			s.swap(store, id, 1, session.Change{ID: id, Principal: "{}", Tokens: "changed", Claim: time.Minute})
		} else {
			touched, err := store.Touch(s.Context(), id, 0)
			must(s, touched, err)
		}
	}
	records := make([]session.Record, n)
	for i, id := range names {
		records[i] = s.get(store, id)
	}
	slices.SortFunc(records, byLastSeen)
	return records
}

func byLastSeen(a, b session.Record) int {
	return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
}

func ids(records []session.Record) []string {
	names := make([]string, len(records))
	for i := range records {
		names[i] = records[i].ID
	}
	return names
}

// selectors returns all kinds of selectors for users.
func selectors() []session.Selector {
	var all []session.Selector
	for _, user := range users {
		for _, sel := range []session.Selector{
			{Issuer: user.issuer, Subject: user.subject},
			{Issuer: user.issuer, SID: user.sid},
			{Issuer: user.issuer, Subject: user.subject, SID: user.sid},
		} {
			if !slices.Contains(all, sel) {
				all = append(all, sel)
			}
		}
	}
	return append(all,
		session.Selector{Issuer: "unknown", Subject: "s"},
		session.Selector{Issuer: "i", Subject: "unknown"},
		session.Selector{Issuer: "i", Subject: "s", SID: "unknown"},
		session.Selector{Issuer: "i", Subject: "unknown", SID: "d"},
	)
}

// matches is the contract of Selector.
func matches(sel session.Selector, r session.Record) bool {
	named, same := false, r.Issuer == sel.Issuer
	for _, pair := range [][2]string{{sel.Subject, r.Subject}, {sel.SID, r.SID}} {
		if pair[0] != "" {
			named = true
			same = same && pair[0] == pair[1]
		}
	}
	return named && same && r.ID != sel.Except
}

func matching(sel session.Selector, records []session.Record) []session.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r session.Record) bool { return !matches(sel, r) })
}

var listRules = []rule{
	{
		"list", "List returns at most limit of the sessions that match: those with the latest LastSeen first, and those with the same LastSeen by ascending ID. Principal and Tokens are empty.",
		func(s suite, store session.Store) {
			all := s.populate(store)
			for _, sel := range selectors() {
				for _, except := range []string{"", all[0].ID, all[len(all)/2].ID, "unknown"} {
					sel.Except = except
					want := matching(sel, all)
					for _, limit := range []int{1, 2, 1000, 0} {
						got := s.list(store, sel, limit)
						if limited := want[:min(limit, len(want))]; !slices.Equal(ids(got), ids(limited)) {
							s.Failf("List(%+v, %d):\n got %v\nwant %v", sel, limit, ids(got), ids(limited))
						}
						for i, r := range got {
							if i < len(want) && r.ID == want[i].ID {
								plain := want[i]
								plain.Principal, plain.Tokens = "", ""
								s.same("listed", r, plain)
							}
							if r.AsOf.Before(r.LastSeen) {
								s.Failf("AsOf = %v, want not before LastSeen %v", r.AsOf, r.LastSeen)
							}
						}
					}
				}
			}
			for _, r := range all {
				s.unchanged(store, r)
			}
		},
	},
	{
		"list without a name", "A Selector matches the sessions of Issuer with Subject and SID, as far as these are set. If neither is set, it matches none.",
		func(s suite, store session.Store) {
			all := s.populate(store)
			for _, issuer := range []string{"i", "", "*"} {
				sel := session.Selector{Issuer: issuer}
				if found := s.list(store, sel, 1000); len(found) > 0 {
					s.Failf("List(%+v) = %v, want none", sel, ids(found))
				}
				if n := s.deleteAll(store, sel); n > 0 {
					s.Failf("DeleteAll(%+v) = %d, want 0", sel, n)
				}
			}
			for _, r := range all {
				s.unchanged(store, r)
			}
		},
	},
	{
		"list expired", "All methods treat an expired session as missing: List does not return it, and DeleteAll does not count it.",
		func(s suite, store session.Store) {
			s.now(store)
			var last time.Time
			var stays []session.Record
			for i := range 9 {
				var r session.Record
				if i%3 < len(shortLived) {
					r = s.short(store, sessionID(i), i%3)
					last = end(r)
				} else {
					r = s.create(store, draft(sessionID(i)), time.Hour)
					stays = append(stays, r)
				}
			}
			s.until(store, last)
			slices.SortFunc(stays, byLastSeen)
			for _, sel := range []session.Selector{
				{Issuer: stays[0].Issuer, Subject: stays[0].Subject},
				{Issuer: stays[0].Issuer, SID: stays[0].SID},
			} {
				for _, limit := range []int{2, 10} {
					if got := s.list(store, sel, limit); !slices.Equal(ids(got), ids(stays[:min(limit, len(stays))])) {
						s.Failf("List(%+v, %d) = %v, want of %v", sel, limit, ids(got), ids(stays))
					}
				}
			}
			sel := session.Selector{Issuer: stays[0].Issuer, Subject: stays[0].Subject, Except: stays[1].ID}
			if n := s.deleteAll(store, sel); n != len(stays)-1 {
				s.Failf("DeleteAll = %d, want %d", n, len(stays)-1)
			}
			s.unchanged(store, stays[1])
		},
	},
	{
		"list is a copy", "Changes of returned records do not change the store.",
		func(s suite, store session.Store) {
			all := s.populate(store)
			sel := session.Selector{Issuer: "i", Subject: "s"}
			want := ids(matching(sel, all))
			for range 2 {
				got := s.list(store, sel, 10)
				if !slices.Equal(ids(got), want) {
					s.Failf("List = %v, want %v", ids(got), want)
				}
				for i := range got {
					got[i].ID, got[i].Label, got[i].Version = "spoiled", "spoiled", 99
				}
			}
			for _, r := range all {
				s.unchanged(store, r)
			}
		},
	},
	{
		"delete all", "DeleteAll removes the sessions that match and returns the number of those that were not expired.",
		func(s suite, store session.Store) {
			forth := selectors()
			back := slices.Clone(forth)
			slices.Reverse(back)
			for _, order := range [][]session.Selector{forth, back} {
				all := s.populate(store)
				for i, sel := range order {
					if mine := matching(sel, all); i%2 == 0 && len(mine) > 1 {
						sel.Except = mine[i%len(mine)].ID
					}
					removed := matching(sel, all)
					for _, want := range []int{len(removed), 0} {
						if n := s.deleteAll(store, sel); n != want {
							s.Failf("DeleteAll(%+v) = %d, want %d", sel, n, want)
						}
					}
					for _, r := range removed {
						s.gone(fmt.Sprintf("%+v", sel), store, r.ID)
					}
					all = slices.DeleteFunc(all, func(r session.Record) bool { return matches(sel, r) })
					for _, r := range all {
						s.unchanged(store, r)
					}
				}
				for _, r := range all {
					must(s, 0, store.Delete(s.Context(), r.ID))
				}
			}
		},
	},
}
