// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

var recordRules = []rule{
	{
		"create", "Create sets Created and Rotated to now, Expires to now + Lifetime and Generation to 1. All other fields are ignored and zero in the record.",
		func(s suite) {
			r := draft(keyID(1))
			past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			r.Created, r.Rotated, r.Expires, r.GraceEnds, r.Revoked, r.Suspended, r.LastUsed, r.AsOf = past, past, past, past, past, past, past, past
			r.Generation, r.Uses, r.Previous = 7, 7, hashOf("previous", 9)
			got := s.create(r)
			want := draft(r.ID)
			want.Created, want.Rotated, want.Generation = got.AsOf, got.AsOf, 1
			want.Expires = got.AsOf.Add(time.Hour)
			s.same("Create", got, want)
			s.same("Find", s.find(r.ID), want)
		},
	},
	{
		"round trip", "Strings are returned unchanged, Metadata too.",
		func(s suite) {
			long := strings.Repeat("é", 127)
			scopes, _ := gatehouse.ParseScopes(strings.Repeat("s", 4096))
			metadata, _ := gatehouse.NewClaims(`{"b":"` + strings.Repeat("x", 4000) + `","a":0.10,"e":1E3}`)
			n := 0
			for name, alter := range map[string]func(*apikey.Record){
				"all fields": func(*apikey.Record) {},
				"few fields": func(r *apikey.Record) {
					*r = apikey.Record{Key: apikey.Key{ID: r.ID, Owner: "o", Environment: "e", Lifetime: time.Second}}
				},
				"long":     func(r *apikey.Record) { r.Owner, r.Tenant, r.Scopes, r.Metadata = long, long, scopes, metadata },
				"quotes":   func(r *apikey.Record) { r.Owner, r.Tenant = `'"; -- \ %_*?[`, ` {}:/\0` },
				"case":     func(r *apikey.Record) { r.Owner, r.Tenant = "OwNer", "TENANT" },
				"unicode":  func(r *apikey.Record) { r.Owner, r.Tenant = "☂ umbrella 😀", "e\u0301" },
				"pepper":   func(r *apikey.Record) { r.Current.Pepper = 1<<32 - 1 },
				"no hash":  func(r *apikey.Record) { r.Current = apikey.Hash{} },
				"lifetime": func(r *apikey.Record) { r.Lifetime = 100*365*24*time.Hour + 123457*time.Microsecond },
			} {
				n++
				want := draft(keyID(n))
				alter(&want)
				got := s.create(want)
				want.Created, want.Rotated, want.Expires, want.Generation = got.Created, got.Created, got.Created.Add(want.Lifetime), 1
				s.same("Create, "+name, got, want)
				s.same("Find, "+name, s.find(want.ID), want)
			}
		},
	},
	{
		"duplicate", "If the ID exists, Create returns an error and does not change the existing record.",
		func(s suite) {
			first := s.create(draft(keyID(1)))
			second := draft(keyID(1))
			second.Owner, second.Current = "other", hashOf("second", 2)
			if _, err := s.store.Create(s.Context(), second); err == nil {
				s.Failf("Create(existing ID): error = nil, want one")
			}
			s.unchanged(first)
		},
	},
	{
		"find", "Find returns the record, or ErrNotFound. IDs are compared byte by byte.",
		func(s suite) {
			s.create(draft("KeyA000000000000"))
			for _, id := range []string{"", "keya000000000000", "KeyA00000000000", "KeyA0000000000000", "KeyA%", "KeyA*", "'", "KeyA000000000000 ", "\\"} {
				_, err := s.store.Find(s.Context(), id)
				s.fails("Find("+id+")", err, apikey.ErrNotFound)
			}
			lower := draft("keya000000000000")
			s.create(lower)
			if got := s.find(lower.ID); got.Current != lower.Current {
				s.Failf("Find(%s) returns the record of %s", lower.ID, got.ID)
			}
		},
	},
	{
		"copies", "Records are copied in and out.",
		func(s suite) {
			r := draft(keyID(1))
			want := slices.Clone(r.Networks)
			// change changes the memory of records and checks that the store does
			// not share it.
			change := func(whose string, records ...apikey.Record) {
				s.Helper()
				for _, r := range records {
					for i := range r.Networks {
						r.Networks[i] = netip.MustParsePrefix("0.0.0.0/0")
					}
				}
				if got := s.find(r.ID); !slices.Equal(got.Networks, want) {
					s.Stopf("Networks = %v after a change of %s, want %v", got.Networks, whose, want)
				}
			}
			created := s.create(r)
			change("the argument of Create", r)
			change("the result of Create", created)
			change("the result of Find", s.find(r.ID))
			change("the result of Rotate", s.rotate(r.ID, rotation(r.ID, 2)))
			change("the result of Suspend", s.suspend(r.ID, true))
			change("the result of List", s.list(apikey.Query{Filter: anyKey, Limit: 1})...)
			change("the result of RevokeAll", s.revokeAll(anyKey, 1)...)
			change("the result of Revoke", s.revoke(r.ID))
		},
	},
	{
		"clock", "All times come from one clock, have a resolution of one microsecond and are in UTC. Each record that is returned has AsOf set.",
		func(s suite) {
			created := s.create(draft(keyID(1)))
			last := created.AsOf
			check := func(call string, r apikey.Record, changed time.Time) {
				s.Helper()
				if r.AsOf.Before(last) {
					s.Failf("%s: AsOf = %v, want no time before %v, which was returned earlier", call, r.AsOf, last)
				}
				last = r.AsOf
				for _, t := range []time.Time{changed, r.AsOf, r.Created, r.Rotated, r.Expires} {
					if t.IsZero() || t.Location() != time.UTC || !t.Equal(t.Truncate(time.Microsecond)) {
						s.Failf("%s: time = %v, want microseconds in UTC", call, t)
					}
				}
				if changed.After(r.AsOf) || changed.Before(created.Created) {
					s.Failf("%s: time of the change = %v, want %v to %v", call, changed, created.Created, r.AsOf)
				}
			}
			check("Create", created, created.Created)
			s.until(created.ID, created.AsOf.Add(5*time.Millisecond))
			s.touch(created.ID, 1, 0)
			found := s.find(created.ID)
			check("Touch", found, found.LastUsed)
			rotated := s.rotate(created.ID, rotation(created.ID, 2))
			check("Rotate", rotated, rotated.Rotated)
			suspended := s.suspend(created.ID, true)
			check("Suspend", suspended, suspended.Suspended)
			for _, listed := range s.list(apikey.Query{Filter: anyKey, Limit: 1}) {
				check("List", listed, listed.Rotated)
			}
			revoked := s.revoke(created.ID)
			check("Revoke", revoked, revoked.Revoked)
			check("Import", s.imports(revoked), revoked.Revoked)
			if !rotated.Rotated.After(created.Created) || revoked.Revoked.Before(rotated.Rotated) {
				s.Failf("Created = %v, Rotated = %v, Revoked = %v, want this order", created.Created, rotated.Rotated, revoked.Revoked)
			}
		},
	},
	{
		"context", "A method whose context has ended before the call changes nothing and returns an error.",
		func(s suite) {
			r := s.create(draft(keyID(1)))
			s.create(draft(keyID(5)))
			revoked := s.revoke(keyID(5))
			ended, cancel := context.WithCancel(s.Context())
			cancel()
			for name, call := range map[string]func() error{
				"Create":           func() error { _, err := s.store.Create(ended, draft(keyID(2))); return err },
				"Find":             func() error { _, err := s.store.Find(ended, r.ID); return err },
				"Find(unknown ID)": func() error { _, err := s.store.Find(ended, keyID(3)); return err },
				"Rotate":           func() error { _, err := s.store.Rotate(ended, r.ID, rotation(r.ID, 2)); return err },
				"Revoke":           func() error { _, err := s.store.Revoke(ended, r.ID); return err },
				"RevokeAll":        func() error { _, err := s.store.RevokeAll(ended, anyKey, 10); return err },
				"Suspend":          func() error { _, err := s.store.Suspend(ended, r.ID, true); return err },
				"Delete":           func() error { return s.store.Delete(ended, revoked.ID) },
				"Import":           func() error { _, err := s.store.Import(ended, s.foreign(keyID(4))); return err },
				"Touch":            func() error { _, err := s.store.Touch(ended, r.ID, 1, 0); return err },
				"List":             func() error { _, err := s.store.List(ended, apikey.Query{Filter: anyKey, Limit: 1}); return err },
			} {
				if err := call(); err == nil || isStateError(err) {
					s.Failf("%s with an ended context: error = %v, want another one", name, err)
				}
			}
			s.unchanged(r)
			s.unchanged(revoked)
			for _, id := range []string{keyID(2), keyID(4)} {
				_, err := s.store.Find(s.Context(), id)
				s.fails("Find after Create or Import with an ended context", err, apikey.ErrNotFound)
			}
			s.create(draft(keyID(6))) // no lock was kept
		},
	},
}
