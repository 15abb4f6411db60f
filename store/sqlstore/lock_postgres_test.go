// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// waits waits until this number of sessions wait for a lock.
func waits(t *testing.T, db *sql.DB, sessions int) {
	t.Helper()
	enginetest.Eventually(t, time.Minute, fmt.Sprintf("%d sessions wait", sessions), func() bool {
		return query[int](t, db, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == sessions
	})
}

// lock changes rows in a transaction, and returns a function that commits it.
func lock(t *testing.T, db *sql.DB, change string) (release func()) {
	t.Helper()
	tx := must(db.BeginTx(t.Context(), nil))(t)
	must(tx.ExecContext(t.Context(), change))(t)
	return func() {
		t.Helper()
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPostgresStatementsAfterLock changes a row in a transaction while a statement waits
// for its lock: the statement uses the newest row and the time after the wait.
func TestPostgresStatementsAfterLock(t *testing.T) {
	t.Parallel()
	s, db := migrated(t, "pgx", enginetest.SharedPostgres(t).Database(t))
	keys, families, sessions, ctx := s.APIKeys(), s.Families(), s.Sessions(), t.Context()
	// A call returns what it read and when; the test formats no time.
	type call func() (got string, at []time.Time, err error)
	key := func(r apikey.Record, err error) (string, []time.Time, error) {
		return r.Owner, []time.Time{r.AsOf, r.Rotated, r.Revoked, r.Suspended}, err
	}
	rotateKey := func() (string, []time.Time, error) {
		return key(keys.Rotate(ctx, "a", apikey.Rotation{MaxLifetime: time.Hour}))
	}
	revokeKeys := func() (got string, at []time.Time, err error) {
		records, err := keys.RevokeAll(ctx, apikey.Filter{Tenant: "t"}, 2)
		var ids []string
		for _, r := range records {
			ids, at = append(ids, r.ID), append(at, r.AsOf, r.Revoked)
		}
		slices.Sort(ids)
		return strings.Join(ids, " "), at, err
	}
	rotate := func() (string, []time.Time, error) {
		p := refresh.Presentation{Client: "c", Next: refresh.Hash{1}, Successor: []byte("sealed"), Grace: time.Minute}
		r, outcome, err := families.Rotate(ctx, "a", p)
		got := fmt.Sprint(outcome, " ", r.Tenant)
		switch outcome {
		case refresh.Rotated:
			return fmt.Sprint(got, " ", r.Rotated.Sub(r.AsOf), " ", r.GraceEnds.Sub(r.AsOf)), []time.Time{r.AsOf}, err
		case refresh.Reused:
			return fmt.Sprint(got, string(r.Successor)), []time.Time{r.AsOf, r.Revoked}, err
		}
		return fmt.Sprint(got, string(r.Successor)), nil, err
	}
	revokeFamily := func() (string, []time.Time, error) {
		r, err := families.Revoke(ctx, "a")
		return fmt.Sprint(r.Tenant, " ", r.Revoked.Sub(r.AsOf)), []time.Time{r.AsOf}, err
	}
	swap := func() (string, []time.Time, error) {
		r, err := sessions.Swap(ctx, "a", 1, session.Change{ID: "c", Claim: time.Minute})
		if err != nil {
			return "", nil, err
		}
		return fmt.Sprint(r.Label, " ", r.Claimed.Sub(r.AsOf)), []time.Time{r.LastSeen, r.AsOf}, nil
	}
	touch := func() (string, []time.Time, error) {
		touched, err := sessions.Touch(ctx, "a", 0)
		if !touched {
			return "false", nil, err
		}
		r, errGet := sessions.Get(ctx, "a")
		return "true", []time.Time{r.LastSeen}, errors.Join(err, errGet)
	}
	deleteAll := func(sel session.Selector) call {
		return func() (string, []time.Time, error) {
			sel.Issuer = "i"
			n, err := sessions.DeleteAll(ctx, sel)
			if _, err := sessions.Get(ctx, "b"); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("Get after DeleteAll: error = %v, want %v", err, session.ErrNotFound)
			}
			return fmt.Sprint(n), nil, err
		}
	}
	const (
		soon    = "clock_timestamp() + interval '200 milliseconds'"
		later   = 300 * time.Millisecond // than soon
		rotated = "families SET previous_sum = current_sum, current_sum = set_byte(current_sum, 0, 9), successor = 'first', grace_ends = "
		ending  = "sessions SET expires = " + soon + ", ends = " + soon
		moved   = "sessions SET id = 'b', version = version + 1"
	)
	for _, test := range []struct {
		name, change string // UPDATE gatehouse_, or a statement
		delay        time.Duration
		call         call
		want         string
		err          error
	}{
		{"rotate a key", "apikeys SET owner = 'p'", 0, rotateKey, "p", nil},
		{"revoke a key", "apikeys SET owner = 'p'", 0, func() (string, []time.Time, error) { return key(keys.Revoke(ctx, "a")) }, "p", nil},
		{"suspend a key", "apikeys SET owner = 'p'", 0, func() (string, []time.Time, error) { return key(keys.Suspend(ctx, "a", true)) }, "p", nil},
		{"rotate a revoked key", "apikeys SET revoked = clock_timestamp()", 0, rotateKey, "", apikey.ErrConflict},
		{"rotate an expired key", "apikeys SET expires = clock_timestamp()", 0, rotateKey, "", apikey.ErrConflict},
		{"rotate an expiring key", "apikeys SET expires = " + soon, later, rotateKey, "", apikey.ErrConflict},
		// Fewer records than the limit would mean that no key is left. The two that are
		// left are last in the order of creation and in that of expiry.
		{"revoke all keys", "apikeys SET revoked = clock_timestamp() WHERE id NOT IN ('e', 'f')", 0, revokeKeys, "e f", nil},

		{"rotate a family", "families SET tenant = 'new'", 0, rotate, "rotated new 0s 1m0s", nil},
		{"revoke a family", "families SET tenant = 'new'", 0, revokeFamily, "new 0s", nil},
		{"rotate after the grace period", rotated + soon, later, rotate, "reused ", nil},
		{"rotate a rotated family", rotated + "clock_timestamp() + interval '1 minute'", 0, rotate, "replayed first", nil},
		{"rotate a rotated family, no grace", rotated + "clock_timestamp()", 0, rotate, "reused ", nil},
		{"rotate a revoked family", "families SET revoked = clock_timestamp()", 0, rotate, "revoked ", nil},
		{"rotate an expiring family", "families SET expires = " + soon, later, rotate, "expired ", nil},
		{"rotate by another client", "families SET client = 'd'", 0, rotate, "reused ", nil},
		{"rotate by another key", "families SET key_sum = set_byte(key_sum, 31, 9)", 0, rotate, " ", refresh.ErrNotFound},
		{"rotate a removed family", "DELETE FROM gatehouse_families", 0, rotate, " ", refresh.ErrNotFound},
		{"rotate a family that got another ID", "families SET id = 'b'", 0, rotate, " ", refresh.ErrNotFound},

		{"swap a session", "sessions SET label = 'seen'", 0, swap, "seen 1m0s", nil},
		{"swap an expiring session", ending, later, swap, "", session.ErrNotFound},
		{"swap a swapped session", "sessions SET version = version + 1", 0, swap, "", session.ErrConflict},
		{"swap a moved session", moved, 0, swap, "", session.ErrNotFound},
		{"swap a removed session", "DELETE FROM gatehouse_sessions", 0, swap, "", session.ErrNotFound},
		{"swap to an ID that is taken concurrently", `INSERT INTO gatehouse_sessions SELECT 'c', issuer, subject, sid, label, idle, created, last_seen,
			expires, ends, swept, claimed, version, principal, tokens FROM gatehouse_sessions`, 0, swap, "", session.ErrConflict},
		{"touch a session", "sessions SET label = 'seen'", 0, touch, "true", nil},
		{"touch an expiring session", ending, later, touch, "false", nil},
		{"touch a moved session", moved, 0, touch, "false", nil},
		{"touch a removed session", "DELETE FROM gatehouse_sessions", 0, touch, "false", nil},
		// A session that gets another ID concurrently is removed too.
		{"delete all, moved, by subject", moved, 0, deleteAll(session.Selector{Subject: "s"}), "1", nil},
		{"delete all, moved, by sid", moved, 0, deleteAll(session.Selector{SID: "d"}), "1", nil},
		{"delete all, moved, by both", moved, 0, deleteAll(session.Selector{Subject: "s", SID: "d"}), "1", nil},
		{"delete all, expiring", ending, later, deleteAll(session.Selector{Subject: "s"}), "0", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			execute(t, db, "DELETE FROM gatehouse_apikeys", "DELETE FROM gatehouse_families", "DELETE FROM gatehouse_sessions")
			createKeys(t, keys, time.Hour, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
			must(families.Create(ctx, family("a"), time.Hour))(t)
			createSession(t, sessions, browser("a"), 24*time.Hour)
			created := query[time.Time](t, db, "SELECT clock_timestamp()")
			change := test.change
			if strings.Contains(change, " SET ") {
				change = "UPDATE gatehouse_" + change
			}
			release, done := lock(t, db, change), make(chan struct{})
			var got string
			var at []time.Time
			var err error
			go func() {
				defer close(done)
				got, at, err = test.call()
			}()
			waits(t, db, 1)
			start := time.Now()
			enginetest.Eventually(t, time.Minute, "the delay passes", func() bool { return time.Since(start) > test.delay })
			before := query[time.Time](t, db, "SELECT clock_timestamp()")
			release()
			<-done
			if got != test.want || !errors.Is(err, test.err) {
				t.Fatalf("got %q, %v, want %q, %v", got, err, test.want, test.err)
			}
			for i, at := range at {
				if test.err == nil && at.Before(before) && (i == 0 || at.After(created)) {
					t.Errorf("time %d = %v, want none before %v, when the statement waited", i, at, before)
				}
			}
		})
	}
}

// TestPostgresBulkChangesDoNotDeadlock has two calls lock the same nine rows in opposite
// orders: one by a table scan, one by an index. Both wait for the row in the middle, and
// each one then has locks that the other one needs.
func TestPostgresBulkChangesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	scans, db := migrated(t, "pgx", url+"&enable_indexscan=off&enable_bitmapscan=off")
	index := newStore(t, open(t, "pgx", url+"&enable_seqscan=off&enable_bitmapscan=off"))
	for i := range 9 {
		id := string(rune('a' + i))
		createKeys(t, scans.APIKeys(), 0, id)
		r := family(id)
		r.Client = string(rune('i' - i)) // the second column of the index
		must(scans.Families().Create(t.Context(), r, time.Hour))(t)
		createSession(t, scans.Sessions(), browser(id), time.Hour)
	}
	execute(t, db, "UPDATE gatehouse_apikeys SET expires = expires - (ascii(id) - 97) * interval '1 hour'", // the order of the index
		"DROP INDEX gatehouse_sessions_subject, gatehouse_sessions_sid",
		"CREATE INDEX reversed ON gatehouse_sessions (issuer, subject, id DESC)")
	for name, test := range map[string]struct {
		middle string
		call   func(s *sqlstore.Store) (int, error)
	}{
		"keys": {"UPDATE gatehouse_apikeys SET uses = 1 WHERE id = 'e'", func(s *sqlstore.Store) (int, error) {
			records, err := s.APIKeys().RevokeAll(t.Context(), apikey.Filter{Tenant: "t"}, 100)
			return len(records), err
		}},
		"families": {"UPDATE gatehouse_families SET tenant = 'x' WHERE id = 'e'", func(s *sqlstore.Store) (int, error) {
			records, err := s.Families().RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 100)
			return len(records), err
		}},
		"sessions": {"UPDATE gatehouse_sessions SET label = 'held' WHERE id = 'e'", func(s *sqlstore.Store) (int, error) {
			return s.Sessions().DeleteAll(t.Context(), session.Selector{Issuer: "i", Subject: "s"})
		}},
	} {
		release := lock(t, db, test.middle)
		var both sync.WaitGroup
		var changed atomic.Int64
		for i, s := range []*sqlstore.Store{scans, index} {
			both.Go(func() {
				n, err := test.call(s)
				if err != nil {
					t.Errorf("%s: error = %v", name, err)
				}
				changed.Add(int64(n))
			})
			waits(t, db, i+1)
		}
		release()
		both.Wait()
		if n := changed.Load(); n != 9 {
			t.Errorf("%s: the calls changed %d rows, want 9", name, n)
		}
	}
}
