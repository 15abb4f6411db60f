// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/session/sessiontest"
)

func TestMemoryContract(t *testing.T) {
	sessiontest.TestStore(t, func(*testing.T) session.Store { return session.NewMemory(0) })
}

func record(id string) session.Record {
	return session.Record{Session: session.Session{ID: id, Issuer: "i", Subject: "s", Idle: time.Hour}}
}

// TestMemoryIsBounded: a full store replaces expired sessions only.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		m := session.NewMemory(limit)
		create := func(n int, lifetime time.Duration) error {
			_, err := m.Create(t.Context(), record(fmt.Sprint(n)), lifetime)
			return err
		}
		full := func(when string) {
			t.Helper()
			if err := create(1000, time.Hour); err == nil || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrNotFound) {
				t.Fatalf("%s: Create in a full store: error = %v, want one that is not of the contract", when, err)
			}
		}
		for n := range limit {
			lifetime := 2 * time.Hour
			if n < 30 {
				lifetime = 30 * time.Minute
			}
			if err := create(n, lifetime); err != nil {
				t.Fatal(err)
			}
		}
		full("at first")
		if _, err := m.Swap(t.Context(), "99", 1, session.Change{ID: "new"}); err != nil {
			t.Fatalf("Swap in a full store: error = %v", err)
		}
		full("after a new ID")
		time.Sleep(30*time.Minute - time.Microsecond)
		full("before the expiry")
		time.Sleep(time.Microsecond)
		for n := range 30 {
			if err := create(limit+n, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		full("full again")
		for n := range limit - 1 + 30 {
			_, err := m.Get(t.Context(), fmt.Sprint(n))
			if missing := errors.Is(err, session.ErrNotFound); missing != (n < 30 || n == 99) {
				t.Errorf("Get(%d) error = %v", n, err)
			}
		}
		if err := m.Delete(t.Context(), "new"); err != nil {
			t.Fatal(err)
		}
		if err := create(1000, time.Hour); err != nil {
			t.Errorf("Create after Delete: error = %v", err)
		}
	})
}

// TestMemoryTimes: timeouts and intervals are exact to the microsecond.
func TestMemoryTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(0)
		exists := func(id string, want bool) {
			t.Helper()
			if _, err := m.Get(t.Context(), id); (err == nil) != want || err != nil && !errors.Is(err, session.ErrNotFound) {
				t.Errorf("Get(%s) error = %v, want none: %t", id, err, want)
			}
		}
		touch := func(every time.Duration, want bool) {
			t.Helper()
			if got, err := m.Touch(t.Context(), "absolute", every); got != want || err != nil {
				t.Errorf("Touch(every %v) = %t, %v, want %t", every, got, err, want)
			}
		}
		for id, lifetime := range map[string]time.Duration{"absolute": time.Hour, "idle": 24 * time.Hour} {
			if _, err := m.Create(t.Context(), record(id), lifetime); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute - time.Microsecond)
		touch(time.Minute, false)
		touch(time.Minute-time.Microsecond+999, true) // truncated
		time.Sleep(time.Hour - time.Minute)
		exists("absolute", true)
		exists("idle", true)
		time.Sleep(time.Microsecond)
		exists("absolute", false)
		exists("idle", false)
		if _, err := m.Create(t.Context(), record("idle"), time.Hour); err != nil {
			t.Errorf("Create with the ID of an expired session: error = %v", err)
		}
		r, err := m.Swap(t.Context(), "idle", 1, session.Change{ID: "idle", Claim: 999})
		if err != nil || !r.Claimed.IsZero() {
			t.Errorf("Swap with a claim of 999 ns: Claimed = %v, %v, want zero", r.Claimed, err)
		}
	})
}

// TestMemoryListOrdersTiesByID: sessions with the same LastSeen are ordered by the
// bytes of their IDs.
func TestMemoryListOrdersTiesByID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(0)
		for _, id := range []string{"b", "a", "B", "_", "-", "é"} {
			if _, err := m.Create(t.Context(), record(id), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		all := []string{"-", "B", "_", "a", "b", "é"}
		for _, limit := range []int{-1, 0, 3, 6, 7} {
			found, err := m.List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, limit)
			var got []string
			for _, r := range found {
				got = append(got, r.ID)
			}
			if want := all[:min(max(limit, 0), len(all))]; err != nil || !slices.Equal(got, want) {
				t.Errorf("List(limit %d) = %v, %v, want %v", limit, got, err, want)
			}
		}
	})
}
