// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// createKeys creates keys of tenant t. Each one lives longer than the one before by
// step.
func createKeys(t *testing.T, keys apikey.Store, step time.Duration, ids ...string) {
	t.Helper()
	for i, id := range ids {
		r := apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Tenant: "t", Lifetime: 24*time.Hour + time.Duration(i)*step}}
		if _, err := keys.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// A statement that waited for a lock uses the newest row and the time after the
// wait.
func TestPostgresStatementsAfterLock(t *testing.T) {
	t.Parallel()
	s, db := migrated(t, "pgx", enginetest.SharedPostgres(t).Database(t))
	rotate := func(s apikey.Store) ([]apikey.Record, error) {
		r, err := s.Rotate(t.Context(), "a", apikey.Rotation{MaxLifetime: time.Hour})
		return []apikey.Record{r}, err
	}
	for _, test := range []struct {
		name, change string
		call         func(apikey.Store) ([]apikey.Record, error)
		want         error
		delay        time.Duration
	}{
		{name: "rotate", change: "SET owner = 'p'", call: rotate},
		{name: "revoke", change: "SET owner = 'p'", call: func(s apikey.Store) ([]apikey.Record, error) {
			r, err := s.Revoke(t.Context(), "a")
			return []apikey.Record{r}, err
		}},
		{name: "suspend", change: "SET owner = 'p'", call: func(s apikey.Store) ([]apikey.Record, error) {
			r, err := s.Suspend(t.Context(), "a", true)
			return []apikey.Record{r}, err
		}},
		{name: "rotate revoked", change: "SET revoked = clock_timestamp()", call: rotate, want: apikey.ErrConflict},
		{name: "rotate expired", change: "SET expires = clock_timestamp()", call: rotate, want: apikey.ErrConflict},
		{name: "rotate expiring", change: "SET expires = clock_timestamp() + interval '200 milliseconds'", call: rotate, want: apikey.ErrConflict, delay: 300 * time.Millisecond},
		// Fewer records than the limit would mean that no key is left. The two that are
		// left are last in the order of creation and in that of expiry.
		{name: "revoke all", change: "SET revoked = clock_timestamp(), owner = 'q' WHERE id NOT IN ('e', 'f')", call: func(s apikey.Store) ([]apikey.Record, error) {
			records, err := s.RevokeAll(t.Context(), apikey.Filter{Tenant: "t"}, 2)
			if len(records) != 2 {
				t.Errorf("RevokeAll(limit 2) returned %d records, want the 2 that were left", len(records))
			}
			return records, err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			execute(t, db, "DELETE FROM gatehouse_apikeys")
			createKeys(t, s.APIKeys(), time.Hour, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
			var records []apikey.Record
			var err error
			before := whileLocked(t, db, "UPDATE gatehouse_apikeys "+test.change, test.delay, func() { records, err = test.call(s.APIKeys()) })
			if err != test.want {
				t.Fatalf("error = %v, want %v", err, test.want)
			}
			for _, r := range records {
				if test.want != nil {
					continue
				}
				for _, at := range []time.Time{r.AsOf, r.Rotated, r.Revoked, r.Suspended} {
					if at.After(r.Created) && at.Before(before) {
						t.Errorf("key %s: time = %v, want none before %v, when the statement waited", r.ID, at, before)
					}
				}
				if r.AsOf.Before(before) || r.Owner == "q" || r.ID == "a" && r.Owner != "p" {
					t.Errorf("key %s: AsOf = %v, owner %q, want %v or later and the newest row", r.ID, r.AsOf, r.Owner, before)
				}
			}
		})
	}
}

// Bulk revocations that lock rows in different orders do not deadlock.
func TestPostgresRevokeAllDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	// The query plan decides on the order: by expiry with this one, by creation,
	// which is the reverse, with the other.
	db := open(t, "pgx", url+"&enable_seqscan=off&enable_bitmapscan=off")
	other := newStore(t, open(t, "pgx", url+"&enable_indexscan=off&enable_bitmapscan=off")).APIKeys()
	s := newStore(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := s.APIKeys()
	createKeys(t, keys, -time.Hour, "a", "b", "c", "d", "e", "f", "g", "h", "i")
	revokeAll := func(keys *sqlstore.APIKeys) func() (int, error) {
		return func() (int, error) {
			records, err := keys.RevokeAll(t.Context(), apikey.Filter{Tenant: "t"}, 100)
			return len(records), err
		}
	}
	doNotDeadlock(t, db, "UPDATE gatehouse_apikeys SET uses = 1 WHERE id = 'e'", revokeAll(keys), revokeAll(other))
}

// The methods need no right but SELECT, INSERT, UPDATE and DELETE.
func TestPostgresLeastPrivilege(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	_, db := migrated(t, "pgx", url)
	execute(t, db, "CREATE ROLE apikeys_app", "GRANT SELECT, INSERT, UPDATE, DELETE ON gatehouse_apikeys TO apikeys_app")
	app := newStore(t, open(t, "pgx", url+"&role=apikeys_app"))
	if err := app.Migrate(t.Context()); err == nil {
		t.Error("Migrate error = nil, want one: the role has too many rights for this test")
	}
	keys, ctx, all := app.APIKeys(), t.Context(), apikey.Filter{AnyTenant: true}
	for name, call := range map[string]func(id string) error{
		"find": func(id string) error { _, err := keys.Find(ctx, id); return err },
		"rotate": func(id string) error {
			_, err := keys.Rotate(ctx, id, apikey.Rotation{MaxLifetime: time.Hour})
			return err
		},
		"revoke":     func(id string) error { _, err := keys.Revoke(ctx, id); return err },
		"suspend":    func(id string) error { _, err := keys.Suspend(ctx, id, true); return err },
		"resume":     func(id string) error { _, err := keys.Suspend(ctx, id, false); return err },
		"touch":      func(id string) error { _, err := keys.Touch(ctx, id, 1, 0); return err },
		"revoke all": func(string) error { _, err := keys.RevokeAll(ctx, all, 1); return err },
		"delete": func(id string) error {
			_, err := keys.Revoke(ctx, id)
			return errors.Join(err, keys.Delete(ctx, id))
		},
		"import": func(id string) error {
			r, err := keys.Find(ctx, id)
			if err == nil {
				r.Generation++
				_, err = keys.Import(ctx, r)
			}
			return err
		},
		"list": func(string) error { _, err := keys.List(ctx, apikey.Query{Filter: all, Limit: 1}); return err },
	} {
		createKeys(t, keys, 0, name)
		if err := call(name); err != nil {
			t.Errorf("%s: error = %v, want nil", name, err)
		}
	}
}
