// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// cache keeps records of the store for a few seconds.
type cache struct {
	ttl    time.Duration
	shards [shardCount]cacheShard
}

// cacheShard keeps IDs that do not exist in a separate map, so that a client that guesses
// IDs cannot evict existing keys.
type cacheShard struct {
	mu      sync.Mutex
	found   map[string]*cached
	missing map[string]time.Time // the time before the call of the store
	// generation is incremented by each invalidation.
	generation uint64

	// hits counts lookups of existing keys in the cache, misses those that called the
	// store.
	hits, misses atomic.Uint64
	// turn lets one request at a time call the store again.
	turn chan struct{}
}

type cached struct {
	record Record
	read   time.Time // before the call of the store
}

func newCache(ttl time.Duration) *cache {
	c := &cache{ttl: ttl}
	for i := range c.shards {
		s := &c.shards[i]
		s.found, s.missing, s.turn = make(map[string]*cached), make(map[string]time.Time), make(chan struct{}, 1)
	}
	return c
}

func (c *cache) shard(id string) *cacheShard { return &c.shards[shardOf(id, shardCount)] }

// get returns the entry of an ID, nil if the ID does not exist, and reports whether
// it is valid.
func (c *cache) get(id string, now time.Time) (entry *cached, known bool) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry = s.found[id]; entry != nil {
		return entry, now.Sub(entry.read) < c.ttl
	}
	return nil, now.Sub(s.missing[id]) < c.ttl // the zero time is long ago
}

// put stores an entry, nil for an ID that does not exist, unless the shard was
// invalidated since generation was read or the present entry is newer. It reports
// whether it stored the entry.
func (s *cacheShard) put(id string, entry *cached, read time.Time, generation uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.found[id]
	switch {
	case s.generation != generation, entry != nil && old != nil && old.record.AsOf.After(entry.record.AsOf):
		return false
	case entry == nil:
		delete(s.found, id)
		evict(s.missing, maxEntries)
		s.missing[id] = read
		return true
	case old == nil:
		evict(s.found, maxKeys)
	}
	delete(s.missing, id)
	s.found[id] = entry
	return true
}

func (c *cache) invalidate(id string) {
	if id != "" {
		c.shard(id).invalidate(id)
		return
	}
	for i := range c.shards {
		c.shards[i].invalidate("")
	}
}

// invalidate deletes an ID, all if it is empty.
func (s *cacheShard) invalidate(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	if id == "" {
		clear(s.found)
		clear(s.missing)
	}
	delete(s.found, id)
	delete(s.missing, id)
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
			k.cache.shard(id).hits.Add(1)
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

// at sets record to that of the entry, if the ID exists, and returns the store's time at now. The
// store read its clock after e.read, so the result is never too early, and a key is never valid
// after its expiry.
func (e *cached) at(record *Record, now time.Time) (time.Time, error) {
	if e == nil {
		return time.Time{}, ErrNotFound
	}
	*record = e.record
	return record.AsOf.Add(now.Sub(e.read)), nil
}

// fill reads a key from the store. If the ID is invalidated meanwhile, it reads once
// more, so that this request sees the change too. The result is nil for an ID that does
// not exist.
func (k *Keys) fill(ctx context.Context, id string) (entry *cached, err error) {
	s := k.cache.shard(id)
	for range 2 {
		s.mu.Lock()
		generation, read := s.generation, time.Now()
		s.mu.Unlock()
		record, err := k.store.Find(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			entry = nil
		case err != nil:
			return nil, err
		default:
			s.misses.Add(1)
			entry = &cached{record, read}
		}
		if s.put(id, entry, read, generation) {
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
	turn := k.cache.shard(id).turn
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
