// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// TestSessionsAfterLockWait checks that a statement that waited for a lock uses the
// row and the time after the wait.
func TestSessionsAfterLockWait(t *testing.T) {
	t.Parallel()
	db := open(t, "pgx", enginetest.SharedPostgres(t).Database(t))
	sessions := newSessions(t, db)
	type result struct {
		r   session.Record
		n   int
		err error
	}
	wait := func(t *testing.T, change string, while time.Duration, call func(*sqlstore.Sessions) result) (got result, before time.Time) {
		t.Helper()
		execute(t, db, "DELETE FROM gatehouse_sessions")
		createSession(t, sessions, browser("a"), 24*time.Hour)
		before = whileLocked(t, db, change, while, func() { got = call(sessions) })
		return got, before
	}
	const (
		touched = "UPDATE gatehouse_sessions SET label = 'seen'"
		ending  = "UPDATE gatehouse_sessions SET expires = clock_timestamp() + interval '200 milliseconds', ends = clock_timestamp() + interval '200 milliseconds'"
		swapped = "UPDATE gatehouse_sessions SET version = version + 1"
		moved   = "UPDATE gatehouse_sessions SET id = 'b', version = version + 1"
		removed = "DELETE FROM gatehouse_sessions"
	)
	swap := func(s *sqlstore.Sessions) result {
		r, err := s.Swap(t.Context(), "a", 1, session.Change{ID: "c", Claim: time.Minute})
		return result{r: r, err: err}
	}
	touch := func(s *sqlstore.Sessions) result {
		ok, err := s.Touch(t.Context(), "a", 0)
		if ok {
			return result{n: 1, err: err}
		}
		return result{err: err}
	}
	deleteAll := func(sel session.Selector) func(*sqlstore.Sessions) result {
		return func(s *sqlstore.Sessions) result {
			n, err := s.DeleteAll(t.Context(), sel)
			return result{n: n, err: err}
		}
	}

	t.Run("time", func(t *testing.T) {
		got, before := wait(t, touched, 0, swap)
		r := got.r
		if got.err != nil || r.Label != "seen" || r.LastSeen.Before(before) || r.AsOf.Before(before) || !r.Claimed.Equal(r.AsOf.Add(time.Minute)) {
			t.Errorf("Swap = %+v, %v, want times after %v", r, got.err, before)
		}
		got, before = wait(t, touched, 0, touch)
		if r, err := sessions.Get(t.Context(), "a"); got.err != nil || got.n != 1 || err != nil || r.LastSeen.Before(before) {
			t.Errorf("Touch = %+v, Get = %+v, %v, want LastSeen after %v", got, r, err, before)
		}
	})
	for name, test := range map[string]struct {
		change string
		while  time.Duration
		want   error
	}{
		"expires": {ending, 300 * time.Millisecond, session.ErrNotFound},
		"swapped": {swapped, 0, session.ErrConflict},
		"moved":   {moved, 0, session.ErrNotFound},
		"removed": {removed, 0, session.ErrNotFound},
	} {
		t.Run("swap, "+name, func(t *testing.T) {
			if got, _ := wait(t, test.change, test.while, swap); !errors.Is(got.err, test.want) {
				t.Errorf("Swap = %+v, %v, want %v", got.r, got.err, test.want)
			}
		})
		if name == "swapped" {
			continue
		}
		t.Run("touch, "+name, func(t *testing.T) {
			if got, _ := wait(t, test.change, test.while, touch); got.err != nil || got.n != 0 {
				t.Errorf("Touch = true, %v, want false, nil", got.err)
			}
		})
	}
	// A session that gets another ID concurrently is removed too.
	for name, sel := range map[string]session.Selector{
		"subject": {Issuer: "i", Subject: "s"}, "sid": {Issuer: "i", SID: "d"}, "both": {Issuer: "i", Subject: "s", SID: "d"},
	} {
		t.Run("delete all, moved, by "+name, func(t *testing.T) {
			got, _ := wait(t, moved, 0, deleteAll(sel))
			if _, err := sessions.Get(t.Context(), "b"); got.err != nil || got.n != 1 || !errors.Is(err, session.ErrNotFound) {
				t.Errorf("DeleteAll = %d, %v, want 1; Get error afterwards = %v", got.n, got.err, err)
			}
		})
	}
	t.Run("delete all, expires", func(t *testing.T) {
		if got, _ := wait(t, ending, 300*time.Millisecond, deleteAll(session.Selector{Issuer: "i", Subject: "s"})); got.err != nil || got.n != 0 {
			t.Errorf("DeleteAll = %d, %v, want 0", got.n, got.err)
		}
	})
	t.Run("swap, new ID is taken concurrently", func(t *testing.T) {
		got, _ := wait(t, "INSERT INTO gatehouse_sessions SELECT 'c', issuer, subject, sid, label, idle, created, last_seen, expires, ends, swept, claimed, version, principal, tokens FROM gatehouse_sessions", 0, swap)
		if !errors.Is(got.err, session.ErrConflict) {
			t.Errorf("Swap = %+v, %v, want %v", got.r, got.err, session.ErrConflict)
		}
	})
}

// TestDeleteAllDoesNotDeadlock runs two statements that lock the same rows in
// different orders.
func TestDeleteAllDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	// The query plan determines the order: a sequential scan for one, an index in
	// reverse order for the other.
	db := open(t, "pgx", url+"&enable_indexscan=off&enable_bitmapscan=off")
	other := newStore(t, open(t, "pgx", url+"&enable_seqscan=off&enable_bitmapscan=off")).Sessions()
	sessions := newSessions(t, db)
	for i := range 9 {
		createSession(t, sessions, browser(string(rune('a'+i))), time.Hour)
	}
	execute(t, db,
		"DROP INDEX gatehouse_sessions_subject, gatehouse_sessions_sid",
		"CREATE INDEX reversed ON gatehouse_sessions (issuer, subject, id DESC)",
	)
	deleteAll := func(sessions *sqlstore.Sessions) func() (int, error) {
		return func() (int, error) {
			return sessions.DeleteAll(t.Context(), session.Selector{Issuer: "i", Subject: "s"})
		}
	}
	doNotDeadlock(t, db, "UPDATE gatehouse_sessions SET label = 'held' WHERE id = 'e'", deleteAll(sessions), deleteAll(other))
}

// TestSessionsLeastPrivilege checks that requests need no privileges except on the
// rows.
func TestSessionsLeastPrivilege(t *testing.T) {
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	db := open(t, "pgx", url)
	newSessions(t, db)
	execute(t, db, "CREATE ROLE sessions_app", "GRANT SELECT, INSERT, UPDATE, DELETE ON gatehouse_sessions TO sessions_app")
	sessions := newStore(t, open(t, "pgx", url+"&role=sessions_app")).Sessions()
	createSession(t, sessions, browser("a"), time.Hour)
	sel := session.Selector{Issuer: "i", Subject: "s"}
	for name, call := range map[string]func() error{
		"get":   func() error { _, err := sessions.Get(t.Context(), "a"); return err },
		"swap":  func() error { _, err := sessions.Swap(t.Context(), "a", 1, session.Change{ID: "a"}); return err },
		"touch": func() error { _, err := sessions.Touch(t.Context(), "a", 0); return err },
		"list":  func() error { _, err := sessions.List(t.Context(), sel, 1); return err },
		"delete all": func() error {
			_, err := sessions.DeleteAll(t.Context(), session.Selector{Issuer: "i", Subject: "o"})
			return err
		},
		"delete": func() error { return sessions.Delete(t.Context(), "b") },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
