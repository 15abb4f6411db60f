// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
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
		m := session.NewMemory(3)
		create := func(id string, lifetime time.Duration, good bool) {
			t.Helper()
			if _, err := m.Create(t.Context(), record(id), lifetime); (err == nil) != good || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrNotFound) {
				t.Errorf("Create(%s) error = %v, want none: %t", id, err, good)
			}
		}
		create("short", 30*time.Minute, true)
		create("a", time.Hour, true)
		create("b", time.Hour, true)
		create("c", time.Hour, false)
		if _, err := m.Swap(t.Context(), "b", 1, session.Change{ID: "new"}); err != nil {
			t.Errorf("Swap in a full store: error = %v", err)
		}
		time.Sleep(30*time.Minute - time.Microsecond)
		create("c", time.Hour, false)
		time.Sleep(time.Microsecond)
		create("c", time.Hour, true)
		create("d", time.Hour, false)
		for id, want := range map[string]error{"short": session.ErrNotFound, "b": session.ErrNotFound, "a": nil, "new": nil, "c": nil} {
			if _, err := m.Get(t.Context(), id); !errors.Is(err, want) {
				t.Errorf("Get(%s) error = %v, want %v", id, err, want)
			}
		}
		succeeds(t, m.Delete(t.Context(), "new"))
		create("d", time.Hour, true)
	})
}

// TestMemoryTimes: timeouts and intervals are exact to the microsecond.
func TestMemoryTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(0)
		for id, lifetime := range map[string]time.Duration{"absolute": time.Hour, "idle": 24 * time.Hour} {
			must(m.Create(t.Context(), record(id), lifetime))
		}
		time.Sleep(time.Minute - time.Microsecond)
		for _, every := range []time.Duration{time.Minute, time.Minute - time.Microsecond + 999} { // which is truncated
			if got, err := m.Touch(t.Context(), "absolute", every); got != (every < time.Minute) || err != nil {
				t.Errorf("Touch(every %v) = %t, %v", every, got, err)
			}
		}
		for _, wait := range []time.Duration{time.Hour - time.Minute, time.Microsecond} {
			time.Sleep(wait)
			for _, id := range []string{"absolute", "idle"} {
				if _, err := m.Get(t.Context(), id); errors.Is(err, session.ErrNotFound) != (wait == time.Microsecond) {
					t.Errorf("Get(%s) error = %v after %v", id, err, wait)
				}
			}
			of := session.Selector{Issuer: record("").Issuer, Subject: record("").Subject}
			if list, err := m.List(t.Context(), of, 9); (len(list) == 0) != (wait == time.Microsecond) || err != nil {
				t.Errorf("List() = %v, %v after %v", list, err, wait)
			}
		}
		if _, err := m.Create(t.Context(), record("idle"), time.Hour); err != nil {
			t.Errorf("Create with the ID of an expired session: error = %v", err)
		}
		if r, err := m.Swap(t.Context(), "idle", 1, session.Change{ID: "idle", Claim: 999}); err != nil || !r.Claimed.IsZero() {
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
			must(m.Create(t.Context(), record(id), time.Hour))
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
