// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/refresh"
)

var recordRules = []rule{
	newRule("create", "Create sets Created to now, Expires to now + lifetime, Generation to 1 and the other fields to zero.",
		func(s suite) {
			r := draft("a")
			past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			r.Created, r.Expires, r.Rotated, r.GraceEnds, r.Revoked, r.AsOf = past, past, past, past, past, past
			r.Generation, r.Previous, r.Successor = 7, hashOf("previous", 9), sealedOf(9)
			const lifetime = time.Hour + 1234567*time.Microsecond
			got := s.create(r, lifetime)
			want := draft(r.ID)
			want.Created, want.Expires, want.Generation = got.AsOf, got.AsOf.Add(lifetime), 1
			s.same("created", got, want)
			s.same("found", s.find(r.ID), want)
		}),
	newRule("round trip", "Strings and Metadata are stored byte by byte. Times have microsecond precision and are returned in UTC.",
		func(s suite) {
			long := strings.Repeat("é", 127)
			scopes, _ := gatehouse.ParseScopes(strings.Repeat("s", 4096))
			metadata, _ := gatehouse.NewClaims(`{"b":"` + strings.Repeat("x", 4000) + `","a":0.10,"e":1E3}`)
			rich, bare, odd := draft("rich"), draft("bare"), draft("odd")
			rich.Subject, rich.Client, rich.Tenant, rich.Scopes, rich.Metadata = long, long, long, scopes, metadata
			rich.AuthTime = time.Date(2026, 1, 2, 3, 4, 5, 678901999, time.FixedZone("", 3600))
			bare.Tenant, bare.Scopes, bare.Metadata, bare.AuthTime = "", gatehouse.Scopes{}, gatehouse.Claims{}, time.Time{}
			odd.Subject, odd.Client, odd.Tenant = "a'b\"; -- %s", " $1 ?1 {} ", "A\\a:*"
			for _, r := range []refresh.Record{rich, bare, odd} {
				got := s.create(r, time.Hour)
				want := r
				want.Created, want.Expires, want.Generation = got.Created, got.Expires, 1
				if !want.AuthTime.IsZero() {
					want.AuthTime = want.AuthTime.Truncate(time.Microsecond).UTC()
				}
				s.same("created "+r.ID, got, want)
				s.same("found "+r.ID, s.find(r.ID), want)
			}
		}),
	newRule("existing ID", "If the ID exists, Create returns an error and the existing record is unchanged.",
		func(s suite) {
			want := s.create(draft("a"), time.Hour)
			again := draft("a")
			again.Subject, again.Current = "other", hashOf("a", 5)
			if _, err := s.store.Create(s.Context(), again, time.Minute); err == nil || errors.Is(err, refresh.ErrNotFound) {
				s.Failf("Create with an existing ID: error = %v", err)
			}
			s.unchanged("a second Create", want)
			s.revoke("a")
			if _, err := s.store.Create(s.Context(), again, time.Minute); err == nil {
				s.Failf("Create with the ID of a revoked family: got no error")
			}
		}),
	newRule("not found", "Methods return ErrNotFound if the family does not exist. Strings are compared byte by byte.",
		func(s suite) {
			want := s.create(draft("aB"), time.Hour)
			for _, id := range []string{"", "ab", "AB", " aB", "aB ", "a", "aBc", "a%", "*", "b"} {
				_, err := s.store.Find(s.Context(), id)
				s.notFound("Find("+id+")", err)
				_, _, err = s.store.Rotate(s.Context(), id, present("aB", 1, 2, time.Minute))
				s.notFound("Rotate("+id+")", err)
				_, err = s.store.Revoke(s.Context(), id)
				s.notFound("Revoke("+id+")", err)
			}
			s.unchanged("calls with other IDs", want)
		}),
	newRule("copies", "Records are copied in and out.",
		func(s suite) {
			s.create(draft("a"), time.Hour)
			p := present("a", 1, 2, time.Minute)
			rotated, _, err := s.store.Rotate(s.Context(), "a", p)
			s.NoError(err)
			listed, err := s.store.List(s.Context(), refresh.Filter{Subject: "subject"}, 1)
			s.NoError(err)
			if len(listed) != 1 {
				s.Stopf("List returned %d records, want 1", len(listed))
			}
			overwrite := func(what string, successor []byte) {
				clear(successor)
				if string(s.find("a").Successor) != string(sealedOf(2)) {
					s.Failf("the store shares the memory of the Successor %s", what)
				}
			}
			overwrite("given to Rotate", p.Successor)
			overwrite("returned by Rotate", rotated.Successor)
			overwrite("returned by Find", s.find("a").Successor)
			overwrite("returned by List", listed[0].Successor)
		}),
	newRule("canceled context", "With a context that is already canceled, a method changes nothing and returns an error.",
		func(s suite) {
			want := s.create(draft("a"), time.Hour)
			canceled, cancel := context.WithCancel(s.Context())
			cancel()
			for name, call := range map[string]func() error{
				"Create": func() error { _, err := s.store.Create(canceled, draft("b"), time.Hour); return err },
				"Find":   func() error { _, err := s.store.Find(canceled, "a"); return err },
				"Rotate": func() error {
					_, _, err := s.store.Rotate(canceled, "a", present("a", 1, 2, 0))
					return err
				},
				"Revoke":    func() error { _, err := s.store.Revoke(canceled, "a"); return err },
				"RevokeAll": func() error { _, err := s.store.RevokeAll(canceled, refresh.Filter{Client: "client"}, 10); return err },
				"List":      func() error { _, err := s.store.List(canceled, refresh.Filter{Subject: "subject"}, 10); return err },
			} {
				if err := call(); err == nil || errors.Is(err, refresh.ErrNotFound) {
					s.Failf("%s with a canceled context: error = %v", name, err)
				}
			}
			s.unchanged("calls with a canceled context", want)
			_, err := s.store.Find(s.Context(), "b")
			s.notFound("Find after Create with a canceled context", err)
			s.create(draft("c"), time.Hour) // no lock was kept
		}),
	newRule("clock", "One clock yields all times. They have microsecond precision and are returned in UTC. Returned records have AsOf set.",
		func(s suite) {
			s.create(draft("a"), time.Hour)
			at := s.find("a").AsOf
			s.until("a", at)
			r := s.rotate("current token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			revoked := s.revoke("a")
			for _, t := range []time.Time{r.Created, r.Expires, r.Rotated, r.GraceEnds, r.AsOf, revoked.Revoked, revoked.AsOf} {
				if t.Location() != time.UTC || t.Nanosecond()%1000 != 0 {
					s.Failf("a time is %v with %d ns, want UTC and whole microseconds", t, t.Nanosecond())
				}
			}
			if r.Created.After(at) || !r.Rotated.After(at) || r.AsOf.Before(r.Rotated) || revoked.Revoked.Before(r.Rotated) || s.find("a").AsOf.Before(revoked.Revoked) {
				s.Failf("times are out of order: Created = %v, AsOf = %v, Rotated = %v, Revoked = %v", r.Created, at, r.Rotated, revoked.Revoked)
			}
		}),
}
