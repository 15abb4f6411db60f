// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

// withCache returns a change of the configuration.
func withCache(ttl time.Duration) func(*apikey.Config) {
	return func(c *apikey.Config) { c.CacheTTL = ttl }
}

// onStoreOf returns Keys on a store with the same keys, with its own hooks.
func onStoreOf(t *testing.T, f fixture, ttl time.Duration) fixture {
	t.Helper()
	store := newFaultStore(f.store.Memory)
	other := newKeys(t, func(c *apikey.Config) { c.Store, c.CacheTTL, c.Watcher = store, ttl, store })
	other.store = store
	return other
}

// storeKey stores a key with this ID and returns its text.
func (f fixture) storeKey(t *testing.T, id string) string {
	t.Helper()
	body := fmt.Sprintf("acme_live_%s_%043d", id, 0)
	must(f.store.Create(t.Context(), apikey.Record{
		Key:     apikey.Key{ID: id, Owner: "o", Environment: "live", Lifetime: day},
		Current: apikey.Hash{Sum: sha256.Sum256([]byte(body))},
	}))(t)
	return body + checksum(body)
}

func TestCacheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withCache(5*time.Second))
		_, text := f.create(t, request())
		_, other := f.create(t, request())
		for range 3 {
			f.wantReason(t, text, "")
		}
		f.wantCalls(t, "Find", 1)
		for range 3 {
			f.wantReason(t, golden, apikey.ReasonUnknown)
		}
		f.wantCalls(t, "Find", 2)
		advance(5*time.Second - 1)
		f.wantReason(t, text, "")
		f.wantReason(t, golden, apikey.ReasonUnknown)
		f.wantCalls(t, "Find", 2)
		advance(1)
		f.wantReason(t, text, "")
		f.wantReason(t, golden, apikey.ReasonUnknown)
		f.wantCalls(t, "Find", 4)

		// A failure of the store does not extend the TTL.
		f.store.fail(errors.New("gone"))
		f.wantReason(t, text, "")
		f.wantReason(t, other, apikey.ReasonStoreUnavailable)
		advance(5 * time.Second)
		f.wantReason(t, text, apikey.ReasonStoreUnavailable)
		f.store.fail(nil)
		f.wantReason(t, text, "")
		for range 2 {
			f.wantReason(t, other, "")
		}

		if got, want := f.Stats(), (apikey.Stats{CacheHits: 5, CacheMisses: 4}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
	})
}

// A cached secret is not accepted after its expiry.
func TestCacheObeysExpiry(t *testing.T) {
	for want, rotate := range map[gatehouse.Reason]bool{apikey.ReasonExpired: false, apikey.ReasonRotated: true} {
		synctest.Test(t, func(t *testing.T) {
			f := newKeys(t, withCache(5*time.Second))
			r := request()
			if !rotate {
				r.Lifetime = 2 * time.Second
			}
			key, text := f.create(t, r)
			if rotate {
				f.rotate(t, key.ID, 2*time.Second)
			}
			finds := f.store.count("Find")
			f.wantReason(t, text, "")
			advance(2*time.Second - 1)
			f.wantReason(t, text, "")
			advance(1)
			f.wantReason(t, text, want)
			f.wantCalls(t, "Find", finds+1)
		})
	}
}

// All times are those of the store, whose clock may differ from that of the process:
// expiry, grace period, and the minute between two writes of the usage.
func TestClockOfTheStore(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		for _, ttl := range []time.Duration{0, 5 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				f := newKeys(t, withCache(ttl))
				f.store.found = func(_ context.Context, r *apikey.Record) {
					for _, at := range []*time.Time{&r.AsOf, &r.Created, &r.Rotated, &r.Expires, &r.GraceEnds, &r.LastUsed} {
						if !at.IsZero() {
							*at = at.Add(ahead)
						}
					}
				}
				leaked, text := f.create(t, request())
				f.rotate(t, leaked.ID, time.Minute)
				if leaked = must(f.RevokeLeaked(t.Context(), text))(t); leaked.Revoked.IsZero() {
					t.Error("RevokeLeaked did not revoke a key whose leaked secret is in its grace period")
				}
				start := time.Now()
				r := request()
				r.Lifetime = time.Hour
				key, first := f.create(t, r)
				_, second := f.rotate(t, key.ID, time.Minute)
				f.wantReason(t, first, "")
				if got := send(t, get(second), f.Keys).principal; !got.Expires.Equal(start.Add(time.Hour + ahead)) {
					t.Errorf("Principal.Expires = %v, want the time of the store %v", got.Expires, start.Add(time.Hour+ahead))
				}
				advance(time.Minute - time.Microsecond)
				f.wantReason(t, first, "")
				f.wantCalls(t, "Touch", 1)
				advance(time.Microsecond)
				f.wantReason(t, first, apikey.ReasonRotated)
				f.wantReason(t, second, "")
				f.wantCalls(t, "Touch", 2)
				advance(59*time.Minute - time.Microsecond)
				finds := f.store.count("Find") + map[bool]int{true: 1, false: 2}[ttl > 0]
				f.wantReason(t, second, "")
				advance(time.Microsecond)
				f.wantReason(t, second, apikey.ReasonExpired)
				f.wantCalls(t, "Find", finds)
				key, first = f.create(t, request())
				f.wantReason(t, first, "")
				_, second = onStoreOf(t, f, 0).rotate(t, key.ID, 0)
				f.wantReason(t, second, "")
			})
		}
	}
}

// The duration of the store call counts towards the TTL and the expiry.
func TestCacheCountsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withCache(5*time.Second))
		f.store.found = func(context.Context, *apikey.Record) { advance(2 * time.Second) }
		_, text := f.create(t, request())
		f.wantReason(t, text, "")
		advance(3*time.Second - 1)
		f.wantReason(t, text, "")
		f.wantCalls(t, "Find", 1)
		advance(1)
		f.wantReason(t, text, "")
		f.wantCalls(t, "Find", 2)
		r := request()
		r.Lifetime = 2 * time.Second
		_, text = f.create(t, r)
		f.wantReason(t, text, apikey.ReasonExpired)
	})
}

// changes are the methods that make a secret invalid.
var changes = map[string]gatehouse.Reason{
	"Revoke": apikey.ReasonRevoked, "RevokeAll": apikey.ReasonRevoked, "RevokeLeaked": apikey.ReasonRevoked,
	"Suspend": apikey.ReasonSuspended, "Rotate": apikey.ReasonRotated,
}

// change calls a method of changes.
func (f fixture) change(t *testing.T, name, id, text string) error {
	t.Helper()
	for _, c := range f.calls(t.Context(), id, text) {
		if c.name == name {
			_, err := c.call()
			return err
		}
	}
	panic(name)
}

// A change takes effect at once in the process that made it, and in another one
// within the TTL or with Invalidate.
func TestCacheSeesChanges(t *testing.T) {
	const ttl = 3 * time.Second
	synctest.Test(t, func(t *testing.T) {
		here := newKeys(t, withCache(ttl))
		there := onStoreOf(t, here, ttl)
		for name, reason := range changes {
			changed := func() (id, text string) {
				t.Helper()
				key, text := here.create(t, request())
				here.wantReason(t, text, "")
				there.wantReason(t, text, "")
				if err := here.change(t, name, key.ID, text); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				here.wantReason(t, text, reason)
				return key.ID, text
			}
			_, text := changed()
			advance(ttl - 1)
			there.wantReason(t, text, "")
			advance(1)
			there.wantReason(t, text, reason)
			id, text := changed()
			there.Invalidate(id)
			there.wantReason(t, text, reason)
			_, text = changed()
			there.Invalidate("")
			there.wantReason(t, text, reason)
		}
		key, text := here.create(t, request())
		must(here.Suspend(t.Context(), key.ID))(t)
		here.wantReason(t, text, apikey.ReasonSuspended)
		must(here.Resume(t.Context(), key.ID))(t)
		here.wantReason(t, text, "")
		must(here.Revoke(t.Context(), key.ID))(t)

		// An ID that did not exist.
		here.wantReason(t, golden, apikey.ReasonUnknown)
	})
}

// A key that another process deletes, or adds, is one that does not exist, or exists,
// for the cache too.
func TestCacheOfMissingIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withCache(5*time.Second))
		key, text := f.create(t, request())
		f.wantReason(t, text, "")
		must(f.store.Revoke(t.Context(), key.ID))(t)
		if err := f.store.Delete(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		advance(5 * time.Second)
		for range 3 {
			f.wantReason(t, text, apikey.ReasonUnknown)
		}
		f.wantCalls(t, "Find", 2)
		ids := apikey.SameShard(3)
		for n, invalidate := range []string{"", ids[1]} {
			body := fmt.Sprintf("acme_live_%s_%043d", ids[n], 0)
			f.wantReason(t, body+checksum(body), apikey.ReasonUnknown)
			text := f.storeKey(t, ids[n])
			f.wantReason(t, text, apikey.ReasonUnknown)
			f.Invalidate(invalidate)
			f.wantReason(t, text, "")
		}
		body := fmt.Sprintf("acme_live_%s_%043d", ids[2], 0)
		f.store.found = func(context.Context, *apikey.Record) { // added while the store is asked
			f.store.found = nil
			f.storeKey(t, ids[2])
			f.Invalidate(ids[2])
		}
		f.wantReason(t, body+checksum(body), "")
	})
}

// A request that fills the cache just before the change does not outlast it.
func TestChangeInvalidatesAfterwards(t *testing.T) {
	for name, reason := range changes {
		f := newKeys(t, withCache(5*time.Second))
		key, text := f.create(t, request())
		for _, verb := range []string{"Revoke", "RevokeAll", "Suspend", "Rotate"} {
			f.store.before[verb] = func(context.Context) { f.wantReason(t, text, "") }
		}
		if err := f.change(t, name, key.ID, text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f.wantReason(t, text, reason)
	}
}

// A secret that another process has issued is valid at once, although the cache has
// the record of the one before.
func TestCacheAsksAgainForUnknownSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newKeys(t, nil)
		there := onStoreOf(t, here, 5*time.Second)
		key, first := here.create(t, request())
		_, other := here.create(t, request())
		there.wantReason(t, first, "")
		_, second := here.rotate(t, key.ID, time.Second)
		there.wantReason(t, second, "")
		there.wantReason(t, first, "")
		there.wantCalls(t, "Find", 2)
		advance(time.Second)
		there.wantReason(t, first, apikey.ReasonRotated)
		there.wantCalls(t, "Find", 2)

		// Wrong secrets share the calls of the store.
		there.store.found = func(context.Context, *apikey.Record) { advance(time.Second) }
		var requests sync.WaitGroup
		for range 100 {
			requests.Go(func() { there.wantReason(t, withSecret(second, other), apikey.ReasonSecret) })
		}
		requests.Wait()
		there.wantCalls(t, "Find", 4)

		hungUp, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		requests.Go(func() { there.wantReason(t, withSecret(second, other), apikey.ReasonSecret) })
		synctest.Wait()
		there.wantReasonOf(t, get(withSecret(second, other)).WithContext(hungUp), apikey.ReasonStoreUnavailable)
		requests.Wait()
		there.store.fail(errors.New("gone"))
		there.wantReason(t, withSecret(second, other), apikey.ReasonStoreUnavailable)
		there.wantReason(t, second, "")

		// A key that another process deletes meanwhile.
		there.store.fail(nil)
		must(here.Revoke(t.Context(), key.ID))(t)
		if err := here.Delete(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		finds := there.store.count("Find")
		for range 2 {
			requests.Go(func() { there.wantReason(t, withSecret(second, other), apikey.ReasonUnknown) })
		}
		requests.Wait()
		there.wantCalls(t, "Find", finds+1)

		// A key that is invalidated while a request waits for another one of its shard.
		ids := apikey.SameShard(2)
		texts := []string{there.storeKey(t, ids[0]), there.storeKey(t, ids[1])}
		for _, text := range texts {
			there.wantReason(t, text, "")
		}
		_, newest := here.rotate(t, ids[1], 0)
		there.store.found = func(context.Context, *apikey.Record) {
			advance(time.Second)
			there.Invalidate(ids[1])
		}
		requests.Go(func() { there.wantReason(t, withSecret(texts[0], other), apikey.ReasonSecret) })
		synctest.Wait()
		there.wantReason(t, newest, "")
		requests.Wait()

		// A secret that expires while the store is asked again.
		there.store.found = nil
		key, first = here.create(t, request())
		there.wantReason(t, first, "")
		_, second = here.rotate(t, key.ID, 0)
		there.store.found = func(context.Context, *apikey.Record) { advance(30 * day) }
		there.wantReason(t, second, apikey.ReasonExpired)
	})
}

// A failed change may have been made, so it invalidates the entry.
func TestCacheAfterFailedChange(t *testing.T) {
	f := newKeys(t, withCache(5*time.Second))
	key, text := f.create(t, request())
	for _, name := range []string{"Revoke", "RevokeAll", "RevokeAll of an owner", "Suspend", "Rotate"} {
		f.wantReason(t, text, "")
		f.store.fail(errors.New("connection reset"), strings.Fields(name)[0])
		var err error
		if name == "RevokeAll of an owner" {
			_, err = f.RevokeAll(t.Context(), apikey.Filter{AnyTenant: true, Owner: key.Owner})
		} else {
			err = f.change(t, name, key.ID, text)
		}
		if err == nil {
			t.Fatalf("%s: error = nil, want the one of the store", name)
		}
		finds := f.store.count("Find")
		f.wantReason(t, text, "")
		f.wantCalls(t, "Find", finds+1)
	}
}

// What changes while the store is asked is seen by the request and by the cache.
func TestCacheFillDuringChange(t *testing.T) {
	type during func(t *testing.T, f, elsewhere fixture, id, text string)
	for name, test := range map[string]struct {
		during during // after the store has read the old record
		always bool   // in each call, otherwise in the first one
		want   gatehouse.Reason
		finds  int
		cached int
	}{
		"revoked": {func(t *testing.T, f, _ fixture, id, _ string) {
			must(f.Revoke(t.Context(), id))(t)
		}, false, apikey.ReasonRevoked, 2, 1},
		"revoked elsewhere and reported": {func(t *testing.T, f, elsewhere fixture, id, _ string) {
			must(elsewhere.Revoke(t.Context(), id))(t)
			f.Invalidate(id)
		}, false, apikey.ReasonRevoked, 2, 1},
		"revoked elsewhere during a disconnect": {func(t *testing.T, f, elsewhere fixture, id, _ string) {
			must(elsewhere.Revoke(t.Context(), id))(t)
			f.Invalidate("")
		}, false, apikey.ReasonRevoked, 2, 1},
		"revoked elsewhere, seen by a faster request": {func(t *testing.T, f, elsewhere fixture, id, text string) {
			advance(time.Millisecond)
			must(elsewhere.Revoke(t.Context(), id))(t)
			f.wantReason(t, text, apikey.ReasonRevoked)
		}, false, apikey.ReasonRevoked, 3, 1},
		"revoked and deleted elsewhere, and reported": {func(t *testing.T, f, elsewhere fixture, id, _ string) {
			must(elsewhere.Revoke(t.Context(), id))(t)
			if err := elsewhere.Delete(t.Context(), id); err != nil {
				t.Error(err)
			}
			f.Invalidate(id)
		}, false, apikey.ReasonUnknown, 2, 1},
		"changed in both calls": {func(_ *testing.T, f, _ fixture, _, _ string) { f.Invalidate("") }, true, "", 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newKeys(t, withCache(5*time.Second))
				elsewhere := onStoreOf(t, f, 0)
				key, text := f.create(t, request())
				f.store.found = func(context.Context, *apikey.Record) {
					if !test.always {
						f.store.found = nil
					}
					test.during(t, f, elsewhere, key.ID, text)
				}
				f.wantReason(t, text, test.want)
				f.wantCalls(t, "Find", test.finds)
				if found, missing := f.Cached(); found+missing != test.cached {
					t.Errorf("the cache has %d entries, want %d", found+missing, test.cached)
				}
				f.wantReason(t, text, test.want)
			})
		})
	}
}

// The cache keeps the record that the store has read last, whichever call began first.
func TestCacheKeepsTheLaterRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withCache(5*time.Second))
		elsewhere := onStoreOf(t, f, 0)
		key, text := f.create(t, request())
		var second sync.WaitGroup
		f.store.before["Find"] = func(context.Context) { // of the first request
			delete(f.store.before, "Find")
			advance(time.Millisecond)
			f.store.found = func(context.Context, *apikey.Record) { // of the second, which returns after the first
				f.store.found = nil
				advance(2 * time.Millisecond)
			}
			second.Go(func() { f.wantReason(t, text, apikey.ReasonRevoked) })
			synctest.Wait()
			advance(time.Millisecond)
			must(elsewhere.Revoke(t.Context(), key.ID))(t)
		}
		f.wantReason(t, text, apikey.ReasonRevoked)
		second.Wait()
		f.wantReason(t, text, apikey.ReasonRevoked)
		f.wantCalls(t, "Find", 3)
	})
}

// IDs that do not exist evict only each other.
func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withCache(5*time.Second))
		ids := apikey.SameShard(10 + 3*apikey.MaxEntries)
		var texts []string
		for _, id := range ids[:10] {
			texts = append(texts, f.storeKey(t, id))
			f.wantReason(t, texts[len(texts)-1], "")
		}
		for _, id := range ids[10:] {
			body := fmt.Sprintf("acme_live_%s_%043d", id, 0)
			f.wantReason(t, body+checksum(body), apikey.ReasonUnknown)
		}
		if found, missing := f.Cached(); found != 10 || missing != apikey.MaxEntries {
			t.Errorf("the cache has %d keys and %d missing IDs, want 10 and %d", found, missing, apikey.MaxEntries)
		}
		finds := f.store.count("Find")
		for _, text := range texts {
			f.wantReason(t, text, "")
		}
		f.wantCalls(t, "Find", finds)
		f.Invalidate(ids[0])
		if found, missing := f.Cached(); found != 9 || missing != apikey.MaxEntries {
			t.Errorf("the cache has %d keys and %d missing IDs without one of the keys, want 9 and %d", found, missing, apikey.MaxEntries)
		}
	})
}

// Unknown keys allocate at most twice as much with a cache as without, also when
// its shards are full.
func TestCostOfUnknownKeys(t *testing.T) {
	cost := func(ttl time.Duration) uint64 {
		f := newKeys(t, withCache(ttl))
		ids := apikey.SameShard(4*apikey.MaxEntries + 200)
		var texts []string
		for i, id := range ids {
			body := fmt.Sprintf("acme_live_%s_%043d", id, 0)
			texts = append(texts, body+checksum(body))
			if i < apikey.MaxEntries {
				f.wantReason(t, f.storeKey(t, id), "")
			}
		}
		send := func(texts []string) {
			for _, text := range texts {
				if _, err := f.Authenticate(get(text)); err == nil {
					t.Fatal("Authenticate(unknown key) error = nil, want one")
				}
			}
		}
		send(texts[apikey.MaxEntries : 4*apikey.MaxEntries])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		send(texts[4*apikey.MaxEntries:])
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if without, with := cost(0), cost(5*time.Second); with > 2*without && !racetest.Enabled {
		t.Errorf("200 unknown keys allocate %d bytes with a cache and %d without, want at most twice as many", with, without)
	}
}
