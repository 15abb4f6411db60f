// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
)

var familyRotateRules = []familyRule{
	familyOf("rotate", "If Secret is Current: Current becomes Previous, Next becomes Current, Successor is that of the presentation, Rotated becomes now, GraceEnds the earlier of Expires and now + Grace, and Generation grows by one. All else stays.",
		func(s families) {
			other := s.create(draft("b"), time.Hour)
			want := s.create(draft("a"), time.Hour)
			for n, grace := range []time.Duration{time.Minute, 0, 24 * time.Hour, time.Second} {
				p := present("a", n+1, n+2, grace)
				if n == 1 {
					p.Successor = nil
				}
				got := s.rotate("the newest token", "a", p, refresh.Rotated)
				want.Previous, want.Current, want.Successor = want.Current, p.Next, p.Successor
				want.Rotated, want.GraceEnds = got.AsOf, got.AsOf.Add(grace)
				if want.GraceEnds.After(want.Expires) {
					want.GraceEnds = want.Expires
				}
				want.Generation++
				s.same("rotated", got, want)
			}
			s.unchanged("rotations of another family", other)
		}),
	familyOf("replay", "If Secret is Previous and GraceEnds is after now, nothing changes. GraceEnds is that of the first use.",
		func(s families) {
			s.create(draft("a"), time.Hour)
			want := s.rotate("the newest token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			for _, grace := range []time.Duration{time.Minute, time.Hour, 0} {
				got := s.rotate("the token before", "a", present("a", 1, 9, grace), refresh.Replayed)
				s.same("replayed", got, want)
			}
		}),
	familyOf("replay after the grace", "If GraceEnds is not after now, a Secret that is Previous is reused, and the family ends. No replay moves GraceEnds.",
		func(s families) {
			s.create(draft("a"), time.Hour)
			want := s.rotate("the newest token", "a", present("a", 1, 2, 150*time.Millisecond), refresh.Rotated)
			_, outcome, err := s.store.Rotate(s.Context(), "a", present("a", 1, 3, time.Hour))
			s.Good(err)
			if outcome == refresh.Reused { // where the engine is very slow
				return
			}
			s.until("a", want.GraceEnds)
			s.ended("replayed after the grace", s.rotate("the token before", "a", present("a", 1, 9, time.Hour), refresh.Reused), want)
		}),
	familyOf("no grace", "If GraceEnds is not after now, a Secret that is Previous is reused: without grace at once.",
		func(s families) {
			s.create(draft("a"), time.Hour)
			want := s.rotate("the newest token", "a", present("a", 1, 2, 0), refresh.Rotated)
			s.ended("replayed", s.rotate("the token before", "a", present("a", 1, 3, time.Minute), refresh.Reused), want)
		}),
	familyOf("reuse after the successor", "A Secret that is neither Current nor Previous is reused, and the family ends: its successor was used, whatever is left of the grace.",
		func(s families) {
			s.create(draft("a"), time.Hour)
			s.rotate("the first token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			want := s.rotate("the second token", "a", present("a", 2, 3, time.Minute), refresh.Rotated)
			s.ended("reused", s.rotate("the first token again", "a", present("a", 1, 4, time.Minute), refresh.Reused), want)
		}),
	familyOf("reuse of what never was", "A Secret that is neither Current nor Previous is reused, and the family ends.",
		func(s families) {
			other := s.create(draft("b"), time.Hour)
			want := s.create(draft("a"), time.Hour)
			s.ended("of the first token", s.rotate("no token", "a", present("a", 7, 8, time.Minute), refresh.Reused), want)
			// A hash that was never set is no token.
			want = s.create(draft("c"), time.Hour)
			p := present("c", 1, 2, time.Minute)
			p.Secret = refresh.Hash{}
			s.ended("of zero", s.rotate("a secret of zeros", "c", p, refresh.Reused), want)
			s.unchanged("the end of another family", other)
		}),
	familyOf("another client", "If Client is not the family's the token is reused, and the family ends, also where the token is Current, or Previous within the grace.",
		func(s families) {
			for i, client := range []string{"", "Client", "client ", "clien", "other"} {
				id := string(rune('a' + i))
				want := s.create(draft(id), time.Hour)
				p := present(id, 1, 2, time.Minute)
				if i%2 == 1 {
					want = s.rotate("the newest token", id, p, refresh.Rotated)
					p = present(id, 1+i/3, 3, time.Minute) // 1 is Previous, 2 Current
				}
				p.Client = client
				s.ended("presented by another", s.rotate("of another client", id, p, refresh.Reused), want)
			}
		}),
	familyOf("wrong key", "Rotate returns ErrFamilyNotFound if Key is not the family's own, and then changes nothing.",
		func(s families) {
			want := s.create(draft("a"), time.Hour)
			s.create(draft("b"), time.Hour)
			try := func(what string, p refresh.Presentation) {
				for _, key := range []refresh.Hash{{}, hashOf("a", 9), hashOf("b", 0), p.Secret} {
					p.Key = key
					_, _, err := s.store.Rotate(s.Context(), "a", p)
					s.notFound(what, err)
					s.unchanged(what, want)
				}
			}
			try("the newest token", present("a", 1, 2, time.Minute))
			try("a token that never was", present("a", 7, 2, time.Minute))
			foreign := present("a", 1, 2, time.Minute)
			foreign.Client = "other"
			try("the newest token of another client", foreign)
			want = s.rotate("the newest token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			try("the token before", present("a", 1, 3, time.Minute))
			ended, err := s.store.Revoke(s.Context(), "a")
			s.Good(err)
			want = ended
			try("the newest token of a family that has ended", present("a", 2, 3, time.Minute))
		}),
	familyOf("over", "If Ended is set, Rotate is FamilyOver and nothing changes.",
		func(s families) {
			s.create(draft("a"), time.Hour)
			s.rotate("the newest token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			want, err := s.store.Revoke(s.Context(), "a")
			s.Good(err)
			s.until("a", want.Revoked)
			foreign := present("a", 2, 4, time.Minute)
			foreign.Client = "other"
			for what, p := range map[string]refresh.Presentation{
				"the newest token": present("a", 2, 4, time.Minute), "the token before": present("a", 1, 4, time.Minute),
				"no token": present("a", 9, 4, time.Minute), "another client": foreign,
			} {
				s.same(what, s.rotate(what, "a", p, refresh.Revoked), want)
			}
		}),
	familyOf("expired", "If Expires is not after now, Rotate is FamilyOver and nothing changes; or the record is removed.",
		func(s families) {
			want := s.create(draft("a"), 120*time.Millisecond)
			clock := s.create(draft("clock"), time.Hour)
			s.until(clock.ID, want.Expires)
			for what, p := range map[string]refresh.Presentation{
				"the newest token": present("a", 1, 2, time.Minute), "no token": present("a", 9, 2, time.Minute),
			} {
				got, outcome, err := s.store.Rotate(s.Context(), "a", p)
				if errors.Is(err, refresh.ErrNotFound) {
					continue
				}
				s.Good(err)
				if outcome != refresh.Expired {
					s.Failf("%s: is %q", what, outcome)
				}
				s.same(what, got, want)
			}
		}),
}
