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
		"create", "Create sets Created and Rotated to now, Expires to now + Lifetime and Generation to 1; the rest is zero, whatever it was.",
		func(s suite, store apikey.Store) {
			r := draft(keyID(1))
			past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			r.Created, r.Rotated, r.Expires, r.GraceEnds, r.Revoked, r.Suspended, r.LastUsed, r.AsOf = past, past, past, past, past, past, past, past
			r.Generation, r.Uses, r.Previous = 7, 7, hashOf("previous", 9)
			got := s.create(store, r)
			want := draft(r.ID)
			want.Created, want.Rotated, want.Generation = got.AsOf, got.AsOf, 1
			want.Expires = got.AsOf.Add(time.Hour)
			s.same("created", got, want)
			s.same("found", s.find(store, r.ID), want)
		},
	},
	{
		"round trip", "Strings are returned byte by byte, Metadata too.",
		func(s suite, store apikey.Store) {
			long := strings.Repeat("é", 127)
			scopes, _ := gatehouse.ParseScopes(strings.Repeat("s", 4096))
			metadata, _ := gatehouse.NewClaims(`{"b":"` + strings.Repeat("x", 4000) + `","a":0.10,"e":1E3}`)
			records := map[string]func(*apikey.Record){
				"plain": func(*apikey.Record) {},
				"sparse": func(r *apikey.Record) {
					*r = apikey.Record{Key: apikey.Key{ID: r.ID, Owner: "o", Environment: "e", Lifetime: time.Second}}
				},
				"long":     func(r *apikey.Record) { r.Owner, r.Tenant, r.Scopes, r.Metadata = long, long, scopes, metadata },
				"quotes":   func(r *apikey.Record) { r.Owner, r.Tenant = `'"; -- \ %_*?[`, ` {}:/\0` },
				"case":     func(r *apikey.Record) { r.Owner, r.Tenant = "OwNer", "TENANT" },
				"unicode":  func(r *apikey.Record) { r.Owner, r.Tenant = "☂ umbrella 😀", "e\u0301" },
				"pepper":   func(r *apikey.Record) { r.Current.Pepper = 1<<32 - 1 },
				"no hash":  func(r *apikey.Record) { r.Current = apikey.Hash{} },
				"lifetime": func(r *apikey.Record) { r.Lifetime = 100*365*24*time.Hour + 123457*time.Microsecond },
			}
			n := 0
			for name, alter := range records {
				n++
				r := draft(keyID(n))
				alter(&r)
				got := s.create(store, r)
				want := r
				want.Created, want.Rotated, want.Expires, want.Generation = got.Created, got.Created, got.Created.Add(r.Lifetime), 1
				s.same(name+", created", got, want)
				s.same(name+", found", s.find(store, r.ID), want)
			}
		},
	},
	{
		"taken", "An ID that is taken is an error and leaves the other record as it was.",
		func(s suite, store apikey.Store) {
			first := s.create(store, draft(keyID(1)))
			second := draft(keyID(1))
			second.Owner, second.Current = "somebody else", hashOf("second", 2)
			if _, err := store.Create(s.Context(), second); err == nil {
				s.Failf("a second key of the same id was created")
			}
			s.unchanged(store, first)
		},
	},
	{
		"find", "Find returns the record, or ErrNotFound. IDs compare byte by byte.",
		func(s suite, store apikey.Store) {
			s.create(store, draft("KeyA000000000000"))
			for _, id := range []string{"", "keya000000000000", "KeyA00000000000", "KeyA0000000000000", "KeyA%", "KeyA*", "'", "KeyA000000000000 ", "\\"} {
				s.notFound("find "+id, func() error { _, err := store.Find(s.Context(), id); return err })
			}
			lower := draft("keya000000000000")
			s.create(store, lower)
			if got := s.find(store, lower.ID); got.Current != lower.Current {
				s.Failf("found the record of an id that differs in case")
			}
		},
	},
	{
		"copies", "Records are copied in and out.",
		func(s suite, store apikey.Store) {
			r := draft(keyID(1))
			created := s.create(store, r)
			want := draft(r.ID).Networks
			spoil := func(records ...apikey.Record) {
				for _, r := range records {
					for i := range r.Networks {
						r.Networks[i] = netip.MustParsePrefix("0.0.0.0/0")
					}
				}
			}
			check := func(whose string) {
				s.Helper()
				if got := s.find(store, r.ID); !slices.Equal(got.Networks, want) {
					s.Stopf("changing what %s holds has changed the record", whose)
				}
			}
			spoil(r)
			check("the argument of Create")
			spoil(created)
			check("the result of Create")
			spoil(s.find(store, r.ID))
			check("the result of Find")
			rotated, err := store.Rotate(s.Context(), r.ID, rotation(r.ID, 2))
			spoil(must(s, rotated, err))
			check("the result of Rotate")
			suspended, err := store.Suspend(s.Context(), r.ID, true)
			spoil(must(s, suspended, err))
			check("the result of Suspend")
			listed, err := store.List(s.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 1})
			spoil(must(s, listed, err)...)
			check("the result of List")
			revoked, err := store.RevokeAll(s.Context(), apikey.Filter{AnyTenant: true}, 1)
			spoil(must(s, revoked, err)...)
			check("the result of RevokeAll")
			again, err := store.Revoke(s.Context(), r.ID)
			spoil(must(s, again, err))
			check("the result of Revoke")
		},
	},
	{
		"clock", "Times come from one clock, are kept to the microsecond and returned in UTC; each record has AsOf set.",
		func(s suite, store apikey.Store) {
			created := s.create(store, draft(keyID(1)))
			last := created.AsOf
			check := func(what string, r apikey.Record, t time.Time) {
				s.Helper()
				if r.AsOf.Before(last) {
					s.Failf("%s: AsOf %v is before %v, which was read earlier", what, r.AsOf, last)
				}
				last = r.AsOf
				for _, t := range []time.Time{t, r.AsOf, r.Created, r.Rotated, r.Expires} {
					if t.IsZero() || t.Location() != time.UTC || !t.Equal(t.Truncate(time.Microsecond)) {
						s.Failf("%s: %v is not a time in UTC to the microsecond", what, t)
					}
				}
				if t.After(r.AsOf) || t.Before(created.Created) {
					s.Failf("%s: happened at %v, read at %v, created at %v", what, t, r.AsOf, created.Created)
				}
			}
			check("create", created, created.Created)
			s.until(store, created.ID, created.AsOf.Add(5*time.Millisecond))
			_, err := store.Touch(s.Context(), created.ID, 1, 0)
			s.NoError(err)
			found := s.find(store, created.ID)
			check("touch", found, found.LastUsed)
			rotated, err := store.Rotate(s.Context(), created.ID, rotation(created.ID, 2))
			check("rotate", must(s, rotated, err), rotated.Rotated)
			suspended, err := store.Suspend(s.Context(), created.ID, true)
			check("suspend", must(s, suspended, err), suspended.Suspended)
			listed, err := store.List(s.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 1})
			check("list", must(s, listed, err)[0], listed[0].Rotated)
			revoked, err := store.Revoke(s.Context(), created.ID)
			check("revoke", must(s, revoked, err), revoked.Revoked)
			if !rotated.Rotated.After(created.Created) || revoked.Revoked.Before(rotated.Rotated) {
				s.Failf("created %v, rotated %v, revoked %v", created.Created, rotated.Rotated, revoked.Revoked)
			}
		},
	},
	{
		"context", "A method whose context is over before it begins changes nothing and returns an error.",
		func(s suite, store apikey.Store) {
			r := s.create(store, draft(keyID(1)))
			over, cancel := context.WithCancel(s.Context())
			cancel()
			all := apikey.Filter{AnyTenant: true}
			for name, call := range map[string]func() error{
				"Create":    func() error { _, err := store.Create(over, draft(keyID(2))); return err },
				"Find":      func() error { _, err := store.Find(over, r.ID); return err },
				"Find none": func() error { _, err := store.Find(over, keyID(3)); return err },
				"Rotate":    func() error { _, err := store.Rotate(over, r.ID, rotation(r.ID, 2)); return err },
				"Revoke":    func() error { _, err := store.Revoke(over, r.ID); return err },
				"RevokeAll": func() error { _, err := store.RevokeAll(over, all, 10); return err },
				"Suspend":   func() error { _, err := store.Suspend(over, r.ID, true); return err },
				"Touch":     func() error { _, err := store.Touch(over, r.ID, 1, 0); return err },
				"List":      func() error { _, err := store.List(over, apikey.Query{Filter: all, Limit: 1}); return err },
			} {
				if err := call(); err == nil || isStateError(err) {
					s.Failf("%s with a context that is over: error %v", name, err)
				}
			}
			s.unchanged(store, r)
			s.notFound("find what was not created", func() error { _, err := store.Find(s.Context(), keyID(2)); return err })
		},
	},
}
