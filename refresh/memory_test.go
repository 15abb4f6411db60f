// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/refresh/refreshtest"
)

func TestMemoryContract(t *testing.T) {
	refreshtest.TestStore(t, func(*testing.T) refresh.Store { return refresh.NewMemory(0) })
}

func TestMemoryFullEvictsEndedOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := refresh.NewMemory(3)
		create := func(id string, lifetime time.Duration, full bool) {
			t.Helper()
			if _, err := m.Create(t.Context(), refresh.Record{Family: refresh.Family{ID: id}}, lifetime); (err != nil) != full {
				t.Errorf("Create(%s) error = %v, want one of a full store: %t", id, err, full)
			}
		}
		create("a", time.Hour, false)
		create("b", 2*time.Hour, false)
		create("c", 2*time.Hour, false)
		create("d", time.Hour, true)
		pass(time.Hour - 1)
		create("d", time.Hour, true)
		pass(1) // a has expired
		create("d", time.Hour, false)
		must(m.Revoke(t.Context(), "c"))
		create("e", time.Hour, false)
		create("f", time.Hour, true)
		for id, want := range map[string]error{"a": refresh.ErrNotFound, "b": nil, "c": refresh.ErrNotFound, "d": nil, "e": nil} {
			if _, err := m.Find(t.Context(), id); err != want {
				t.Errorf("Find(%s) error = %v, want %v", id, err, want)
			}
		}
	})
}

// One subject cannot fill the store: neither with active families nor with ended
// ones.
func TestMemoryBoundsFamiliesOfSubject(t *testing.T) { synctest.Test(t, testMemoryBoundsFamilies) }

func testMemoryBoundsFamilies(t *testing.T) {
	m := refresh.NewMemory(0)
	create := func(id, subject string, full bool) {
		t.Helper()
		r := refresh.Record{Family: refresh.Family{ID: id, Grant: refresh.Grant{Subject: subject}}}
		if _, err := m.Create(t.Context(), r, time.Hour); (err != nil) != full {
			t.Fatalf("Create(%s of %s) error = %v, want one of too many: %t", id, subject, err, full)
		}
	}
	for n := range 1000 {
		create(fmt.Sprint(n), "alice", false)
	}
	create("1000", "alice", true)
	create("b", "bob", false)
	for n := range 3 {
		must(m.Revoke(t.Context(), fmt.Sprint(n)))
		create(fmt.Sprint("new", n), "alice", false)
		if _, err := m.Find(t.Context(), fmt.Sprint(n)); err != refresh.ErrNotFound {
			t.Errorf("Find(revoked family) error = %v, want %v", err, refresh.ErrNotFound)
		}
	}
	must(m.Revoke(t.Context(), "998"))
	must(m.Revoke(t.Context(), "999"))
	create("new3", "alice", false)
	_, err1 := m.Find(t.Context(), "998")
	_, err2 := m.Find(t.Context(), "999")
	if (err1 == nil) == (err2 == nil) {
		t.Errorf("Find(two revoked families) errors = %v, %v, want one of them", err1, err2)
	}
	pass(time.Minute)
	list := must(m.List(t.Context(), refresh.Filter{Subject: "alice"}, 9))
	if !slices.IsSortedFunc(list, func(a, b refresh.Record) int { return strings.Compare(a.ID, b.ID) }) || !list[0].AsOf.Equal(time.Now()) {
		t.Errorf("List of families of one time = %v, want them by ID, as of now", list)
	}
	if revoked := must(m.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"}, 1)); !revoked[0].Revoked.Equal(time.Now()) {
		t.Errorf("RevokeAll: Revoked = %v, want now", revoked[0].Revoked)
	}
	must(m.Revoke(t.Context(), "b"))
	pass(time.Hour)
	create("1001", "alice", false)
	if _, outcome, err := m.Rotate(t.Context(), "b", refresh.Presentation{}); outcome != refresh.Revoked || err != nil {
		t.Errorf("Rotate of a family that is revoked and has expired = %s, %v, want %s", outcome, err, refresh.Revoked)
	}
}
