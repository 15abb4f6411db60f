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

var familyRecordRules = []familyRule{
	familyOf("create", "Create sets Created to now, Expires to now + lifetime and Generation to 1; the rest is zero, whatever it was.",
		func(s families) {
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
	familyOf("round trip", "Strings are returned byte by byte, Metadata too; times are kept to the microsecond and returned in UTC.",
		func(s families) {
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
				s.same("created", got, want)
				s.same("found", s.find(r.ID), want)
			}
		}),
	familyOf("taken", "An ID that is taken is an error and leaves the other record as it was.",
		func(s families) {
			want := s.create(draft("a"), time.Hour)
			again := draft("a")
			again.Subject, again.Current = "somebody else", hashOf("a", 5)
			if _, err := s.store.Create(s.Context(), again, time.Minute); err == nil || errors.Is(err, refresh.ErrNotFound) {
				s.Failf("an id was given twice: %v", err)
			}
			s.unchanged("a second creation", want)
			_, err := s.store.Revoke(s.Context(), "a")
			s.Good(err)
			if _, err := s.store.Create(s.Context(), again, time.Minute); err == nil {
				s.Failf("the id of a family that has ended was given again")
			}
		}),
	familyOf("unknown", "All methods return ErrFamilyNotFound if there is no such family. Strings compare byte by byte.",
		func(s families) {
			want := s.create(draft("aB"), time.Hour)
			for _, id := range []string{"", "ab", "AB", " aB", "aB ", "a", "aBc", "a%", "*", "b"} {
				_, err := s.store.Find(s.Context(), id)
				s.notFound("find "+id, err)
				_, _, err = s.store.Rotate(s.Context(), id, present("aB", 1, 2, time.Minute))
				s.notFound("rotate "+id, err)
				_, err = s.store.Revoke(s.Context(), id)
				s.notFound("end "+id, err)
			}
			s.unchanged("changes of others", want)
		}),
	familyOf("copies", "Records are copied in and out.",
		func(s families) {
			s.create(draft("a"), time.Hour)
			p := present("a", 1, 2, time.Minute)
			got, _, err := s.store.Rotate(s.Context(), "a", p)
			s.Good(err)
			spoil := func(what string, b []byte) {
				clear(b)
				if string(s.find("a").Successor) != string(sealedOf(2)) {
					s.Failf("the store shares what is %s", what)
				}
			}
			spoil("given to Rotate", p.Successor)
			spoil("returned by Rotate", got.Successor)
			spoil("returned by Find", s.find("a").Successor)
		}),
	familyOf("context", "A method whose context is over before it begins changes nothing and returns an error.",
		func(s families) {
			want := s.create(draft("a"), time.Hour)
			over, cancel := context.WithCancel(s.Context())
			cancel()
			for name, call := range map[string]func() error{
				"create": func() error { _, err := s.store.Create(over, draft("b"), time.Hour); return err },
				"find":   func() error { _, err := s.store.Find(over, "a"); return err },
				"rotate": func() error {
					_, _, err := s.store.Rotate(over, "a", present("a", 1, 2, 0))
					return err
				},
				"end":     func() error { _, err := s.store.Revoke(over, "a"); return err },
				"end all": func() error { _, err := s.store.RevokeAll(over, refresh.Filter{Client: "client"}, 10); return err },
			} {
				if err := call(); err == nil || errors.Is(err, refresh.ErrNotFound) {
					s.Failf("%s: error %v", name, err)
				}
			}
			s.unchanged("calls whose context is over", want)
			_, err := s.store.Find(s.Context(), "b")
			s.notFound("what was created with such a context", err)
		}),
	familyOf("clock", "Every time comes from one clock, is kept to the microsecond and returned in UTC. Each record has AsOf set.",
		func(s families) {
			s.create(draft("a"), time.Hour)
			at := s.find("a").AsOf
			s.until("a", at)
			r := s.rotate("a good token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			ended, err := s.store.Revoke(s.Context(), "a")
			s.Good(err)
			for _, t := range []time.Time{r.Created, r.Expires, r.Rotated, r.GraceEnds, r.AsOf, ended.Revoked, ended.AsOf} {
				if t.Location() != time.UTC || t.Nanosecond()%1000 != 0 {
					s.Failf("a time is %v, of %d ns", t, t.Nanosecond())
				}
			}
			if r.Created.After(at) || !r.Rotated.After(at) || r.AsOf.Before(r.Rotated) || ended.Revoked.Before(r.Rotated) || s.find("a").AsOf.Before(ended.Revoked) {
				s.Failf("times do not follow each other: created %v, then %v, rotated %v, ended %v", r.Created, at, r.Rotated, ended.Revoked)
			}
		}),
}
