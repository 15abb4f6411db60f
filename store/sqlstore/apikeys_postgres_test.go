// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// waits waits until as many sessions wait for a lock.
func waits(t *testing.T, db *sql.DB, sessions int) {
	t.Helper()
	enginetest.Eventually(t, time.Minute, fmt.Sprintf("%d sessions wait", sessions), func() bool {
		var n int
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&n)
		return err == nil && n == sessions
	})
}

// A statement that had to wait decides by what it then finds, and by the time
// that it then is.
func TestWaitingPostgres(t *testing.T) {
	server := enginetest.SharedPostgres(t)
	setup := func(t *testing.T, ids ...string) (*sql.DB, apikey.Store) {
		db := open(t, "pgx", server.Database(t))
		s := newStore(t, db)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			if _, err := s.APIKeys().Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Tenant: "t", Lifetime: time.Duration(i+1) * time.Hour}}); err != nil {
				t.Fatal(err)
			}
		}
		return db, s.APIKeys()
	}
	hold := func(t *testing.T, db *sql.DB, change string) (release func()) {
		t.Helper()
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		return func() {
			t.Helper()
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	now := func(t *testing.T, db *sql.DB) (now time.Time) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT clock_timestamp()").Scan(&now); err != nil {
			t.Fatal(err)
		}
		return now
	}

	type result struct {
		r   apikey.Record
		err error
	}
	for name, call := range map[string]func(apikey.Store) (apikey.Record, error){
		"rotate": func(s apikey.Store) (apikey.Record, error) {
			return s.Rotate(t.Context(), "a", apikey.Rotation{MaxLifetime: time.Hour})
		},
		"revoke":  func(s apikey.Store) (apikey.Record, error) { return s.Revoke(t.Context(), "a") },
		"suspend": func(s apikey.Store) (apikey.Record, error) { return s.Suspend(t.Context(), "a", true) },
	} {
		t.Run("time of "+name, func(t *testing.T) {
			db, s := setup(t, "a")
			release := hold(t, db, "UPDATE gatehouse_apikeys SET owner = 'p'")
			done := make(chan result, 1)
			go func() {
				r, err := call(s)
				done <- result{r, err}
			}()
			waits(t, db, 1)
			before := now(t, db)
			release()
			got := <-done
			if got.err != nil || got.r.Owner != "p" {
				t.Fatalf("%+v, %v", got.r, got.err)
			}
			for _, at := range []time.Time{got.r.Rotated, got.r.Revoked, got.r.Suspended} {
				if at.After(got.r.Created) && at.Before(before) {
					t.Errorf("happened at %v, when it still waited at %v", at, before)
				}
			}
			if got.r.AsOf.Before(before) {
				t.Errorf("AsOf %v, when it still waited at %v", got.r.AsOf, before)
			}
		})
	}
	for name, change := range map[string]string{
		"revoked":           "UPDATE gatehouse_apikeys SET revoked = clock_timestamp()",
		"expired":           "UPDATE gatehouse_apikeys SET expires = clock_timestamp()",
		"expires meanwhile": "UPDATE gatehouse_apikeys SET expires = clock_timestamp() + interval '200 milliseconds'",
	} {
		t.Run("rotate, "+name, func(t *testing.T) {
			db, s := setup(t, "a")
			release := hold(t, db, change)
			done := make(chan error, 1)
			go func() {
				_, err := s.Rotate(t.Context(), "a", apikey.Rotation{MaxLifetime: time.Hour})
				done <- err
			}()
			waits(t, db, 1)
			end := now(t, db).Add(300 * time.Millisecond)
			enginetest.Eventually(t, time.Minute, "it is over", func() bool { return now(t, db).After(end) })
			release()
			if err := <-done; err != apikey.ErrConflict {
				t.Errorf("error %v, want ErrConflict", err)
			}
		})
	}

	// Fewer than limit would mean that none were left.
	t.Run("revoke all", func(t *testing.T) {
		db, s := setup(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
		release := hold(t, db, "UPDATE gatehouse_apikeys SET revoked = clock_timestamp() WHERE id < 'i'")
		done := make(chan []apikey.Record, 1)
		go func() {
			records, err := s.RevokeAll(t.Context(), apikey.Filter{Tenant: "t"}, 2)
			if err != nil {
				t.Error(err)
			}
			done <- records
		}()
		waits(t, db, 1)
		before := now(t, db)
		release()
		records := <-done
		if len(records) != 2 {
			t.Errorf("%d records, where 2 were left", len(records))
		}
		for _, r := range records {
			if r.ID < "i" || r.Revoked.Before(before) || r.AsOf.Before(before) {
				t.Errorf("revoked %s at %v, when it still waited at %v", r.ID, r.Revoked, before)
			}
		}
	})
}

// Bulk revocations that meet each other in different orders do not wait for
// each other in a ring.
func TestRevokeAllTakesTurns(t *testing.T) {
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	// How a question is gone about decides on the order: here by expiry, there
	// by creation, which is the reverse.
	db := open(t, "pgx", url+"&enable_seqscan=off&enable_bitmapscan=off")
	other := newStore(t, open(t, "pgx", url+"&enable_indexscan=off&enable_bitmapscan=off")).APIKeys()
	s := newStore(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := s.APIKeys()
	for i := range 9 {
		if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{
			ID: string(rune('a' + i)), Owner: "o", Tenant: "t", Lifetime: time.Duration(9-i) * time.Hour,
		}}); err != nil {
			t.Fatal(err)
		}
	}
	// One comes from the first and one from the last, and in the middle they
	// both have to wait. Each then holds what the other one wants.
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE gatehouse_apikeys SET uses = 1 WHERE id = 'e'"); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	var revoked atomic.Int64
	for i, keys := range []*sqlstore.APIKeys{keys, other} {
		both.Go(func() {
			records, err := keys.RevokeAll(t.Context(), apikey.Filter{Tenant: "t"}, 100)
			if err != nil {
				t.Error(err)
			}
			revoked.Add(int64(len(records)))
		})
		waits(t, db, i+1)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	both.Wait()
	if n := revoked.Load(); n != 9 {
		t.Errorf("%d keys were revoked", n)
	}
}

// What serves requests needs no right to make or drop anything.
func TestLeastPrivilege(t *testing.T) {
	server := enginetest.StartPostgres(t)
	url := server.Database(t)
	db := open(t, "pgx", url)
	if err := newStore(t, db).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE ROLE app", "GRANT SELECT, INSERT, UPDATE ON gatehouse_apikeys TO app", "GRANT SELECT ON gatehouse_migrations TO app",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	app := newStore(t, open(t, "pgx", url+"&role=app"))
	if err := app.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := app.Migrate(t.Context()); err == nil {
		t.Error("the role may migrate, so this shows nothing")
	}
	keys := app.APIKeys()
	for name, call := range map[string]func(id string) error{
		"find": func(id string) error { _, err := keys.Find(t.Context(), id); return err },
		"rotate": func(id string) error {
			_, err := keys.Rotate(t.Context(), id, apikey.Rotation{MaxLifetime: time.Hour})
			return err
		},
		"revoke":  func(id string) error { _, err := keys.Revoke(t.Context(), id); return err },
		"suspend": func(id string) error { _, err := keys.Suspend(t.Context(), id, true); return err },
		"resume":  func(id string) error { _, err := keys.Suspend(t.Context(), id, false); return err },
		"touch":   func(id string) error { _, err := keys.Touch(t.Context(), id, 1, 0); return err },
		"revoke all": func(string) error {
			_, err := keys.RevokeAll(t.Context(), apikey.Filter{AnyTenant: true}, 1)
			return err
		},
		"list": func(string) error {
			_, err := keys.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 1})
			return err
		},
	} {
		if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: name, Owner: "o", Lifetime: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		if err := call(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
