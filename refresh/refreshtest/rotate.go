// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
)

var rotateRules = []rule{
	newRule("rotate", "Rotated, if p.Secret equals Current: Current moves to Previous, p.Next to Current, p.Successor to Successor; Rotated is set to now, GraceEnds to the earlier of Expires and now + p.Grace; Generation grows by 1.",
		func(s suite) {
			other := s.create(draft("b"), time.Hour)
			want := s.create(draft("a"), time.Hour)
			for n, grace := range []time.Duration{time.Minute, 0, 24 * time.Hour, time.Second} {
				p := present("a", n+1, n+2, grace)
				if n == 1 {
					p.Successor = nil
				}
				got := s.rotate("current token", "a", p, refresh.Rotated)
				want.Previous, want.Current, want.Successor = want.Current, p.Next, p.Successor
				want.Rotated, want.GraceEnds = got.AsOf, got.AsOf.Add(grace)
				if want.GraceEnds.After(want.Expires) {
					want.GraceEnds = want.Expires
				}
				want.Generation++
				s.same("rotated", got, want)
			}
			s.unchanged("rotation of another family", other)
		}),
	newRule("replay", "Replayed, if p.Secret equals Previous and GraceEnds is after now. No change.",
		func(s suite) {
			s.create(draft("a"), time.Hour)
			want := s.rotate("current token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			for _, grace := range []time.Duration{time.Minute, time.Hour, 0} {
				s.same("replayed", s.rotate("previous token", "a", present("a", 1, 9, grace), refresh.Replayed), want)
			}
		}),
	newRule("replay after the grace period", "Reused, if p.Secret equals Previous and GraceEnds is not after now. A replay does not move GraceEnds.",
		func(s suite) {
			s.create(draft("a"), time.Hour)
			want := s.rotate("current token", "a", present("a", 1, 2, 150*time.Millisecond), refresh.Rotated)
			_, outcome, err := s.store.Rotate(s.Context(), "a", present("a", 1, 3, time.Hour))
			s.NoError(err)
			if outcome == refresh.Reused { // the database took longer than the grace period
				return
			}
			s.until("a", want.GraceEnds)
			s.revoked("reused", s.rotate("previous token", "a", present("a", 1, 9, time.Hour), refresh.Reused), want)
		}),
	newRule("no grace period", "Reused, if p.Secret equals Previous and GraceEnds is not after now: at once without a grace period.",
		func(s suite) {
			s.create(draft("a"), time.Hour)
			want := s.rotate("current token", "a", present("a", 1, 2, 0), refresh.Rotated)
			s.revoked("reused", s.rotate("previous token", "a", present("a", 1, 3, time.Minute), refresh.Reused), want)
		}),
	newRule("reuse after the successor was used", "Reused, if p.Secret equals neither Current nor Previous, also in the grace period.",
		func(s suite) {
			s.create(draft("a"), time.Hour)
			s.rotate("first token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			want := s.rotate("second token", "a", present("a", 2, 3, time.Minute), refresh.Rotated)
			s.revoked("reused", s.rotate("first token again", "a", present("a", 1, 4, time.Minute), refresh.Reused), want)
		}),
	newRule("reuse of an unknown secret", "Reused, if p.Secret equals neither Current nor Previous. Revoked is set to now, Successor is cleared.",
		func(s suite) {
			other := s.create(draft("b"), time.Hour)
			want := s.create(draft("a"), time.Hour)
			s.revoked("unknown secret", s.rotate("unknown secret", "a", present("a", 7, 8, time.Minute), refresh.Reused), want)
			// Previous is zero, and no secret has the hash zero.
			want = s.create(draft("c"), time.Hour)
			p := present("c", 1, 2, time.Minute)
			p.Secret = refresh.Hash{}
			s.revoked("zero hash", s.rotate("zero hash", "c", p, refresh.Reused), want)
			s.unchanged("revocation of another family", other)
		}),
	newRule("other client", "Reused, if p.Client differs from Client, also with the current token or a replay.",
		func(s suite) {
			for i, client := range []string{"", "Client", "client ", "clien", "other"} {
				id := string(rune('a' + i))
				want := s.create(draft(id), time.Hour)
				p := present(id, 1, 2, time.Minute)
				if i%2 == 1 {
					want = s.rotate("current token", id, p, refresh.Rotated)
					p = present(id, 1+i/3, 3, time.Minute) // 1 is Previous, 2 is Current
				}
				p.Client = client
				s.revoked("client "+client, s.rotate("client "+client, id, p, refresh.Reused), want)
			}
		}),
	newRule("wrong key", "If p.Key differs from Key, Rotate returns ErrNotFound and changes nothing.",
		func(s suite) {
			want := s.create(draft("a"), time.Hour)
			s.create(draft("b"), time.Hour)
			try := func(what string, p refresh.Presentation) {
				for _, key := range []refresh.Hash{{}, hashOf("a", 9), hashOf("b", 0), p.Secret} {
					p.Key = key
					_, _, err := s.store.Rotate(s.Context(), "a", p)
					s.notFound("Rotate with a wrong key, "+what, err)
					s.unchanged("Rotate with a wrong key, "+what, want)
				}
			}
			try("current token", present("a", 1, 2, time.Minute))
			try("unknown secret", present("a", 7, 2, time.Minute))
			foreign := present("a", 1, 2, time.Minute)
			foreign.Client = "other"
			try("other client", foreign)
			want = s.rotate("current token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			try("previous token", present("a", 1, 3, time.Minute))
			want = s.revoke("a")
			try("revoked family", present("a", 2, 3, time.Minute))
		}),
	newRule("revoked", "Revoked, if Revoked is set. No change.",
		func(s suite) {
			s.create(draft("a"), time.Hour)
			s.rotate("current token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			want := s.revoke("a")
			s.until("a", want.Revoked)
			foreign := present("a", 2, 4, time.Minute)
			foreign.Client = "other"
			for what, p := range map[string]refresh.Presentation{
				"current token": present("a", 2, 4, time.Minute), "previous token": present("a", 1, 4, time.Minute),
				"unknown secret": present("a", 9, 4, time.Minute), "other client": foreign,
			} {
				s.same(what, s.rotate(what, "a", p, refresh.Revoked), want)
			}
		}),
	newRule("expired", "Expired, if Expires is not after now. No change. Or the record is removed, and Rotate returns ErrNotFound.",
		func(s suite) {
			want := s.create(draft("a"), 120*time.Millisecond)
			clock := s.create(draft("clock"), time.Hour)
			s.until(clock.ID, want.Expires)
			foreign := present("a", 1, 2, time.Minute)
			foreign.Client = "other"
			for what, p := range map[string]refresh.Presentation{
				"current token": present("a", 1, 2, time.Minute), "unknown secret": present("a", 9, 2, time.Minute), "other client": foreign,
			} {
				got, outcome, err := s.store.Rotate(s.Context(), "a", p)
				if errors.Is(err, refresh.ErrNotFound) {
					continue
				}
				s.NoError(err)
				if outcome != refresh.Expired {
					s.Failf("Rotate(%s) outcome = %q, want %q", what, outcome, refresh.Expired)
				}
				s.same(what, got, want)
			}
		}),
}
