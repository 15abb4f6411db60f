// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

func (s suite) imports(r apikey.Record) apikey.Record {
	s.Helper()
	got, err := s.store.Import(s.Context(), r)
	return good(s, got, err)
}

// foreign is a record of another store, with all fields set.
func (s suite) foreign(id string) apikey.Record {
	at := func(minutes int) time.Time {
		return s.start.Add(time.Duration(minutes) * time.Minute)
	}
	r := draft(id)
	r.Created, r.Rotated, r.GraceEnds, r.Expires = at(-500), at(-300), at(200), at(300)
	r.Suspended, r.LastUsed, r.Generation, r.Uses = at(-100), at(-90), 3, 1<<40
	r.Previous = hashOf(id, 9)
	return r
}

var importRules = []rule{
	{
		"import", "Import adds a record that another Store has returned, with all its fields but AsOf.",
		func(s suite) {
			other := s.create(draft(keyID(9)))
			var all []apikey.Record
			for n, alter := range []func(*apikey.Record){
				func(*apikey.Record) {},
				func(r *apikey.Record) { r.Revoked = r.Rotated.Add(time.Second) },
				func(r *apikey.Record) {
					r.Previous, r.GraceEnds, r.Suspended, r.LastUsed, r.Uses = apikey.Hash{}, time.Time{}, time.Time{}, time.Time{}, 0
				},
			} {
				want := s.foreign(keyID(n))
				alter(&want)
				want.Created = want.Created.Add(time.Duration(n) * time.Second)
				want.AsOf = want.Created
				networks := slices.Clone(want.Networks)
				got := s.imports(want)
				s.same("Import", got, want)
				if got.AsOf.Before(other.Created) {
					s.Failf("Import: AsOf = %v, want the time of this store, after %v", got.AsOf, other.Created)
				}
				copy(want.Networks, networks[1:]) // the store must have copies
				copy(got.Networks, networks[1:])
				want.Networks = networks
				s.same("Find", s.find(want.ID), want)
				s.same("Import, again", s.imports(want), want)
				all = append(all, want)
			}
			s.unchanged(other)
			s.sameIDs("imported", s.pages(apikey.Query{Filter: anyKey, Limit: 2}), append(all, other))
			s.sameIDs("due", s.list(apikey.Query{Filter: anyKey, ExpiresWithin: 1000 * time.Hour, Limit: 9}), matchingDue(append(all, other)))
			if got := ids(s.revokeAll(anyKey, 9)); len(got) != 3 || slices.Contains(got, keyID(1)) {
				s.Failf("RevokeAll after Import revoked %v, want all but the revoked key %s", got, keyID(1))
			}
		},
	},
	{
		"import of a newer record", "If the ID exists and r.Generation is greater, the secrets, Rotated, Expires, GraceEnds and Generation become those of r. LastUsed and Uses become the greater ones. All other fields stay.",
		func(s suite) {
			old := s.imports(s.foreign(keyID(1)))
			s.create(draft(keyID(2)))
			r := s.foreign(keyID(1))
			r.Generation, r.Current, r.Previous = 4, hashOf(r.ID, 4), hashOf(r.ID, 1)
			r.Rotated, r.Expires, r.GraceEnds = r.Rotated.Add(time.Minute), r.Expires.Add(time.Minute), time.Time{}
			r.LastUsed, r.Uses = r.LastUsed.Add(time.Minute), r.Uses+1
			want := r
			r.Scopes, r.Networks, r.Metadata = apikey.Record{}.Scopes, nil, apikey.Record{}.Metadata
			r.Created, r.Lifetime = r.Created.Add(time.Minute), time.Minute
			s.same("Import", s.imports(r), want)
			s.same("Find", s.find(r.ID), want)
			r.LastUsed, r.Uses, r.Suspended = old.LastUsed, old.Uses, want.Suspended.Add(time.Minute)
			s.same("Import of less usage and a later suspension", s.imports(r), want)
			r.LastUsed, r.Uses = time.Time{}, 0
			s.same("Import without usage", s.imports(r), want)
			s.sameIDs("due, by the new expiry", s.list(apikey.Query{Filter: anyKey, ExpiresWithin: want.Expires.Sub(s.find(r.ID).AsOf) + time.Second, Limit: 1}),
				matchingDue([]apikey.Record{want, s.find(keyID(2))})[0:1])
		},
	},
	{
		"import keeps a key invalid", "Import returns ErrConflict and changes nothing if another key has the ID, or if r is not revoked and the record is revoked, or is suspended and r is not, or is rotated. It revokes and suspends.",
		func(s suite) {
			refused := func(what string, old apikey.Record, alter func(*apikey.Record)) {
				s.Helper()
				r := s.foreign(old.ID)
				alter(&r)
				_, err := s.store.Import(s.Context(), r)
				s.fails("Import, "+what, err, apikey.ErrConflict)
				s.unchanged(old)
			}
			old := s.imports(s.foreign(keyID(1)))
			for what, alter := range map[string]func(*apikey.Record){
				"another owner":               func(r *apikey.Record) { r.Owner = "other" },
				"another tenant":              func(r *apikey.Record) { r.Tenant = "" },
				"another owner and tenant":    func(r *apikey.Record) { r.Owner, r.Tenant = r.Owner+r.Tenant[:1], r.Tenant[1:] },
				"another environment":         func(r *apikey.Record) { r.Environment = "test" },
				"shorter owner":               func(r *apikey.Record) { r.Owner = r.Owner[:3] },
				"shorter tenant":              func(r *apikey.Record) { r.Tenant = r.Tenant[:3] },
				"shorter environment":         func(r *apikey.Record) { r.Environment = r.Environment[:3] },
				"another owner, revoked":      func(r *apikey.Record) { r.Owner, r.Revoked = "other", r.Rotated },
				"another owner, newer":        func(r *apikey.Record) { r.Owner, r.Generation = "other", 9 },
				"not suspended":               func(r *apikey.Record) { r.Suspended = time.Time{} },
				"not suspended, newer":        func(r *apikey.Record) { r.Suspended, r.Generation = time.Time{}, 9 },
				"older":                       func(r *apikey.Record) { r.Generation = 2 },
				"another secret":              func(r *apikey.Record) { r.Current = hashOf(r.ID, 7) },
				"another pepper":              func(r *apikey.Record) { r.Current.Pepper++ },
				"another secret, same pepper": func(r *apikey.Record) { r.Current.Sum[9]++ },
			} {
				refused(what, old, alter)
			}

			live := s.foreign(keyID(2))
			live.Suspended = time.Time{}
			s.imports(live)
			live.Suspended = live.Rotated
			s.same("Import of a suspended record", s.imports(live), live)
			live.Revoked = live.Rotated
			s.same("Import of a revoked record", s.imports(live), live)
			again := live
			again.Revoked = again.Revoked.Add(time.Minute)
			s.same("Import of a record that is revoked later", s.imports(again), live)
			live.Generation, live.Current, live.Expires = 4, hashOf(live.ID, 4), live.Expires.Add(time.Hour)
			s.same("Import of a newer, revoked record", s.imports(live), live)
			refused("not revoked", live, func(*apikey.Record) {})
			refused("not revoked, newer", live, func(r *apikey.Record) { r.Generation = 9 })
			if due := s.list(apikey.Query{Filter: anyKey, ExpiresWithin: 1000 * time.Hour, Limit: 9}); len(due) != 1 {
				s.Failf("List(due) = %v, want only the key that is not revoked", ids(due))
			}

			rotated := s.imports(s.foreign(keyID(3)))
			r := s.foreign(keyID(3))
			r.Generation, r.Current, r.Suspended, r.Revoked = 2, hashOf(r.ID, 2), time.Time{}, r.Rotated
			rotated.Revoked = r.Revoked
			s.same("Import of an older, revoked record", s.imports(r), rotated)
			r.Generation = rotated.Generation
			s.same("Import of a revoked record with another secret", s.imports(r), rotated)
			s.unchanged(rotated)
		},
	},
	{
		"delete", "Delete removes the record of a key that is revoked or expired. It returns ErrConflict for another key, and ErrNotFound.",
		func(s suite) {
			s.fails("Delete(unknown ID)", s.store.Delete(s.Context(), keyID(9)), apikey.ErrNotFound)
			live := s.create(draft(keyID(1)))
			s.fails("Delete(valid key)", s.store.Delete(s.Context(), live.ID), apikey.ErrConflict)
			s.unchanged(live)
			suspended := s.suspend(live.ID, true)
			s.fails("Delete(suspended key)", s.store.Delete(s.Context(), live.ID), apikey.ErrConflict)
			s.unchanged(suspended)

			revoked, expired := s.create(draft(keyID(2))), s.create(short(keyID(3)))
			s.revoke(revoked.ID)
			s.until(expired.ID, expired.Expires)
			for _, id := range []string{revoked.ID, expired.ID} {
				s.NoError(s.store.Delete(s.Context(), id))
				_, err := s.store.Find(s.Context(), id)
				s.fails("Find after Delete", err, apikey.ErrNotFound)
				s.fails("Delete, again", s.store.Delete(s.Context(), id), apikey.ErrNotFound)
			}
			s.sameIDs("after Delete", s.pages(apikey.Query{Filter: anyKey, Limit: 2}), []apikey.Record{live})
			s.sameIDs("after Delete, of the owner", s.list(apikey.Query{Filter: apikey.Filter{Tenant: "tenant", Owner: "owner"}, Limit: 2}), []apikey.Record{live})
			s.unchanged(suspended)
			s.create(draft(revoked.ID))
		},
	},
	{
		"retention", "Create and Import remove up to ten records whose Expires is more than Retention ago, in each call. Only these two and Delete remove records.",
		func(s suite) {
			now := s.create(draft(keyID(1))).AsOf
			ended := func(n int, ago time.Duration) apikey.Record {
				r := s.foreign(keyID(n))
				r.Expires = now.Add(-ago)
				r.Created, r.Rotated = r.Expires.Add(-2*time.Hour), r.Expires.Add(-time.Hour)
				if n%2 == 0 {
					r.Revoked = r.Rotated
				}
				return r
			}
			var kept []apikey.Record
			for n := range 4 {
				kept = append(kept, s.imports(ended(10+n, apikey.Retention-time.Hour)))
			}
			for n := range 12 {
				s.imports(ended(20+n, apikey.Retention+time.Minute))
			}
			s.imports(s.foreign(keyID(2)))
			s.create(draft(keyID(3)))
			for n := range 12 {
				_, err := s.store.Find(s.Context(), keyID(20+n))
				s.fails("Find, Retention after Expires", err, apikey.ErrNotFound)
			}
			for _, r := range kept {
				s.unchanged(r)
			}
			if got := len(s.list(apikey.Query{Filter: anyKey, Limit: 100})); got != 3+len(kept) {
				s.Failf("List returned %d records, want %d", got, 3+len(kept))
			}
		},
	},
}

// matchingDue returns the records that are not revoked, ordered by expiry.
func matchingDue(records []apikey.Record) []apikey.Record {
	due := slices.DeleteFunc(slices.Clone(records), func(r apikey.Record) bool { return !r.Revoked.IsZero() })
	slices.SortFunc(due, func(a, b apikey.Record) int { return a.Expires.Compare(b.Expires) })
	return due
}
