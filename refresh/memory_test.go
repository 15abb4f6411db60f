// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/refresh/refreshtest"
)

func TestMemoryContract(t *testing.T) {
	refreshtest.TestStore(t, func(*testing.T) refresh.Store { return refresh.NewMemory(0) })
}

func TestMemoryFullEvictsExpiredOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := refresh.NewMemory(3)
		create := func(id string, lifetime time.Duration) error {
			_, err := m.Create(t.Context(), refresh.Record{Family: refresh.Family{ID: id}}, lifetime)
			return err
		}
		if err := errors.Join(create("a", time.Hour), create("b", 2*time.Hour), create("c", 2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Revoke(t.Context(), "c"); err != nil {
			t.Error(err)
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
		for id, want := range map[string]error{"a": refresh.ErrNotFound, "b": nil, "c": nil, "d": nil} {
			if _, err := m.Find(t.Context(), id); err != want {
				t.Errorf("Find(%s) error = %v, want %v", id, err, want)
			}
		}
	})
}
