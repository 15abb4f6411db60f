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

// record is one of somebody who may be idle for an hour.
func record(id string) session.Record {
	return session.Record{Session: session.Session{ID: id, Issuer: "i", Subject: "s", Idle: time.Hour}}
}

// A full store forgets what is over, and nothing else.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const full = 100
		m := session.NewMemory(full)
		create := func(n int, lifetime time.Duration) error {
			_, err := m.Create(t.Context(), record(fmt.Sprint(n)), lifetime)
			return err
		}
		refused := func(when string) {
			t.Helper()
			if err := create(1000, time.Hour); err == nil || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrNotFound) {
				t.Fatalf("%s: another session in a full store: %v", when, err)
			}
		}
		for n := range full {
			lifetime := 2 * time.Hour
			if n < 30 {
				lifetime = 30 * time.Minute
			}
			if err := create(n, lifetime); err != nil {
				t.Fatal(err)
			}
		}
		refused("at first")
		// A new id takes no more room than the old one.
		if _, err := m.Swap(t.Context(), "99", 1, session.Change{ID: "new"}); err != nil {
			t.Fatal(err)
		}
		refused("after a new id")
		time.Sleep(30*time.Minute - time.Microsecond)
		refused("before the end")
		time.Sleep(time.Microsecond)
		for n := range 30 {
			if err := create(full+n, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		refused("full again")
		for n := range full - 1 + 30 {
			_, err := m.Get(t.Context(), fmt.Sprint(n))
			if gone := errors.Is(err, session.ErrNotFound); gone != (n < 30 || n == 99) {
				t.Errorf("session %d: %v", n, err)
			}
		}
		if err := m.Delete(t.Context(), "new"); err != nil {
			t.Fatal(err)
		}
		if err := create(1000, time.Hour); err != nil {
			t.Errorf("a deleted session takes room: %v", err)
		}
	})
}

// To the microsecond: a session is over at its end, and may be touched at the
// end of the pause.
func TestMemoryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(0)
		there := func(id string, want bool) {
			t.Helper()
			if _, err := m.Get(t.Context(), id); (err == nil) != want || err != nil && !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s is there: %v, want %v", id, err, want)
			}
		}
		touched := func(id string, every time.Duration, want bool) {
			t.Helper()
			if got, err := m.Touch(t.Context(), id, every); got != want || err != nil {
				t.Errorf("%s is touched: %v, %v, want %v", id, got, err, want)
			}
		}
		for id, lifetime := range map[string]time.Duration{"deadline": time.Hour, "idle": 24 * time.Hour} {
			if _, err := m.Create(t.Context(), record(id), lifetime); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute - time.Microsecond)
		touched("deadline", time.Minute, false)
		touched("deadline", time.Minute-time.Microsecond+999, true) // which is cut
		time.Sleep(time.Hour - time.Minute)
		there("deadline", true)
		there("idle", true)
		time.Sleep(time.Microsecond)
		there("deadline", false)
		there("idle", false)
		if _, err := m.Create(t.Context(), record("idle"), time.Hour); err != nil {
			t.Errorf("the id of a session that is over is taken: %v", err)
		}
		r, err := m.Swap(t.Context(), "idle", 1, session.Change{ID: "idle", Claim: 999})
		if err != nil || !r.Claimed.IsZero() {
			t.Errorf("a claim that is cut to nothing is held until %v, %v", r.Claimed, err)
		}
	})
}

// Of those seen at the same time the lesser ID comes first, byte by byte.
func TestMemoryListsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(0)
		for _, id := range []string{"b", "a", "B", "_", "-", "é"} {
			if _, err := m.Create(t.Context(), record(id), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"-", "B", "_", "a", "b", "é"}
		for _, limit := range []int{-1, 0, 3, 6, 7} {
			found, err := m.List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, limit)
			var got []string
			for _, r := range found {
				got = append(got, r.ID)
			}
			if err != nil || !slices.Equal(got, want[:min(max(limit, 0), len(want))]) {
				t.Errorf("limit %d: %v, %v", limit, got, err)
			}
		}
	})
}
