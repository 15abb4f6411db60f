// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// newSessions returns an empty store.
func newSessions(t testing.TB, db *sql.DB) *sqlstore.Sessions {
	t.Helper()
	s := newStore(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.Sessions()
}

// browser returns a record.
func browser(id string) session.Record {
	return session.Record{
		Session:   session.Session{ID: id, Issuer: "i", Subject: "s", SID: "d", Idle: time.Hour},
		Principal: "{}", Tokens: "sealed",
	}
}

func createSession(t testing.TB, sessions session.Store, r session.Record, lifetime time.Duration) session.Record {
	t.Helper()
	created, err := sessions.Create(t.Context(), r, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// TestSessionsAreSwept checks that each Create removes a few expired sessions and no
// others.
func TestSessionsAreSwept(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		sessions := newSessions(t, db)
		count := func(want int) {
			t.Helper()
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM gatehouse_sessions").Scan(&n); err != nil || n != want {
				t.Errorf("%d rows, %v, want %d", n, err, want)
			}
		}
		for i := range 25 {
			r := browser(fmt.Sprintf("expired-%d", i))
			if i%2 == 0 {
				r.Idle = time.Millisecond
			}
			createSession(t, sessions, r, time.Minute)
		}
		createSession(t, sessions, browser("stays"), time.Hour)
		past := map[string]string{
			"pgx":    "UPDATE gatehouse_sessions SET last_seen = now() - interval '3 hours', ends = now() - interval '2 hours', swept = now() - interval '1 hour' WHERE id <> 'stays'",
			"sqlite": "UPDATE gatehouse_sessions SET last_seen = 1, ends = 2, swept = 3 WHERE id <> 'stays'",
		}
		execute(t, db, past[driver])
		count(26)
		createSession(t, sessions, browser("expired-7"), time.Hour) // replaces one
		createSession(t, sessions, browser("new-0"), time.Hour)
		var left int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM gatehouse_sessions").Scan(&left); err != nil || left < 7 || left > 17 {
			t.Errorf("%d rows are left, %v, want 7 to 17", left, err)
		}
		for i := range 3 {
			createSession(t, sessions, browser(fmt.Sprintf("new-%d", i+1)), time.Hour)
		}
		count(6)
		for _, id := range []string{"stays", "expired-7", "new-0", "new-1", "new-2", "new-3"} {
			if _, err := sessions.Get(t.Context(), id); err != nil {
				t.Errorf("Get(%s) error = %v", id, err)
			}
		}
	})
}

// TestSessionsAreNotSweptEarly checks the columns that decide when a row is removed.
func TestSessionsAreNotSweptEarly(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		sessions := newSessions(t, db)
		check := func(when string) {
			t.Helper()
			ends := map[string]string{
				"pgx":    "SELECT count(*) FROM gatehouse_sessions WHERE ends <> least(expires, last_seen + idle * interval '1 microsecond') OR swept <= ends OR swept > ends + interval '1 hour'",
				"sqlite": "SELECT count(*) FROM gatehouse_sessions WHERE ends <> min(expires, last_seen + idle) OR swept <= ends OR swept > ends + 3600000000",
			}
			var wrong int
			if err := db.QueryRowContext(t.Context(), ends[driver]).Scan(&wrong); err != nil || wrong > 0 {
				t.Errorf("%s: %d rows have a wrong ends or swept, %v", when, wrong, err)
			}
		}
		for i, idle := range []time.Duration{time.Second, time.Minute, 59 * time.Minute, time.Hour, 100 * time.Hour} {
			r := browser(fmt.Sprint(i))
			r.Idle = idle
			createSession(t, sessions, r, 48*time.Hour)
		}
		check("created")
		for i := range 5 {
			if _, err := sessions.Touch(t.Context(), fmt.Sprint(i), 0); err != nil {
				t.Fatal(err)
			}
		}
		check("touched")
		for i := range 5 {
			if _, err := sessions.Swap(t.Context(), fmt.Sprint(i), 1, session.Change{ID: fmt.Sprint("new", i)}); err != nil && !errors.Is(err, session.ErrNotFound) {
				t.Fatal(err)
			}
		}
		check("swapped")
	})
}

// TestListOrdersTiesByID: sessions with the same LastSeen are ordered by the bytes of
// their IDs.
func TestListOrdersTiesByID(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		sessions := newSessions(t, db)
		for _, id := range []string{"b", "é", "A", "Z", "a", "B", "aa"} {
			createSession(t, sessions, browser(id), time.Hour)
		}
		execute(t, db, "UPDATE gatehouse_sessions SET last_seen = (SELECT max(created) FROM gatehouse_sessions)")
		for _, limit := range []int{-1, 3, 10} {
			found, err := sessions.List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, limit)
			var ids []string
			for _, r := range found {
				ids = append(ids, r.ID)
			}
			want := []string{"A", "B", "Z", "a", "aa", "b", "é"}
			if got, want := strings.Join(ids, " "), strings.Join(want[:min(max(limit, 0), len(want))], " "); got != want || err != nil {
				t.Errorf("List(limit %d) = %s, %v, want %s", limit, got, err, want)
			}
		}
	})
}

// TestDamagedSessions: malformed rows and empty IDs are errors.
func TestDamagedSessions(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		sessions := newSessions(t, db)
		createSession(t, sessions, browser("a"), time.Hour)
		for name, call := range map[string]func() error{
			"create": func() error { _, err := sessions.Create(t.Context(), browser(""), time.Hour); return err },
			"create, long": func() error {
				_, err := sessions.Create(t.Context(), browser(strings.Repeat("é", 128)), time.Hour)
				return err
			},
			"swap": func() error { _, err := sessions.Swap(t.Context(), "a", 1, session.Change{}); return err },
		} {
			if err := call(); err == nil || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s: error = %v, want none of the contract", name, err)
			}
		}
		execute(t, db, "ALTER TABLE gatehouse_sessions RENAME COLUMN label TO other")
		if _, err := sessions.Get(t.Context(), "a"); err == nil || errors.Is(err, session.ErrNotFound) {
			t.Errorf("Get with a missing column: error = %v, want one that is not ErrNotFound", err)
		}
	})
}
