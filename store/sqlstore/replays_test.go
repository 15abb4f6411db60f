// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func replayKey(n int) (key [32]byte) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key
}

// A proof that was used on one server is refused by another one, also when both get
// it at the same time: see the rule "race" of the contract, here with two pools of
// connections.
func TestReplaysOfTwoServers(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		one, _ := migrated(t, driver, dsn)
		other := newStore(t, open(t, driver, dsn))
		for n := range 20 {
			results := make(chan bool, 2)
			for _, s := range []*sqlstore.Store{one, other} {
				go func() {
					inserted, err := s.Replays().Insert(t.Context(), replayKey(n), time.Minute)
					if err != nil {
						t.Errorf("Insert error = %v", err)
					}
					results <- inserted
				}()
			}
			if a, b := <-results, <-results; a == b {
				t.Fatalf("Insert of one key on two servers = %v and %v, want one true", a, b)
			}
		}
	})
}

func TestInsertingReplaysRemovesExpiredOnes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		insert := func(from, to int) {
			t.Helper()
			for n := from; n < to; n++ {
				if inserted, err := s.Replays().Insert(t.Context(), replayKey(n), time.Hour); err != nil || !inserted {
					t.Fatalf("Insert = %v, %v, want true", inserted, err)
				}
			}
		}
		count := func() (n int) {
			t.Helper()
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM gatehouse_replays").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		insert(0, 200)
		execute(t, db, "UPDATE gatehouse_replays SET expires = "+
			map[string]string{"pgx": "now() - interval '1 microsecond'", "sqlite": "unixepoch() * 1000000 - 1000000"}[driver])
		last := 200
		// One call in 16 removes up to 64: four are enough, and 1,000 calls without them
		// have a probability of less than 10^-20.
		for count() > last-200 && last < 1200 {
			insert(last, last+20)
			last += 20
		}
		if got := count(); got != last-200 {
			t.Fatalf("%d rows after %d keys, want %d", got, last, last-200)
		}
		if inserted, err := s.Replays().Insert(t.Context(), replayKey(last-1), time.Hour); err != nil || inserted {
			t.Errorf("Insert(key that has not expired) = %v, %v, want false", inserted, err)
		}
	})
}

func TestReplaysUnavailable(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		empty := newStore(t, open(t, driver, dsn))
		driver, dsn = database(t)
		closed, db := migrated(t, driver, dsn)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*sqlstore.Store{"no tables": empty, "closed": closed} {
			if inserted, err := s.Replays().Insert(t.Context(), replayKey(1), time.Minute); err == nil || inserted {
				t.Errorf("%s: Insert = %v, %v, want an error", name, inserted, err)
			}
		}
	})
}

func TestReplaysNeedNoSchemaRights(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	_, db := migrated(t, "pgx", url)
	execute(t, db, "CREATE ROLE replays_app", "GRANT SELECT, INSERT, UPDATE, DELETE ON gatehouse_replays TO replays_app")
	app := newStore(t, open(t, "pgx", url+"&role=replays_app"))
	if err := app.Migrate(t.Context()); err == nil {
		t.Error("Migrate: got no error, so that the test proves nothing")
	}
	var errs []error
	for n := range 100 { // some of them remove expired keys
		_, err := app.Replays().Insert(t.Context(), replayKey(n), time.Millisecond)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Errorf("Insert error = %v", err)
	}
}
