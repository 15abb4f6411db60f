// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// TestAddingRemovesUpToTenExpired: each new row removes up to ten expired ones and no
// others. A session also replaces an expired one with its ID: Postgres removes others
// then, and the trigger of SQLite does not run.
func TestAddingRemovesUpToTenExpired(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		targets := func(id string) []revocation.Target {
			return []revocation.Target{{Kind: revocation.Token, Issuer: "i", Value: id}}
		}
		expired, retired := ago(driver, time.Second), ago(driver, apikey.Retention+time.Second)
		hours := func(n time.Duration) string { return ago(driver, n*time.Hour) }
		replaced := map[string][]int{"pgx": {15, 6, 3, 4, 5}, "sqlite": {25, 16, 7, 4, 5}}[driver]
		for table, test := range map[string]struct {
			expire string
			add    func(id string) error
			find   func(id string) error
			ids    []string
			want   []int
		}{
			// Postgres removes five that are revoked and five others.
			"apikeys": {"expires = " + retired + ", revoked = CASE WHEN id < 'old2' THEN created END", func(id string) error {
				return second(s.APIKeys().Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}))
			}, func(id string) error { return second(s.APIKeys().Find(t.Context(), id)) }, nil, nil},
			"families": {"expires = " + expired, func(id string) error {
				return second(s.Families().Create(t.Context(), family(id), time.Hour))
			}, func(id string) error { return second(s.Families().Find(t.Context(), id)) }, nil, nil},
			"revocations": {"expires = " + expired, func(id string) error {
				return s.Revocations().Revoke(t.Context(), targets(id)[0], time.Hour)
			}, func(id string) error {
				if times, err := s.Revocations().Find(t.Context(), targets(id)); err != nil || times[0].IsZero() {
					return fmt.Errorf("not revoked, %w", err)
				}
				return nil
			}, nil, nil},
			"sessions": {"last_seen = " + hours(3) + ", ends = " + hours(2) + ", swept = " + hours(1), func(id string) error {
				return second(s.Sessions().Create(t.Context(), browser(id), time.Hour))
			}, func(id string) error { return second(s.Sessions().Get(t.Context(), id)) }, []string{"old7"}, replaced},
		} {
			for i := range 25 {
				if err := test.add(fmt.Sprint("old", i)); err != nil {
					t.Fatal(err)
				}
			}
			execute(t, db, "UPDATE gatehouse_"+table+" SET "+test.expire)
			ids, want := append(test.ids, "new0", "new1", "new2", "new3"), test.want
			if want == nil {
				want = []int{16, 7, 3, 4}
			}
			for i, id := range ids {
				if err := test.add(id); err != nil {
					t.Fatal(err)
				}
				if got := query[int](t, db, "SELECT count(*) FROM gatehouse_"+table); got != want[i] {
					t.Errorf("%s: %d rows after adding %s, want %d", table, got, id, want[i])
				}
			}
			for _, id := range ids {
				if err := test.find(id); err != nil {
					t.Errorf("%s: find %s error = %v", table, id, err)
				}
			}
		}
	})
}

// Rows are kept for a while after their expiry: an agent that waits learns within an hour
// that its approval has expired, and an owner finds an expired key for 90 days.
func TestExpiredRowsAreKept(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		for _, test := range []struct {
			table string
			kept  time.Duration
			add   func(id string) error
			find  func() error
			want  error
		}{
			{"approvals", time.Hour, func(id string) error {
				a := approval.Approval{ID: id, Call: approval.Call{Tenant: "t", Tool: id, Arguments: "{}"}, Rule: approval.Rule{Consent: true}}
				return third(s.Approvals().Request(t.Context(), a, approval.Limits{Lifetime: time.Hour, Pending: 9, Bytes: 99}, false))
			}, func() error { return second(s.Approvals().Find(t.Context(), "t", "a")) }, approval.ErrNotFound},
			{"apikeys", apikey.Retention, func(id string) error {
				return second(s.APIKeys().Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}))
			}, func() error { return second(s.APIKeys().Find(t.Context(), "a")) }, apikey.ErrNotFound},
		} {
			if err := test.add("a"); err != nil {
				t.Fatal(err)
			}
			for i, want := range []error{nil, test.want} {
				since := test.kept + time.Duration(2*i-1)*time.Minute
				execute(t, db, "UPDATE gatehouse_"+test.table+" SET expires = "+ago(driver, since)+" WHERE id = 'a'")
				if err := test.add(since.String()); err != nil {
					t.Fatal(err)
				}
				if err := test.find(); !errors.Is(err, want) {
					t.Errorf("%s: find of a row that expired %v ago: error = %v, want %v", test.table, since, err, want)
				}
			}
		}
	})
}

// TestSessionsAreNotSweptEarly checks the columns that decide when a row is removed.
func TestSessionsAreNotSweptEarly(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		sessions := s.Sessions()
		check := func(when string) {
			t.Helper()
			if wrong := query[int](t, db, "SELECT count(*) FROM gatehouse_sessions WHERE "+map[string]string{
				"pgx":    "ends <> least(expires, last_seen + idle * interval '1 microsecond') OR swept <= ends OR swept > ends + interval '1 hour'",
				"sqlite": "ends <> min(expires, last_seen + idle) OR swept <= ends OR swept > ends + 3600000000",
			}[driver]); wrong > 0 {
				t.Errorf("%s: %d rows have a wrong ends or swept", when, wrong)
			}
		}
		idle := []time.Duration{time.Second, time.Minute, 59 * time.Minute, time.Hour, 100 * time.Hour}
		for i := range idle {
			r := browser(fmt.Sprint(i))
			r.Idle = idle[i]
			createSession(t, sessions, r, 48*time.Hour)
		}
		check("created")
		for i := range idle {
			must(sessions.Touch(t.Context(), fmt.Sprint(i), 0))(t)
		}
		check("touched")
		for i := range idle {
			if _, err := sessions.Swap(t.Context(), fmt.Sprint(i), 1, session.Change{ID: fmt.Sprint("new", i)}); err != nil && !errors.Is(err, session.ErrNotFound) {
				t.Fatal(err)
			}
		}
		check("swapped")
	})
}

// TestInsertingReplaysRemovesExpiredOnes: one call in 16 removes up to 64.
func TestInsertingReplaysRemovesExpiredOnes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		last := 0
		insert := func(n int) {
			t.Helper()
			for range n {
				if inserted, err := s.Replays().Insert(t.Context(), replayKey(last), time.Hour); err != nil || !inserted {
					t.Fatalf("Insert = %v, %v, want true", inserted, err)
				}
				last++
			}
		}
		count := func() int { t.Helper(); return query[int](t, db, "SELECT count(*) FROM gatehouse_replays") }
		insert(200)
		execute(t, db, "UPDATE gatehouse_replays SET expires = "+ago(driver, time.Second))
		// Four removals are enough, and 1,000 calls without them have a probability of less
		// than 10^-20.
		for count() > last-200 && last < 1200 {
			insert(20)
		}
		if got := count(); got != last-200 {
			t.Fatalf("%d rows after %d keys, want %d", got, last, last-200)
		}
		if inserted, err := s.Replays().Insert(t.Context(), replayKey(last-1), time.Hour); err != nil || inserted {
			t.Errorf("Insert(key that has not expired) = %v, %v, want false", inserted, err)
		}
	})
}
