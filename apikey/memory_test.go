// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// Each watcher learns of each change after it was made, from the first call of changed on.
// A use is no change.
func TestMemoryReportsToEachWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		key, _ := f.create(t, request())
		heard := make([]int, 4)
		for i := range heard {
			own, _ := f.create(t, request())
			go func() {
				_ = f.store.Watch(t.Context(), func(id string) { // it ends with the context
					switch id {
					case "":
						must(f.store.Suspend(t.Context(), own.ID, true))(t)
					case own.ID, key.ID:
						heard[i]++
						if must(f.store.Find(t.Context(), id))(t).Suspended.IsZero() {
							t.Error("a suspension was reported before it was made")
						}
					}
				})
			}()
		}
		synctest.Wait()
		must(f.store.Touch(t.Context(), key.ID, 1, 0))(t)
		must(f.Suspend(t.Context(), key.ID))(t)
		if want := []int{2, 2, 2, 2}; !slices.Equal(heard, want) {
			t.Errorf("reports of two changes to each watcher = %v, want %v", heard, want)
		}
	})
}

// A full store replaces expired and revoked keys only.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const full, short = 100, 30
		m := apikey.NewMemory(full)
		id := func(n int) string { return fmt.Sprintf("%016d", n) }
		create := func(n int, lifetime time.Duration, refused bool) {
			t.Helper()
			if _, err := m.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id(n), Owner: "o", Lifetime: lifetime}}); (err != nil) != refused {
				t.Fatalf("Create(key %d) error = %v, want one: %t", n, err, refused)
			}
		}
		for n := range full {
			create(n, map[bool]time.Duration{true: time.Hour, false: 2 * time.Hour}[n < short], false)
		}
		create(full, day, true)
		advance(time.Hour - 1)
		create(full, day, true)
		advance(1)
		for n := range short {
			create(full+n, day, false)
		}
		create(full+short, day, true)
		// One owner who creates and revokes keys replaces those keys only.
		for n := full + short; n < 3*full; n++ {
			must(m.Revoke(t.Context(), id(n-1)))(t)
			create(n, day, false)
		}
		create(3*full, day, true)
		for n := range 3*full - 1 {
			_, err := m.Find(t.Context(), id(n))
			if gone := n < short || n >= full+short-1; errors.Is(err, apikey.ErrNotFound) != gone {
				t.Errorf("Find(key %d) error = %v, want ErrNotFound: %t", n, err, gone)
			}
		}
		if keys := must(m.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 1000}))(t); len(keys) != full {
			t.Errorf("List returned %d keys, want %d", len(keys), full)
		}
	})
}

// A key can be deleted from its expiry on, and not before, and is due until then. Create
// removes it after Retention.
func TestMemoryObeysExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := apikey.NewMemory(0)
		create := func(id string) {
			t.Helper()
			must(m.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}))(t)
		}
		create("deleted")
		create("kept")
		due := apikey.Query{Filter: apikey.Filter{AnyTenant: true}, ExpiresWithin: time.Microsecond, Limit: 9}
		for _, test := range []struct {
			wait time.Duration
			want error
			due  int
		}{{time.Hour - time.Microsecond, apikey.ErrConflict, 2}, {time.Microsecond, nil, 0}} {
			advance(test.wait)
			if got := must(m.List(t.Context(), due))(t); len(got) != test.due {
				t.Errorf("%d keys are due after %v more, want %d", len(got), test.wait, test.due)
			}
			if err := m.Delete(t.Context(), "deleted"); !errors.Is(err, test.want) {
				t.Errorf("Delete after %v more: error = %v, want %v", test.wait, err, test.want)
			}
		}
		if _, err := m.Rotate(t.Context(), "kept", apikey.Rotation{MaxLifetime: day}); !errors.Is(err, apikey.ErrConflict) {
			t.Errorf("Rotate at the expiry: error = %v, want ErrConflict", err)
		}
		advance(apikey.Retention)
		create("first")
		must(m.Find(t.Context(), "kept"))(t)
		advance(time.Microsecond)
		create("second")
		if _, err := m.Find(t.Context(), "kept"); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Find after Retention: error = %v, want ErrNotFound", err)
		}
		for n := range 15 {
			create(fmt.Sprint("many ", n))
		}
		advance(time.Hour + apikey.Retention + time.Microsecond)
		create("third")
		create("fourth")
		if left := must(m.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 99}))(t); len(left) != 2 {
			t.Errorf("%d keys are left of 19, want the last 2", len(left))
		}
	})
}

// A memory store is visible at start.
func TestMemoryStoreIsReported(t *testing.T) {
	for _, err := range []error{nil, errFull} {
		events := &recorder{err: err}
		_, got := apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme", Issuer: issuer, Observer: events})
		if all := events.take(); !errors.Is(got, err) || len(all) != 1 || all[0].Type != apikey.EventMemoryStore || all[0].Issuer != issuer || all[0].Level != slog.LevelWarn {
			t.Errorf("New error = %v, events = %+v, want %v and EventMemoryStore", got, all, err)
		}
		if _, err := apikey.New(apikey.Config{Store: apikey.NewMemory(0), Observer: events}); err == nil || len(events.take()) > 0 {
			t.Errorf("New without a prefix: error = %v, want one and no event", err)
		}
	}
}
