// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// waits waits until this number of sessions wait for a lock.
func waits(t *testing.T, db *sql.DB, sessions int) {
	t.Helper()
	enginetest.Eventually(t, time.Minute, fmt.Sprintf("%d sessions wait", sessions), func() bool {
		var n int
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&n)
		return err == nil && n == sessions
	})
}

// lock changes rows in a transaction, and returns a function that commits it.
func lock(t *testing.T, db *sql.DB, change string) (release func()) {
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

// whileLocked starts call while a transaction has made a change, and commits the
// change when call waits for the lock and delay has passed. It returns the time of the
// server just before.
func whileLocked(t *testing.T, db *sql.DB, change string, delay time.Duration, call func()) (before time.Time) {
	t.Helper()
	release := lock(t, db, change)
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	waits(t, db, 1)
	start := time.Now()
	enginetest.Eventually(t, time.Minute, "the delay passes", func() bool { return time.Since(start) > delay })
	if err := db.QueryRowContext(t.Context(), "SELECT clock_timestamp()").Scan(&before); err != nil {
		t.Fatal(err)
	}
	release()
	<-done
	return before
}

// doNotDeadlock checks two calls that lock the same nine rows in opposite orders. Both
// wait for the row in the middle, which middle changes, and each one then has locks
// that the other one needs.
func doNotDeadlock(t *testing.T, db *sql.DB, middle string, calls ...func() (rows int, err error)) {
	t.Helper()
	release := lock(t, db, middle)
	var both sync.WaitGroup
	var changed atomic.Int64
	for i, call := range calls {
		both.Go(func() {
			n, err := call()
			if err != nil {
				t.Error(err)
			}
			changed.Add(int64(n))
		})
		waits(t, db, i+1)
	}
	release()
	both.Wait()
	if n := changed.Load(); n != 9 {
		t.Errorf("the calls changed %d rows, want 9", n)
	}
}
