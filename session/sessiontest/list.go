// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// people have sessions in ways that a store might mix up: names that begin
// alike, names that hold what a store might separate them by, none.
var people = []struct{ issuer, subject, sid string }{
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

// populate creates two sessions for each of people, some of them changed since,
// and returns them with those seen last first.
func (s suite) populate(store session.Store) []session.Record {
	s.Helper()
	n := 2 * len(people)
	names := make([]string, n)
	for i := range n {
		who := people[i%len(people)]
		r := draft(string("aB_-c9Z"[i%7]) + sessionID(i))
		r.Issuer, r.Subject, r.SID = who.issuer, who.subject, who.sid
		s.create(store, r, time.Hour)
		names[i] = r.ID
	}
	// The order of the last calls is not that of creation, nor that of the ids.
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

// selectors are all the ways to ask for sessions of people.
func selectors() []session.Selector {
	var all []session.Selector
	for _, who := range people {
		for _, sel := range []session.Selector{
			{Issuer: who.issuer, Subject: who.subject},
			{Issuer: who.issuer, SID: who.sid},
			{Issuer: who.issuer, Subject: who.subject, SID: who.sid},
		} {
			if !slices.Contains(all, sel) {
				all = append(all, sel)
			}
		}
	}
	return append(all,
		session.Selector{Issuer: "nobody", Subject: "s"},
		session.Selector{Issuer: "i", Subject: "nobody"},
		session.Selector{Issuer: "i", Subject: "s", SID: "nobody"},
		session.Selector{Issuer: "i", Subject: "nobody", SID: "d"},
	)
}

// matches says it as the contract does.
func matches(sel session.Selector, r session.Record) bool {
	asked, same := false, r.Issuer == sel.Issuer
	for _, pair := range [][2]string{{sel.Subject, r.Subject}, {sel.SID, r.SID}} {
		if pair[0] != "" {
			asked = true
			same = same && pair[0] == pair[1]
		}
	}
	return asked && same && r.ID != sel.Except
}

func matching(sel session.Selector, records []session.Record) []session.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r session.Record) bool { return !matches(sel, r) })
}

var listRules = []rule{
	{
		"list", "List returns at most limit of the sessions that match: those seen last come first, and of those seen at the same time the lesser ID. Principal and Tokens are empty.",
		func(s suite, store session.Store) {
			all := s.populate(store)
			for _, sel := range selectors() {
				for _, except := range []string{"", all[0].ID, all[len(all)/2].ID, "nobody"} {
					sel.Except = except
					want := matching(sel, all)
					for _, limit := range []int{1, 2, 1000, 0} {
						got := s.list(store, sel, limit)
						if limited := want[:min(limit, len(want))]; !slices.Equal(ids(got), ids(limited)) {
							s.Failf("%+v, limit %d:\n got %v\nwant %v", sel, limit, ids(got), ids(limited))
						}
						for i, r := range got {
							if i < len(want) && r.ID == want[i].ID {
								plain := want[i]
								plain.Principal, plain.Tokens = "", ""
								s.same("listed", r, plain)
							}
							if r.AsOf.Before(r.LastSeen) {
								s.Failf("AsOf is %v for a session seen at %v", r.AsOf, r.LastSeen)
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
		"list without a name", "A Selector says which sessions: those of the Issuer that have the Subject and the SID, as far as these are set; where neither is, none match.",
		func(s suite, store session.Store) {
			all := s.populate(store)
			for _, issuer := range []string{"i", "", "*"} {
				sel := session.Selector{Issuer: issuer}
				if found := s.list(store, sel, 1000); len(found) > 0 {
					s.Failf("%+v lists %v", sel, ids(found))
				}
				if n := s.deleteAll(store, sel); n > 0 {
					s.Failf("%+v removes %d sessions", sel, n)
				}
			}
			for _, r := range all {
				s.unchanged(store, r)
			}
		},
	},
	{
		"list what is over", "A session that is over is as if it were not there: List does not return it, and DeleteAll does not count it.",
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
						s.Failf("%+v, limit %d: %v are listed, of %v that are not over", sel, limit, ids(got), ids(stays))
					}
				}
			}
			sel := session.Selector{Issuer: stays[0].Issuer, Subject: stays[0].Subject, Except: stays[1].ID}
			if n := s.deleteAll(store, sel); n != len(stays)-1 {
				s.Failf("%d sessions were counted, want %d", n, len(stays)-1)
			}
			s.unchanged(store, stays[1])
		},
	},
	{
		"list is a copy", "What is done to what a store has returned changes nothing in the store.",
		func(s suite, store session.Store) {
			all := s.populate(store)
			sel := session.Selector{Issuer: "i", Subject: "s"}
			want := ids(matching(sel, all))
			for range 2 {
				got := s.list(store, sel, 10)
				if !slices.Equal(ids(got), want) {
					s.Failf("%v are listed, want %v", ids(got), want)
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
		"delete all", "DeleteAll removes the sessions that match and returns how many there were.",
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
					doomed := matching(sel, all)
					for _, want := range []int{len(doomed), 0} {
						if n := s.deleteAll(store, sel); n != want {
							s.Failf("%+v has removed %d sessions, want %d", sel, n, want)
						}
					}
					for _, r := range doomed {
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
