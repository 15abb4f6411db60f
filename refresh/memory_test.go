// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"errors"
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
		create := func(id string, lifetime time.Duration) error {
			_, err := m.Create(t.Context(), refresh.Record{Family: refresh.Family{ID: id}}, lifetime)
			return err
		}
		if err := errors.Join(create("a", time.Hour), create("b", 2*time.Hour), create("c", 2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		for _, wait := range []time.Duration{0, time.Hour - 1} {
			pass(wait)
			if err := create("d", time.Hour); err == nil {
				t.Error("Create in a full store: got no error")
			}
		}
		pass(1)
		if err := create("d", time.Hour); err != nil {
			t.Errorf("Create after a family expired: error = %v", err)
		}
		if _, err := m.Revoke(t.Context(), "c"); err != nil {
			t.Error(err)
		}
		if err := create("e", time.Hour); err != nil {
			t.Errorf("Create after a family was revoked: error = %v", err)
		}
		if err := create("f", time.Hour); err == nil {
			t.Error("Create in a full store: got no error")
		}
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
	create := func(id, subject string) error {
		_, err := m.Create(t.Context(), refresh.Record{Family: refresh.Family{ID: id, Grant: refresh.Grant{Subject: subject}}}, time.Hour)
		return err
	}
	for n := range 1000 {
		if err := create(fmt.Sprint(n), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	if err := create("1000", "alice"); err == nil {
		t.Error("Create(family 1001 of alice): got no error")
	}
	if err := create("b", "bob"); err != nil {
		t.Errorf("Create(family of bob) error = %v", err)
	}
	for n := range 3 {
		must(m.Revoke(t.Context(), fmt.Sprint(n)))
		if err := create(fmt.Sprint("new", n), "alice"); err != nil {
			t.Errorf("Create after a revocation: error = %v", err)
		}
		if _, err := m.Find(t.Context(), fmt.Sprint(n)); err != refresh.ErrNotFound {
			t.Errorf("Find(revoked family) error = %v, want %v", err, refresh.ErrNotFound)
		}
	}
	must(m.Revoke(t.Context(), "998"))
	must(m.Revoke(t.Context(), "999"))
	if err := create("new3", "alice"); err != nil {
		t.Errorf("Create after two revocations: error = %v", err)
	}
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
	if err := create("1001", "alice"); err != nil {
		t.Errorf("Create when the others expire: error = %v", err)
	}
	if _, outcome, err := m.Rotate(t.Context(), "b", refresh.Presentation{}); outcome != refresh.Revoked || err != nil {
		t.Errorf("Rotate of a family that is revoked and has expired = %s, %v, want %s", outcome, err, refresh.Revoked)
	}
}
