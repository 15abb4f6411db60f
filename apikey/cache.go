// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// cache keeps records of the store for a few seconds. It keeps the IDs that do
// not exist in a table of their own, so that a client that guesses IDs cannot
// evict existing keys.
type cache struct {
	ttl            time.Duration
	found, missing table[cached]
	// generations are incremented by each invalidation of an ID in a shard,
	// before the entry is deleted.
	generations [shardCount]atomic.Uint64
}

type cached struct {
	record Record
	read   time.Time // before the call of the store
}

func newCache(ttl time.Duration) *cache {
	return &cache{ttl: ttl, found: make(table[cached], shardCount), missing: make(table[cached], shardCount)}
}

func (c *cache) generation(id string) *atomic.Uint64 { return &c.generations[shardOf(id, shardCount)] }

// get returns the entry of an ID and reports whether it is valid.
func (c *cache) get(id string, now time.Time) (entry cached, known bool) {
	if entry, known = c.found.load(id); !known {
		entry, _ = c.missing.load(id) // zero if absent, so that it has expired
	}
	return entry, now.Sub(entry.read) < c.ttl
}

// put stores an entry, unless the ID was invalidated since generation was read or
// the present entry is newer. It reports whether it stored the entry.
func (c *cache) put(id string, entry cached, missing bool, generation uint64) (done bool) {
	into, other := c.found, c.missing
	if missing {
		into, other = other, into
	}
	other.change(id, func(entries map[string]cached) { delete(entries, id) })
	into.change(id, func(entries map[string]cached) {
		if c.generation(id).Load() != generation || entries[id].record.AsOf.After(entry.record.AsOf) {
			return
		}
		evict(entries)
		entries[id] = entry
		done = true
	})
	return done
}

func (c *cache) invalidate(id string) {
	if id == "" {
		for i := range c.generations {
			c.generations[i].Add(1)
			c.found[i].change(func(entries map[string]cached) { clear(entries) })
			c.missing[i].change(func(entries map[string]cached) { clear(entries) })
		}
		return
	}
	c.generation(id).Add(1)
	c.found.change(id, func(entries map[string]cached) { delete(entries, id) })
	c.missing.change(id, func(entries map[string]cached) { delete(entries, id) })
}

// lookup sets record to that of an ID, from the cache or the store, and returns
// the store's time.
func (k *Keys) lookup(ctx context.Context, id string, record *Record) (now time.Time, err error) {
	if k.cache == nil {
		*record, err = k.store.Find(ctx, id)
		return record.AsOf, err
	}
	now = time.Now()
	entry, known := k.cache.get(id, now)
	if !known {
		if err := k.fill(ctx, id, &entry); err != nil {
			return time.Time{}, err
		}
		now = time.Now()
	}
	if *record = entry.record; record.ID == "" {
		return time.Time{}, ErrNotFound
	}
	// The store read its clock after entry.read, so the result is never too
	// early and a key never outlives its expiry.
	return record.AsOf.Add(now.Sub(entry.read)), nil
}

// fill asks the store. If the ID is invalidated meanwhile it asks once more, so
// that the request too sees the change.
func (k *Keys) fill(ctx context.Context, id string, entry *cached) error {
	for range 2 {
		generation := k.cache.generation(id).Load()
		*entry = cached{read: time.Now()}
		var err error
		entry.record, err = k.store.Find(ctx, id)
		missing := errors.Is(err, ErrNotFound)
		if missing {
			entry.record = Record{}
		} else if err != nil {
			return err
		}
		if k.cache.put(id, *entry, missing, generation) {
			return nil
		}
	}
	return nil
}

// Invalidate deletes a key from the cache, or all keys if id is empty. The methods
// of Keys that change a key call it themselves.
func (k *Keys) Invalidate(id string) {
	if k.cache != nil {
		k.cache.invalidate(id)
	}
}

// Watch listens to [Config].Watcher and deletes changed keys from the cache. It
// blocks until ctx is done or the Watcher fails, and always returns a non-nil
// error. Run it in a goroutine, and call it again if it returns before ctx is
// done: while it is not running, a revocation by another process takes up to
// CacheTTL to take effect in this process.
func (k *Keys) Watch(ctx context.Context) error {
	if k.watcher == nil {
		return errors.New("apikey: watch: Config.Watcher is not set")
	}
	return k.watcher.Watch(ctx, k.Invalidate)
}

// Tables have shards, so that requests do not wait for each other. Each shard is
// bounded: 16,384 entries in all.
const (
	shardCount = 256
	maxEntries = 64
)

// shardOf returns the shard of an ID. IDs are random, so the last three
// characters suffice.
func shardOf(id string, shards int) int {
	n := 0
	for i := max(0, len(id)-3); i < len(id); i++ {
		n = n*len(alphabet) + int(id[i])
	}
	return n % shards
}

// table is a map from IDs that is read much more often than changed. Readers take
// no lock: each change replaces the map of one shard.
type table[V any] []tableShard[V]

type tableShard[V any] struct {
	entries atomic.Pointer[map[string]V]
	mu      sync.Mutex // held by writers
}

func (t table[V]) load(id string) (value V, ok bool) {
	if entries := t[shardOf(id, len(t))].entries.Load(); entries != nil {
		value, ok = (*entries)[id]
	}
	return value, ok
}

// change replaces the shard of an ID by a copy that f has changed.
func (t table[V]) change(id string, f func(entries map[string]V)) {
	t[shardOf(id, len(t))].change(f)
}

func (s *tableShard[V]) change(f func(entries map[string]V)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]V)
	if entries := s.entries.Load(); entries != nil {
		next = maps.Clone(*entries)
	}
	f(next)
	s.entries.Store(&next)
}

func (t table[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for i := range t {
			entries := t[i].entries.Load()
			if entries == nil {
				continue
			}
			for id, value := range *entries {
				if !yield(id, value) {
					return
				}
			}
		}
	}
}

// evict deletes an entry of a full map. Map order is random, so that a client
// cannot choose the entry.
func evict[K comparable, V any](entries map[K]V) {
	if len(entries) < maxEntries {
		return
	}
	for key := range entries {
		delete(entries, key)
		return
	}
}
