// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// cache keeps records of the store for a few seconds. It keeps IDs that do not exist in a
// separate table, so that a client that guesses IDs cannot evict existing keys.
type cache struct {
	ttl     time.Duration
	found   table[*cached]
	missing [shardCount]missingIDs
	// generations are incremented by each invalidation of an ID in a shard,
	// before the entry is deleted.
	generations [shardCount]atomic.Uint64
	// hits counts lookups of existing keys in the cache, misses those that called the
	// store.
	hits, misses [shardCount]atomic.Uint64
	// turns lets one request of a shard at a time call the store again.
	turns [shardCount]chan struct{}
}

type cached struct {
	record Record
	read   time.Time // before the call of the store
}

// missingIDs has the time before the call of the store for each ID that does not
// exist.
type missingIDs struct {
	mu  sync.Mutex
	ids map[string]time.Time
}

func newCache(ttl time.Duration) *cache {
	c := &cache{ttl: ttl, found: make(table[*cached], shardCount)}
	for i := range shardCount {
		c.missing[i].ids = make(map[string]time.Time)
		c.turns[i] = make(chan struct{}, 1)
	}
	return c
}

func (c *cache) generation(id string) *atomic.Uint64 { return &c.generations[shardOf(id, shardCount)] }

// get returns the entry of an ID, nil if the ID does not exist, and reports whether
// it is valid.
func (c *cache) get(id string, now time.Time) (entry *cached, known bool) {
	if entry, known = c.found.load(id); known {
		return entry, now.Sub(entry.read) < c.ttl
	}
	m := &c.missing[shardOf(id, shardCount)]
	m.mu.Lock()
	defer m.mu.Unlock()
	read, known := m.ids[id]
	return nil, known && now.Sub(read) < c.ttl
}

// put stores an entry, unless the ID was invalidated since generation was read or
// the present entry is newer. It reports whether it stored the entry.
func (c *cache) put(id string, entry *cached, generation uint64) (done bool) {
	m := &c.missing[shardOf(id, shardCount)]
	m.mu.Lock()
	delete(m.ids, id)
	m.mu.Unlock()
	c.found.change(id, func(entries map[string]*cached) {
		old := entries[id]
		if c.generation(id).Load() != generation || old != nil && old.record.AsOf.After(entry.record.AsOf) {
			return
		}
		if old == nil {
			evict(entries, maxKeys)
		}
		entries[id] = entry
		done = true
	})
	return done
}

// putMissing is put for an ID that does not exist.
func (c *cache) putMissing(id string, read time.Time, generation uint64) (done bool) {
	c.remove(id)
	m := &c.missing[shardOf(id, shardCount)]
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.generation(id).Load() != generation {
		return false
	}
	evict(m.ids, maxEntries)
	m.ids[id] = read
	return true
}

// remove deletes an existing key.
func (c *cache) remove(id string) {
	if _, ok := c.found.load(id); ok {
		c.found.change(id, func(entries map[string]*cached) { delete(entries, id) })
	}
}

func (c *cache) invalidate(id string) {
	if id == "" {
		for i := range c.generations {
			c.generations[i].Add(1)
			c.found[i].change(func(entries map[string]*cached) { clear(entries) })
			c.missing[i].mu.Lock()
			clear(c.missing[i].ids)
			c.missing[i].mu.Unlock()
		}
		return
	}
	c.generation(id).Add(1)
	c.found.change(id, func(entries map[string]*cached) { delete(entries, id) })
	m := &c.missing[shardOf(id, shardCount)]
	m.mu.Lock()
	delete(m.ids, id)
	m.mu.Unlock()
}

// lookup sets record to that of an ID, from the cache or the store, and returns the
// store's time. found is the time of the lookup in the cache, zero for a record from the
// store.
func (k *Keys) lookup(ctx context.Context, id string, record *Record) (now, found time.Time, err error) {
	if k.cache == nil {
		*record, err = k.store.Find(ctx, id)
		return record.AsOf, time.Time{}, err
	}
	arrived := time.Now()
	if entry, known := k.cache.get(id, arrived); known {
		if entry != nil {
			k.cache.hits[shardOf(id, shardCount)].Add(1)
		}
		now, err = entry.at(record, arrived)
		return now, arrived, err
	}
	entry, err := k.fill(ctx, id)
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	now, err = entry.at(record, time.Now())
	return now, time.Time{}, err
}

// at sets record to that of the entry and returns the store's time at now. The store read
// its clock after e.read, so the result is never too early, and a key is never valid
// after its expiry.
func (e *cached) at(record *Record, now time.Time) (time.Time, error) {
	if e == nil {
		*record = Record{}
		return time.Time{}, ErrNotFound
	}
	*record = e.record
	return record.AsOf.Add(now.Sub(e.read)), nil
}

// fill reads a key from the store. If the ID is invalidated meanwhile, it reads once
// more, so that this request sees the change too. The result is nil for an ID that does
// not exist.
func (k *Keys) fill(ctx context.Context, id string) (entry *cached, err error) {
	for range 2 {
		generation, read := k.cache.generation(id).Load(), time.Now()
		record, err := k.store.Find(ctx, id)
		var done bool
		switch {
		case errors.Is(err, ErrNotFound):
			entry, done = nil, k.cache.putMissing(id, read, generation)
		case err != nil:
			return nil, err
		default:
			k.cache.misses[shardOf(id, shardCount)].Add(1)
			entry = &cached{record, read}
			done = k.cache.put(id, entry, generation)
		}
		if done {
			break
		}
	}
	return entry, nil
}

// refill reads a key again whose cached record does not match the secret of the request:
// another process may have rotated the key. In each shard one request at a time calls the
// store; the others use its result if the call began after they arrived. So the load of
// the store does not grow with the number of wrong secrets.
func (k *Keys) refill(ctx context.Context, id string, arrived time.Time, record *Record) (time.Time, error) {
	turn := k.cache.turns[shardOf(id, shardCount)]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	entry, known := k.cache.get(id, time.Now())
	if !known || entry != nil && !entry.read.After(arrived) {
		var err error
		if entry, err = k.fill(ctx, id); err != nil {
			return time.Time{}, err
		}
	}
	return entry.at(record, time.Now())
}

// Invalidate deletes a key from the cache, or all keys if id is empty. The methods
// of Keys that change a key call it themselves.
func (k *Keys) Invalidate(id string) {
	if k.cache != nil {
		k.cache.invalidate(id)
	}
}
