// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

func isStateError(err error) bool {
	return errors.Is(err, apikey.ErrNotFound) || errors.Is(err, apikey.ErrConflict)
}

var changeRules = []rule{
	{
		"rotate", "Rotate moves Current to Previous. GraceEnds becomes the earlier of Expires and now + Grace, Expires becomes now + the smaller of Lifetime and MaxLifetime, Generation is incremented, and all other fields stay.",
		func(s suite) {
			want := s.create(draft(keyID(1)))
			for _, step := range []struct {
				name               string
				grace, maxLifetime time.Duration
			}{
				{"with grace", time.Minute, 24 * time.Hour},
				{"during grace", time.Second, 24 * time.Hour},
				{"grace beyond Expires", 48 * time.Hour, 24 * time.Hour},
				{"without grace", 0, 24 * time.Hour},
				{"MaxLifetime below Lifetime", time.Minute, time.Minute},
				{"grace beyond the shorter lifetime", time.Hour, 24 * time.Hour},
			} {
				current := hashOf(want.ID, int(want.Generation)+1)
				got := s.rotate(want.ID, apikey.Rotation{
					Current: current, Grace: step.grace, MaxLifetime: step.maxLifetime, Generation: want.Generation,
				})
				want.Previous, want.Current, want.Rotated = want.Current, current, got.AsOf
				want.GraceEnds = got.AsOf.Add(step.grace)
				if want.GraceEnds.After(want.Expires) {
					want.GraceEnds = want.Expires
				}
				want.Expires = got.AsOf.Add(min(time.Hour, step.maxLifetime))
				want.Generation++
				s.same("Rotate "+step.name, got, want)
				s.same("Find after Rotate "+step.name, s.find(want.ID), want)
			}
		},
	},
	{
		"rotate conflict", "Rotate returns ErrNotFound, or ErrConflict if the key is revoked, expired or of another Generation, and then changes nothing.",
		func(s suite) {
			rotate := func(what, id string, generation int64, want error) {
				s.Helper()
				r := rotation(id, 5)
				r.Generation = generation
				_, err := s.store.Rotate(s.Context(), id, r)
				s.fails("Rotate, "+what, err, want)
			}
			rotate("unknown ID", keyID(9), 0, apikey.ErrNotFound)
			rotate("unknown ID with a generation", keyID(9), 1, apikey.ErrNotFound)

			r := s.create(draft(keyID(1)))
			rotate("later generation", r.ID, 2, apikey.ErrConflict)
			s.unchanged(r)
			rotated := s.rotate(r.ID, rotation(r.ID, 2))
			rotate("earlier generation", r.ID, 1, apikey.ErrConflict)
			s.unchanged(rotated)

			expired := s.create(short(keyID(2)))
			s.until(expired.ID, expired.Expires)
			rotate("expired key", expired.ID, 0, apikey.ErrConflict)
			rotate("expired key with its generation", expired.ID, 1, apikey.ErrConflict)
			s.unchanged(expired)

			revoked := s.revoke(r.ID)
			rotate("revoked key", r.ID, 0, apikey.ErrConflict)
			rotate("revoked key with its generation", r.ID, 2, apikey.ErrConflict)
			s.unchanged(revoked)
		},
	},
	{
		"rotate keeps usage and suspension", "Rotate does not change LastUsed, Uses and Suspended.",
		func(s suite) {
			r := s.create(draft(keyID(1)))
			s.touch(r.ID, 5, 0)
			old := s.suspend(r.ID, true)
			got := s.rotate(r.ID, rotation(r.ID, 2))
			if !got.Suspended.Equal(old.Suspended) || !got.LastUsed.Equal(old.LastUsed) || got.Uses != 5 {
				s.Failf("Rotate: Suspended = %v, LastUsed = %v, Uses = %d, want %v, %v, 5", got.Suspended, got.LastUsed, got.Uses, old.Suspended, old.LastUsed)
			}
		},
	},
	{
		"revoke", "Revoke sets Revoked to now if it is zero. Nothing resets it.",
		func(s suite) {
			_, err := s.store.Revoke(s.Context(), keyID(9))
			s.fails("Revoke(unknown ID)", err, apikey.ErrNotFound)
			other := s.create(draft(keyID(2)))
			id := s.create(draft(keyID(1))).ID
			want := s.rotate(id, rotation(id, 2))
			got := s.revoke(id)
			want.Revoked = got.AsOf
			s.same("Revoke", got, want)
			s.same("Find", s.find(id), want)
			s.until(id, want.Revoked)
			s.same("Revoke, again", s.revoke(id), want)
			s.unchanged(other)

			for name, call := range map[string]func() error{
				"Suspend": func() error { _, err := s.store.Suspend(s.Context(), id, true); return err },
				"Resume":  func() error { _, err := s.store.Suspend(s.Context(), id, false); return err },
				"Touch":   func() error { _, err := s.store.Touch(s.Context(), id, 1, 0); return err },
			} {
				err := call()
				if got := s.find(id); err != nil || !got.Revoked.Equal(want.Revoked) {
					s.Failf("%s of a revoked key: error = %v, Revoked = %v, want %v", name, err, got.Revoked, want.Revoked)
				}
			}
			if _, err := s.store.Create(s.Context(), draft(id)); err == nil {
				s.Failf("Create(ID of a revoked key): error = nil, want one")
			}
		},
	},
	{
		"revoke expired", "Revoke sets Revoked of an expired key too.",
		func(s suite) {
			r := s.create(short(keyID(1)))
			s.until(r.ID, r.Expires)
			if got := s.revoke(r.ID); got.Revoked.IsZero() {
				s.Failf("Revoke(expired key): Revoked is zero, want now")
			}
		},
	},
	{
		"suspend", "Suspend sets Suspended to now if on is true and it is zero, and to zero if on is false.",
		func(s suite) {
			for _, on := range []bool{true, false} {
				_, err := s.store.Suspend(s.Context(), keyID(9), on)
				s.fails("Suspend(unknown ID)", err, apikey.ErrNotFound)
			}
			other := s.create(draft(keyID(2)))
			want := s.create(draft(keyID(1)))
			s.same("resume of a key that is not suspended", s.suspend(want.ID, false), want)
			got := s.suspend(want.ID, true)
			want.Suspended = got.AsOf
			s.same("Suspend", got, want)
			s.same("Find", s.find(want.ID), want)
			s.until(want.ID, want.Suspended)
			s.same("Suspend, again", s.suspend(want.ID, true), want)
			got = s.suspend(want.ID, false)
			want.Suspended = time.Time{}
			s.same("resume", got, want)
			s.same("Find after resume", s.find(want.ID), want)
			s.unchanged(other)
		},
	},
	{
		"touch", "Touch sets LastUsed to now and adds uses to Uses, but only if LastUsed is zero or at least every before now. For an ID that does not exist it reports false.",
		func(s suite) {
			touch := func(what, id string, uses int64, every time.Duration, want bool) {
				s.Helper()
				if got := s.touch(id, uses, every); got != want {
					s.Failf("Touch, %s = %t, want %t", what, got, want)
				}
			}
			touch("unknown ID", keyID(9), 1, 0, false)
			_, err := s.store.Find(s.Context(), keyID(9))
			s.fails("Find(touched unknown ID)", err, apikey.ErrNotFound)
			want := s.create(draft(keyID(1)))
			other := s.create(draft(keyID(2)))
			touch("first", want.ID, 3, time.Hour, true)
			got := s.find(want.ID)
			if got.LastUsed.IsZero() || got.LastUsed.Before(want.Created) || got.LastUsed.After(got.AsOf) {
				s.Failf("LastUsed = %v, want %v to %v", got.LastUsed, want.Created, got.AsOf)
			}
			want.LastUsed, want.Uses = got.LastUsed, 3
			s.same("Touch", got, want)
			touch("before the hour has passed", want.ID, 4, time.Hour, false)
			s.unchanged(want)
			s.until(want.ID, want.LastUsed.Add(20*time.Millisecond))
			touch("after 20 ms have passed", want.ID, 1<<40, 20*time.Millisecond, true)
			if got = s.find(want.ID); !got.LastUsed.After(want.LastUsed) || got.Uses != 3+1<<40 {
				s.Failf("LastUsed = %v, Uses = %d, want after %v, %d", got.LastUsed, got.Uses, want.LastUsed, int64(3+1<<40))
			}
			s.unchanged(other)
		},
	},
}
