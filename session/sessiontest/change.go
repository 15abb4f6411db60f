// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

var changeRules = []rule{
	{
		"swap", "Swap sets the fields of c. LastSeen becomes the current time, Claimed the current time + c.Claim, or zero if c.Claim is zero, and Version grows by one; other fields do not change. With another c.ID the record has this ID from then on.",
		func(s suite, store session.Store) {
			other := s.create(store, draft(sessionID(90)), time.Hour)
			want := s.create(store, draft(sessionID(1)), time.Hour)
			for _, step := range []struct {
				name   string
				change session.Change
			}{
				{"a change", session.Change{ID: want.ID, Principal: `{"n":2}`, Tokens: "two"}},
				{"a claim", session.Change{ID: want.ID, Principal: `{"n":2}`, Tokens: "two", Claim: 10 * time.Second}},
				{"a longer claim", session.Change{ID: want.ID, Principal: `{"n":2}`, Tokens: "two", Claim: 48*time.Hour + 1999}},
				{"a claim and another ID", session.Change{ID: sessionID(2), Principal: `{"n":3}`, Tokens: "three", Claim: 1500 * time.Microsecond}},
				{"another ID", session.Change{ID: sessionID(3), Principal: `{"n":4}`, Tokens: "four"}},
				{"a claim shorter than a microsecond", session.Change{ID: sessionID(3), Principal: `{"n":4}`, Tokens: "four", Claim: 999}},
				{"the first ID", session.Change{ID: sessionID(1), Principal: `{"n":4}`, Tokens: "four"}},
				{"nothing", session.Change{ID: sessionID(1)}},
			} {
				got := s.swap(store, want.ID, want.Version, step.change)
				want.ID, want.Principal, want.Tokens = step.change.ID, step.change.Principal, step.change.Tokens
				want.LastSeen, want.Claimed = got.AsOf, time.Time{}
				if claim := step.change.Claim.Truncate(time.Microsecond); claim > 0 {
					want.Claimed = got.AsOf.Add(claim)
				}
				want.Version++
				s.same(step.name+", returned", got, want)
				s.same(step.name+", found", s.get(store, want.ID), want)
			}
			s.unchanged(store, other)
		},
	},
	{
		"swap rejected", "Swap returns ErrNotFound if there is no session, and ErrConflict if it has another Version, and then changes nothing.",
		func(s suite, store session.Store) {
			swap := func(id string, version int64, to string) error {
				_, err := store.Swap(s.Context(), id, version, session.Change{ID: to, Principal: "other", Tokens: "other", Claim: time.Hour})
				return err
			}
			first := s.create(store, draft(sessionID(1)), time.Hour)
			s.notFound("unknown ID", swap(sessionID(9), 1, sessionID(9)))
			s.notFound("unknown ID, to another", swap(sessionID(9), 0, sessionID(8)))
			s.notFound("unknown ID, to a taken one", swap(sessionID(9), 1, first.ID))
			for _, version := range []int64{-1, 0, 2, 1 << 40} {
				s.conflict("another Version", swap(first.ID, version, first.ID))
				s.conflict("another Version, to another ID", swap(first.ID, version, sessionID(8)))
			}
			s.unchanged(store, first)
			second := s.swap(store, first.ID, 1, session.Change{ID: first.ID, Tokens: "two", Claim: time.Minute})
			s.conflict("earlier Version", swap(first.ID, 1, first.ID))
			s.conflict("earlier Version, to another ID", swap(first.ID, 1, sessionID(8)))
			s.unchanged(store, second)
			s.gone("not swapped", store, sessionID(8))
			s.gone("unknown ID", store, sessionID(9))
		},
	},
	{
		"new ID", "With another c.ID the record has this ID from then on, and the old one is free.",
		func(s suite, store session.Store) {
			other := s.create(store, draft(sessionID(90)), time.Hour)
			r := s.create(store, draft(sessionID(1)), time.Hour)
			got := s.swap(store, r.ID, 1, session.Change{ID: sessionID(2), Tokens: "two"})
			s.gone("old ID", store, r.ID)
			_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID})
			s.notFound("Swap of the old ID", err)
			_, err = store.Swap(s.Context(), r.ID, 2, session.Change{ID: r.ID})
			s.notFound("Swap of the old ID with the new Version", err)
			touched, err := store.Touch(s.Context(), r.ID, 0)
			if must(s, touched, err) {
				s.Failf("Touch(old ID) = true")
			}
			must(s, 0, store.Delete(s.Context(), r.ID))
			s.unchanged(store, got)
			for _, sel := range []session.Selector{
				{Issuer: r.Issuer, Subject: r.Subject, Except: other.ID},
				{Issuer: r.Issuer, SID: r.SID, Except: other.ID},
				{Issuer: r.Issuer, Subject: r.Subject, SID: r.SID, Except: other.ID},
			} {
				if found := s.list(store, sel, 10); len(found) != 1 || found[0].ID != got.ID {
					s.Failf("List(%+v) = %v, want the new ID only", sel, ids(found))
				}
			}
			// The old ID is free for another session.
			again := s.create(store, draft(r.ID), time.Hour)
			s.unchanged(store, got)
			if n := s.deleteAll(store, session.Selector{Issuer: r.Issuer, SID: r.SID, Except: again.ID}); n != 2 {
				s.Failf("DeleteAll = %d, want 2", n)
			}
			s.gone("removed new ID", store, got.ID)
			s.unchanged(store, again)
		},
	},
	{
		"new ID that is taken", "Swap returns ErrConflict if c.ID is another ID that is taken. An expired session does not take an ID.",
		func(s suite, store session.Store) {
			r := s.create(store, draft(sessionID(1)), time.Hour)
			other := draft(sessionID(2))
			other.Subject, other.SID = "another subject", "other sid"
			taken := s.create(store, other, time.Hour)
			other.ID = r.ID + "x"
			for _, taken := range []session.Record{taken, s.create(store, other, time.Hour)} {
				_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: taken.ID, Tokens: "other"})
				s.conflict("Swap to a taken ID", err)
				s.unchanged(store, r)
				s.unchanged(store, taken)
			}
			for way, kind := range shortLived {
				old := draft(sessionID(10 + way))
				old.Subject, old.SID, old.Idle = "old subject", "old sid", kind.idle
				expired := s.create(store, old, kind.lifetime)
				s.until(store, end(expired))
				s.swap(store, r.ID, r.Version, session.Change{ID: expired.ID, Principal: r.Principal, Tokens: r.Tokens})
				s.gone(kind.name+": old ID", store, r.ID)
				got := s.get(store, expired.ID)
				r.ID, r.LastSeen, r.Version = expired.ID, got.LastSeen, r.Version+1
				s.same(kind.name, got, r)
				sel := session.Selector{Issuer: old.Issuer, Subject: old.Subject}
				if n := len(s.list(store, sel, 10)) + s.deleteAll(store, sel); n > 0 {
					s.Failf("%s: the session matches the old subject", kind.name)
				}
				s.unchanged(store, r)
			}
		},
	},
	{
		"touch", "Touch sets LastSeen to the current time if it is at least every in the past, and reports whether it did. It does not change Version. For a missing session it returns false.",
		func(s suite, store session.Store) {
			touch := func(id string, every time.Duration) bool {
				s.Helper()
				touched, err := store.Touch(s.Context(), id, every)
				return must(s, touched, err)
			}
			if touch(sessionID(9), 0) {
				s.Failf("Touch(unknown ID) = true")
			}
			s.gone("unknown ID after Touch", store, sessionID(9))
			other := s.create(store, draft(sessionID(2)), time.Hour)
			s.create(store, draft(sessionID(1)), time.Hour)
			want := s.swap(store, sessionID(1), 1, session.Change{ID: sessionID(1), Tokens: "two", Claim: time.Minute})
			if touch(want.ID, time.Hour) {
				s.Failf("Touch(every 1h) = true at once")
			}
			s.unchanged(store, want)
			for range 2 {
				s.until(store, want.LastSeen.Add(20*time.Millisecond))
				if !touch(want.ID, 20*time.Millisecond) {
					s.Failf("Touch(every 20ms) = false after 20 ms")
				}
				got := s.get(store, want.ID)
				if !got.LastSeen.After(want.LastSeen) || got.LastSeen.After(got.AsOf) {
					s.Failf("LastSeen = %v after Touch, want after %v", got.LastSeen, want.LastSeen)
				}
				want.LastSeen = got.LastSeen
				s.same("touched", got, want)
			}
			if touch(want.ID, time.Hour) {
				s.Failf("Touch(every 1h) = true after another Touch")
			}
			s.unchanged(store, want)
			s.unchanged(store, other)
			s.swap(store, want.ID, 2, session.Change{ID: want.ID}) // Touch does not change the Version
		},
	},
	{
		"delete", "Delete removes a session. It returns nil if there is none.",
		func(s suite, store session.Store) {
			other := s.create(store, draft(sessionID(2)), time.Hour)
			r := s.create(store, draft(sessionID(1)), time.Hour)
			for _, id := range []string{sessionID(9), "", r.ID[:len(r.ID)-1], r.ID + " ", "%", "*"} {
				if err := store.Delete(s.Context(), id); err != nil {
					s.Failf("Delete(%q) of a missing session: error = %v", id, err)
				}
			}
			s.unchanged(store, r)
			for range 2 {
				must(s, 0, store.Delete(s.Context(), r.ID))
				s.gone("deleted session", store, r.ID)
			}
			_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID})
			s.notFound("Swap of a deleted session", err)
			touched, err := store.Touch(s.Context(), r.ID, 0)
			if must(s, touched, err) {
				s.Failf("Touch(deleted session) = true")
			}
			sel := session.Selector{Issuer: r.Issuer, Subject: r.Subject}
			if found := s.list(store, sel, 10); len(found) != 1 || found[0].ID != other.ID {
				s.Failf("List = %v, want the other session only", ids(found))
			}
			again := draft(r.ID)
			again.Subject = "another subject"
			want := s.create(store, again, time.Hour)
			if n := s.deleteAll(store, sel); n != 1 {
				s.Failf("DeleteAll = %d, want 1", n)
			}
			s.gone("other session", store, other.ID)
			s.unchanged(store, want)
		},
	},
}
