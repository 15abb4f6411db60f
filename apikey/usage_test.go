// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// wantUses checks the writes of the usage and what the store has.
func (f fixture) wantUses(t *testing.T, id string, writes int, uses int64, used time.Time) {
	t.Helper()
	f.wantCalls(t, "Touch", writes)
	if got := must(f.Describe(t.Context(), id))(t); got.Uses != uses || !got.LastUsed.Equal(used) {
		t.Errorf("Uses = %d, LastUsed = %v, want %d, %v", got.Uses, got.LastUsed, uses, used)
	}
}

// The first use is written at once, later ones once a minute.
func TestLastUsed(t *testing.T) {
	for _, ttl := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := newKeys(t, withCache(ttl))
			key, text := f.create(t, request())
			_, other := f.create(t, request())
			f.wantUses(t, key.ID, 0, 0, time.Time{})
			first := time.Now()
			f.wantReason(t, text, "")
			f.wantUses(t, key.ID, 1, 1, first)
			for range 59 {
				advance(time.Second)
				f.wantReason(t, text, "")
			}
			f.wantUses(t, key.ID, 1, 1, first)
			advance(time.Second)
			f.wantReason(t, text, "")
			f.wantUses(t, key.ID, 2, 61, first.Add(time.Minute))
			f.wantReason(t, text, "")
			f.wantReason(t, withSecret(text, other), apikey.ReasonSecret)
			f.wantUses(t, key.ID, 2, 61, first.Add(time.Minute))
			advance(time.Hour)
			f.wantReason(t, text, "")
			f.wantUses(t, key.ID, 3, 63, first.Add(time.Minute+time.Hour))
			// A rejected request is not a use.
			advance(time.Hour)
			f.wantReason(t, withSecret(text, other), apikey.ReasonSecret)
			must(f.Suspend(t.Context(), key.ID))(t)
			f.wantReason(t, text, apikey.ReasonSuspended)
			f.wantUses(t, key.ID, 3, 63, first.Add(time.Minute+time.Hour))
		})
	}
}

// Several processes together write once a minute: a process writes later what it
// counted after another one had written.
func TestUsesOfSeveralProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newKeys(t, withCache(5*time.Second))
		b := newKeys(t, func(c *apikey.Config) { c.Store, c.CacheTTL = a.store, 5*time.Second })
		uncached := newKeys(t, func(c *apikey.Config) { c.Store = a.store })
		key, text := a.create(t, request())
		b.wantReason(t, withSecret(text, golden), apikey.ReasonSecret) // b caches a key without uses
		start := time.Now()
		a.wantReason(t, text, "")
		b.wantReason(t, text, "")
		b.wantReason(t, text, "")
		a.wantUses(t, key.ID, 2, 1, start)
		uncached.wantReason(t, text, "") // sees that a has just written
		a.wantUses(t, key.ID, 2, 1, start)
		advance(time.Minute)
		b.wantReason(t, text, "")
		a.wantUses(t, key.ID, 3, 4, start.Add(time.Minute))
		advance(30 * time.Second)
		uncached.wantReason(t, text, "")
		advance(30 * time.Second)
		uncached.wantReason(t, text, "")
		a.wantUses(t, key.ID, 4, 7, start.Add(2*time.Minute))
	})
}

// Goroutines that add a key at the same time share one counter.
func TestUsageIsAddedOnce(t *testing.T) {
	if f := newKeys(t, nil); !f.AddsUsageOnce(unknownID) {
		t.Error("the counter of a key was added twice")
	}
}

// A write that fails or hangs does not fail the request and is repeated.
func TestTouchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		key, text := f.create(t, request())
		f.store.fail(errors.New("read only"), "Touch")
		for range 50 {
			f.wantReason(t, text, "")
		}
		f.wantCalls(t, "Touch", 1)
		advance(time.Minute)
		f.wantReason(t, text, "")
		f.store.fail(nil)
		advance(time.Minute)
		f.wantReason(t, text, "")
		f.wantUses(t, key.ID, 3, 52, time.Now())

		advance(time.Minute)
		f.store.before["Touch"] = func(ctx context.Context) { <-ctx.Done() }
		start := time.Now()
		for range 2 { // the second request does not wait
			f.wantReason(t, text, "")
			if waited := time.Since(start); waited != time.Second {
				t.Errorf("the request waited %v for the write, want 1s", waited)
			}
		}
	})
}

// A use during a write is part of the next write, and a client that hangs up does not
// cancel the write.
func TestUseDuringAWriteIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		key, text := f.create(t, request())
		ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), t, "trace"))
		f.store.before["Touch"] = func(ctx context.Context) {
			if ctx.Value(t) != "trace" {
				t.Error("the context of the write has no values of the request")
			}
			delete(f.store.before, "Touch")
			f.wantReason(t, text, "")
			hangUp()
		}
		f.wantReasonOf(t, get(text).WithContext(ctx), "")
		f.wantUses(t, key.ID, 1, 1, time.Now())
		advance(time.Minute)
		f.wantReason(t, text, "")
		f.wantUses(t, key.ID, 2, 3, time.Now())
	})
}

func TestUsesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		key, text := f.create(t, request())
		for range 5 {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { f.wantReason(t, text, "") })
			}
			wg.Wait()
			advance(time.Minute)
		}
		f.wantReason(t, text, "")
		f.wantUses(t, key.ID, 6, 251, time.Now())
	})
}

// What Keys keeps of used keys and of addresses has a limit: existing keys have as many
// histories as entries of the cache.
func TestUsageIsBounded(t *testing.T) {
	f := newKeys(t, func(c *apikey.Config) {
		c.CacheTTL = 5 * time.Second
		c.Thresholds = apikey.Thresholds{NewNetworks: true, Burst: 2, BurstFloor: 1, UsesAfterRevocation: true, Failures: 1000}
	})
	for i, id := range apikey.SameShard(apikey.MaxKeys + 50) {
		must(f.Authenticate(from(f.storeKey(t, id), fmt.Sprintf("10.%d.%d.7:1", i>>8, i&255))))(t)
	}
	for i := range 20_000 { // addresses have shards of their own
		if _, err := f.Authenticate(from("acme_junk", fmt.Sprintf("10.%d.%d.8:1", i>>8, i&255))); err == nil {
			t.Fatal("Authenticate(malformed key) error = nil, want a rejection")
		}
	}
	if used, watched, addresses := f.Remembered(); used != apikey.MaxKeys || watched != apikey.MaxKeys || addresses != apikey.MaxEntries {
		t.Errorf("%d used keys, %d histories, %d addresses in a shard, want twice %d and %d", used, watched, addresses, apikey.MaxKeys, apikey.MaxEntries)
	}
	if found, _ := f.Cached(); found != apikey.MaxKeys {
		t.Errorf("%d keys are cached, want %d", found, apikey.MaxKeys)
	}
}
