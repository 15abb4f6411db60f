// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// rotation is one without a condition, with grace and a cap to spare.
func rotation(id string, n int) apikey.Rotation {
	return apikey.Rotation{Current: hashOf(id, n), Grace: time.Minute, MaxLifetime: 24 * time.Hour}
}

func isStateError(err error) bool {
	return errors.Is(err, apikey.ErrNotFound) || errors.Is(err, apikey.ErrConflict)
}

func (s suite) notFound(what string, call func() error) {
	s.Helper()
	if err := call(); !errors.Is(err, apikey.ErrNotFound) {
		s.Failf("%s: error %v, want ErrNotFound", what, err)
	}
}

func (s suite) conflict(what string, call func() error) {
	s.Helper()
	if err := call(); !errors.Is(err, apikey.ErrConflict) {
		s.Failf("%s: error %v, want ErrConflict", what, err)
	}
}

var changeRules = []rule{
	{
		"rotate", "Current becomes Previous; GraceEnds is the earlier of Expires and now + Grace; Expires is now + the smaller of Lifetime and MaxLifetime; Generation grows by one; all else stays.",
		func(s suite, store apikey.Store) {
			// The older secret ends with the second rotation, and the grace of
			// the third is longer than its secret had to live.
			for _, step := range []struct {
				name               string
				grace, maxLifetime time.Duration
			}{
				{"with grace", time.Minute, 24 * time.Hour},
				{"during grace", time.Second, 24 * time.Hour},
				{"grace beyond the end", 48 * time.Hour, 24 * time.Hour},
				{"without grace", 0, 24 * time.Hour},
				{"capped", time.Minute, time.Minute},
				{"grace beyond the capped end", time.Hour, 24 * time.Hour},
			} {
				id := keyID(1)
				old, err := store.Find(s.Context(), id)
				if err != nil {
					old = s.create(store, draft(id))
				}
				current := hashOf(id, int(old.Generation)+1)
				got, err := store.Rotate(s.Context(), id, apikey.Rotation{
					Current: current, Grace: step.grace, MaxLifetime: step.maxLifetime, Generation: old.Generation,
				})
				must(s, got, err)
				want := old
				want.Previous, want.Current = old.Current, current
				want.Rotated = got.AsOf
				want.GraceEnds = got.AsOf.Add(step.grace)
				if want.GraceEnds.After(old.Expires) {
					want.GraceEnds = old.Expires
				}
				want.Expires = got.AsOf.Add(min(time.Hour, step.maxLifetime))
				want.Generation++
				s.same(step.name+", returned", got, want)
				s.same(step.name+", found", s.find(store, id), want)
			}
		},
	},
	{
		"rotate refused", "Rotate returns ErrNotFound, or ErrConflict if the key is revoked, expired or of another Generation, and then changes nothing.",
		func(s suite, store apikey.Store) {
			rotate := func(id string, generation int64) func() error {
				return func() error {
					r := rotation(id, 5)
					r.Generation = generation
					_, err := store.Rotate(s.Context(), id, r)
					return err
				}
			}
			s.notFound("an unknown id", rotate(keyID(9), 0))
			s.notFound("an unknown id, of a generation", rotate(keyID(9), 1))

			r := s.create(store, draft(keyID(1)))
			s.conflict("a later generation", rotate(r.ID, 2))
			s.unchanged(store, r)
			rotated, err := store.Rotate(s.Context(), r.ID, rotation(r.ID, 2))
			must(s, rotated, err)
			s.conflict("an earlier generation", rotate(r.ID, 1))
			s.unchanged(store, rotated)

			short := draft(keyID(2))
			short.Lifetime = 20 * time.Millisecond
			expired := s.create(store, short)
			s.until(store, expired.ID, expired.Expires)
			s.conflict("an expired key", rotate(expired.ID, 0))
			s.conflict("an expired key, of its generation", rotate(expired.ID, 1))
			s.unchanged(store, expired)

			revoked, err := store.Revoke(s.Context(), r.ID)
			must(s, revoked, err)
			s.conflict("a revoked key", rotate(r.ID, 0))
			s.conflict("a revoked key, of its generation", rotate(r.ID, 2))
			s.unchanged(store, revoked)
		},
	},
	{
		"rotate what is used and suspended", "Rotation leaves all else as it is, usage and suspension too.",
		func(s suite, store apikey.Store) {
			r := s.create(store, draft(keyID(1)))
			written, err := store.Touch(s.Context(), r.ID, 5, 0)
			must(s, written, err)
			old, err := store.Suspend(s.Context(), r.ID, true)
			must(s, old, err)
			got, err := store.Rotate(s.Context(), r.ID, rotation(r.ID, 2))
			must(s, got, err)
			if !got.Suspended.Equal(old.Suspended) || !got.LastUsed.Equal(old.LastUsed) || got.Uses != 5 {
				s.Failf("rotated %+v\n  into %+v", old, got)
			}
		},
	},
	{
		"revoke", "Revoke sets Revoked to now if it is zero, and leaves it otherwise. There is no way back.",
		func(s suite, store apikey.Store) {
			s.notFound("an unknown id", func() error { _, err := store.Revoke(s.Context(), keyID(9)); return err })
			other := s.create(store, draft(keyID(2)))
			r := s.create(store, draft(keyID(1)))
			rotated, err := store.Rotate(s.Context(), r.ID, rotation(r.ID, 2))
			want := must(s, rotated, err)
			got, err := store.Revoke(s.Context(), r.ID)
			must(s, got, err)
			want.Revoked = got.AsOf
			s.same("returned", got, want)
			s.same("found", s.find(store, r.ID), want)
			s.until(store, r.ID, want.Revoked)
			again, err := store.Revoke(s.Context(), r.ID)
			s.same("revoked again", must(s, again, err), want)
			s.unchanged(store, other)

			for name, call := range map[string]func() error{
				"suspend": func() error { _, err := store.Suspend(s.Context(), r.ID, true); return err },
				"resume":  func() error { _, err := store.Suspend(s.Context(), r.ID, false); return err },
				"touch":   func() error { _, err := store.Touch(s.Context(), r.ID, 1, 0); return err },
			} {
				if err := call(); err != nil {
					s.Failf("%s of a revoked key: %v", name, err)
				}
				if got := s.find(store, r.ID); !got.Revoked.Equal(want.Revoked) {
					s.Failf("after %s Revoked is %v, was %v", name, got.Revoked, want.Revoked)
				}
			}
			if _, err := store.Create(s.Context(), draft(r.ID)); err == nil {
				s.Failf("the id of a revoked key was given again")
			}
		},
	},
	{
		"revoke expired", "Revoke sets Revoked also of a key that is over.",
		func(s suite, store apikey.Store) {
			short := draft(keyID(1))
			short.Lifetime = 10 * time.Millisecond
			r := s.create(store, short)
			s.until(store, r.ID, r.Expires)
			got, err := store.Revoke(s.Context(), r.ID)
			if must(s, got, err); got.Revoked.IsZero() {
				s.Failf("an expired key was not revoked")
			}
		},
	},
	{
		"suspend", "Suspend sets Suspended to now if on is true and it is zero, and to zero if on is false.",
		func(s suite, store apikey.Store) {
			s.notFound("an unknown id", func() error { _, err := store.Suspend(s.Context(), keyID(9), true); return err })
			s.notFound("an unknown id, off", func() error { _, err := store.Suspend(s.Context(), keyID(9), false); return err })
			other := s.create(store, draft(keyID(2)))
			want := s.create(store, draft(keyID(1)))
			got, err := store.Suspend(s.Context(), want.ID, false)
			s.same("resumed, never suspended", must(s, got, err), want)
			got, err = store.Suspend(s.Context(), want.ID, true)
			must(s, got, err)
			want.Suspended = got.AsOf
			s.same("suspended", got, want)
			s.same("found", s.find(store, want.ID), want)
			s.until(store, want.ID, want.Suspended)
			got, err = store.Suspend(s.Context(), want.ID, true)
			s.same("suspended again", must(s, got, err), want)
			got, err = store.Suspend(s.Context(), want.ID, false)
			want.Suspended = time.Time{}
			s.same("resumed", must(s, got, err), want)
			s.same("found", s.find(store, want.ID), want)
			s.unchanged(store, other)
		},
	},
	{
		"touch", "Touch sets LastUsed to now and adds to Uses, but only if LastUsed is zero or at least every before now. For an id that does not exist it reports false.",
		func(s suite, store apikey.Store) {
			touch := func(id string, uses int64, every time.Duration) bool {
				s.Helper()
				written, err := store.Touch(s.Context(), id, uses, every)
				return must(s, written, err)
			}
			if touch(keyID(9), 1, 0) {
				s.Failf("an unknown id was touched")
			}
			s.notFound("a touched unknown id", func() error { _, err := store.Find(s.Context(), keyID(9)); return err })
			want := s.create(store, draft(keyID(1)))
			other := s.create(store, draft(keyID(2)))
			if !touch(want.ID, 3, time.Hour) {
				s.Failf("the first touch was not written")
			}
			got := s.find(store, want.ID)
			if got.LastUsed.IsZero() || got.LastUsed.Before(want.Created) || got.LastUsed.After(got.AsOf) {
				s.Failf("LastUsed is %v", got.LastUsed)
			}
			want.LastUsed, want.Uses = got.LastUsed, 3
			s.same("touched", got, want)
			if touch(want.ID, 4, time.Hour) {
				s.Failf("a second touch within the hour was written")
			}
			s.unchanged(store, want)
			s.until(store, want.ID, want.LastUsed.Add(20*time.Millisecond))
			if !touch(want.ID, 1<<40, 20*time.Millisecond) {
				s.Failf("a touch after the pause was not written")
			}
			got = s.find(store, want.ID)
			if !got.LastUsed.After(want.LastUsed) || got.Uses != 3+1<<40 {
				s.Failf("LastUsed is %v, was %v; Uses is %d", got.LastUsed, want.LastUsed, got.Uses)
			}
			s.unchanged(store, other)
		},
	},
}
