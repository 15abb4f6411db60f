// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

var changeRules = []rule{
	{
		"swap", "Swap puts c into the record. LastSeen becomes now, Claimed becomes now + c.Claim, or zero if c.Claim is zero, and Version grows by one; the rest stays as it is. With another c.ID the record is found under that one.",
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
				{"a claim and another id", session.Change{ID: sessionID(2), Principal: `{"n":3}`, Tokens: "three", Claim: 1500 * time.Microsecond}},
				{"another id", session.Change{ID: sessionID(3), Principal: `{"n":4}`, Tokens: "four"}},
				{"a claim shorter than a microsecond", session.Change{ID: sessionID(3), Principal: `{"n":4}`, Tokens: "four", Claim: 999}},
				{"the first id", session.Change{ID: sessionID(1), Principal: `{"n":4}`, Tokens: "four"}},
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
		"swap refused", "Swap returns ErrNotFound if there is none, and ErrConflict if it has another Version, and then changes nothing.",
		func(s suite, store session.Store) {
			swap := func(id string, version int64, to string) error {
				_, err := store.Swap(s.Context(), id, version, session.Change{ID: to, Principal: "other", Tokens: "other", Claim: time.Hour})
				return err
			}
			first := s.create(store, draft(sessionID(1)), time.Hour)
			s.notFound("an unknown id", swap(sessionID(9), 1, sessionID(9)))
			s.notFound("an unknown id, to another", swap(sessionID(9), 0, sessionID(8)))
			s.notFound("an unknown id, to one that is taken", swap(sessionID(9), 1, first.ID))
			for _, version := range []int64{-1, 0, 2, 1 << 40} {
				s.conflict("another version", swap(first.ID, version, first.ID))
				s.conflict("another version, to another id", swap(first.ID, version, sessionID(8)))
			}
			s.unchanged(store, first)
			second := s.swap(store, first.ID, 1, session.Change{ID: first.ID, Tokens: "two", Claim: time.Minute})
			s.conflict("an earlier version", swap(first.ID, 1, first.ID))
			s.conflict("an earlier version, to another id", swap(first.ID, 1, sessionID(8)))
			s.unchanged(store, second)
			s.gone("what was not swapped", store, sessionID(8))
			s.gone("what was not there", store, sessionID(9))
		},
	},
	{
		"new id", "With another c.ID the record is found under that one from then on, and under the old one no more.",
		func(s suite, store session.Store) {
			other := s.create(store, draft(sessionID(90)), time.Hour)
			r := s.create(store, draft(sessionID(1)), time.Hour)
			got := s.swap(store, r.ID, 1, session.Change{ID: sessionID(2), Tokens: "two"})
			s.gone("the old id", store, r.ID)
			_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID})
			s.notFound("swap of the old id", err)
			_, err = store.Swap(s.Context(), r.ID, 2, session.Change{ID: r.ID})
			s.notFound("swap of the old id, of the new version", err)
			touched, err := store.Touch(s.Context(), r.ID, 0)
			if must(s, touched, err) {
				s.Failf("the old id was touched")
			}
			must(s, 0, store.Delete(s.Context(), r.ID))
			s.unchanged(store, got)
			for _, sel := range []session.Selector{
				{Issuer: r.Issuer, Subject: r.Subject, Except: other.ID},
				{Issuer: r.Issuer, SID: r.SID, Except: other.ID},
				{Issuer: r.Issuer, Subject: r.Subject, SID: r.SID, Except: other.ID},
			} {
				if found := s.list(store, sel, 10); len(found) != 1 || found[0].ID != got.ID {
					s.Failf("%+v lists %v, want the new id only", sel, ids(found))
				}
			}
			// The old id is free, and what is made of it is another session.
			again := s.create(store, draft(r.ID), time.Hour)
			s.unchanged(store, got)
			if n := s.deleteAll(store, session.Selector{Issuer: r.Issuer, SID: r.SID, Except: again.ID}); n != 2 {
				s.Failf("%d sessions were removed, want 2", n)
			}
			s.gone("the new id, removed", store, got.ID)
			s.unchanged(store, again)
		},
	},
	{
		"new id that is taken", "Swap returns ErrConflict if c.ID is another one and is taken. One that is over takes nothing.",
		func(s suite, store session.Store) {
			r := s.create(store, draft(sessionID(1)), time.Hour)
			other := draft(sessionID(2))
			other.Subject, other.SID = "somebody else", "other sid"
			taken := s.create(store, other, time.Hour)
			_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: taken.ID, Tokens: "other"})
			s.conflict("an id that is taken", err)
			s.unchanged(store, r)
			s.unchanged(store, taken)
			for way, kind := range shortLived {
				old := draft(sessionID(10 + way))
				old.Subject, old.SID, old.Idle = "somebody", "old sid", kind.idle
				over := s.create(store, old, kind.lifetime)
				s.until(store, end(over))
				s.swap(store, r.ID, r.Version, session.Change{ID: over.ID, Principal: r.Principal, Tokens: r.Tokens})
				s.gone(kind.name+": the old id", store, r.ID)
				got := s.get(store, over.ID)
				r.ID, r.LastSeen, r.Version = over.ID, got.LastSeen, r.Version+1
				s.same(kind.name, got, r)
				sel := session.Selector{Issuer: old.Issuer, Subject: old.Subject}
				if n := len(s.list(store, sel, 10)) + s.deleteAll(store, sel); n > 0 {
					s.Failf("%s: a session is taken for that of the old subject", kind.name)
				}
				s.unchanged(store, r)
			}
		},
	},
	{
		"touch", "Touch sets LastSeen to now if it is at least every before now, and reports whether it did. It leaves the Version. For a session that is not there it reports false.",
		func(s suite, store session.Store) {
			touch := func(id string, every time.Duration) bool {
				s.Helper()
				touched, err := store.Touch(s.Context(), id, every)
				return must(s, touched, err)
			}
			if touch(sessionID(9), 0) {
				s.Failf("an unknown id was touched")
			}
			s.gone("a touched unknown id", store, sessionID(9))
			other := s.create(store, draft(sessionID(2)), time.Hour)
			s.create(store, draft(sessionID(1)), time.Hour)
			want := s.swap(store, sessionID(1), 1, session.Change{ID: sessionID(1), Tokens: "two", Claim: time.Minute})
			if touch(want.ID, time.Hour) {
				s.Failf("a touch within the hour was done")
			}
			s.unchanged(store, want)
			for range 2 {
				s.until(store, want.LastSeen.Add(20*time.Millisecond))
				if !touch(want.ID, 20*time.Millisecond) {
					s.Failf("a touch after the pause was not done")
				}
				got := s.get(store, want.ID)
				if !got.LastSeen.After(want.LastSeen) || got.LastSeen.After(got.AsOf) {
					s.Failf("LastSeen is %v, was %v", got.LastSeen, want.LastSeen)
				}
				want.LastSeen = got.LastSeen
				s.same("touched", got, want)
			}
			if touch(want.ID, time.Hour) {
				s.Failf("a touch within the hour after another one was done")
			}
			s.unchanged(store, want)
			s.unchanged(store, other)
			s.swap(store, want.ID, 2, session.Change{ID: want.ID}) // no touch has changed the version
		},
	},
	{
		"delete", "Delete removes a session. That it is not there is no error.",
		func(s suite, store session.Store) {
			other := s.create(store, draft(sessionID(2)), time.Hour)
			r := s.create(store, draft(sessionID(1)), time.Hour)
			for _, id := range []string{sessionID(9), "", r.ID[:len(r.ID)-1], r.ID + " ", "%", "*"} {
				if err := store.Delete(s.Context(), id); err != nil {
					s.Failf("delete %q, which is not there: %v", id, err)
				}
			}
			s.unchanged(store, r)
			for range 2 {
				must(s, 0, store.Delete(s.Context(), r.ID))
				s.gone("a session that was deleted", store, r.ID)
			}
			_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID})
			s.notFound("swap", err)
			touched, err := store.Touch(s.Context(), r.ID, 0)
			if must(s, touched, err) {
				s.Failf("a session that was deleted was touched")
			}
			sel := session.Selector{Issuer: r.Issuer, Subject: r.Subject}
			if found := s.list(store, sel, 10); len(found) != 1 || found[0].ID != other.ID {
				s.Failf("%v are listed", ids(found))
			}
			again := draft(r.ID)
			again.Subject = "somebody else"
			want := s.create(store, again, time.Hour)
			if n := s.deleteAll(store, sel); n != 1 {
				s.Failf("%d sessions were removed, want 1", n)
			}
			s.gone("the other session", store, other.ID)
			s.unchanged(store, want)
		},
	},
}
