// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
)

func TestMemoryContract(t *testing.T) {
	apikeytest.TestStore(t, func(*testing.T) apikey.Store { return apikey.NewMemory(0) })
	apikeytest.TestWatcher(t, func(*testing.T) (apikey.Store, apikey.Watcher) {
		m := apikey.NewMemory(0)
		return m, m
	})
}

// A full store forgets what has expired, and nothing else.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const full = 100
		m := apikey.NewMemory(full)
		create := func(n int, lifetime time.Duration) error {
			_, err := m.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: fmt.Sprintf("%016d", n), Owner: "o", Lifetime: lifetime}})
			return err
		}
		for n := range full {
			lifetime := 2 * time.Hour
			if n < 30 {
				lifetime = time.Hour
			}
			if err := create(n, lifetime); err != nil {
				t.Fatal(err)
			}
		}
		if err := create(full, day); err == nil {
			t.Fatal("a full store takes another key")
		}
		if _, err := m.Revoke(t.Context(), fmt.Sprintf("%016d", 99)); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour - 1)
		if err := create(full, day); err == nil {
			t.Fatal("a full store takes another key")
		}
		pass(1)
		for n := range 30 {
			if err := create(full+n, day); err != nil {
				t.Fatal(err)
			}
		}
		if err := create(full+30, day); err == nil {
			t.Error("a full store takes another key")
		}
		for n := range full + 30 {
			_, err := m.Find(t.Context(), fmt.Sprintf("%016d", n))
			if gone := errors.Is(err, apikey.ErrNotFound); gone != (n < 30) {
				t.Errorf("key %d: %v", n, err)
			}
		}
		page, err := m.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 1000})
		if err != nil || len(page) != full {
			t.Errorf("%d keys, %v", len(page), err)
		}
	})
}

// Many that create, change and read at once find what was acknowledged.
func TestMemoryUnderLoad(t *testing.T) {
	m := apikey.NewMemory(0)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := range 200 {
				id := fmt.Sprintf("%d-%d", worker, n)
				if _, err := m.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: day}}); err != nil {
					t.Error(err)
				}
				if _, err := m.Revoke(t.Context(), id); err != nil {
					t.Error(err)
				}
				if r, err := m.Find(t.Context(), id); err != nil || r.Revoked.IsZero() {
					t.Errorf("%s: %+v, %v", id, r, err)
				}
			}
		})
	}
	wg.Wait()
	rest, err := m.RevokeAll(t.Context(), apikey.Filter{}, 10)
	if err != nil || len(rest) > 0 {
		t.Errorf("%d were not revoked, %v", len(rest), err)
	}
}
