// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"sync"
	"time"
)

// cache keeps what the store has said, for a few seconds. What is known of ids
// that do not exist is kept apart, so that somebody who tries ids cannot push
// out what is known of those that do.
type cache struct {
	ttl    time.Duration
	shards [shardCount]cacheShard
}

type cacheShard struct {
	sync.RWMutex
	found, missing map[string]cached
	generation     uint64 // grows with each invalidation
}

type cached struct {
	record Record
	read   time.Time // before the store was asked
}

func newCache(ttl time.Duration) *cache {
	c := &cache{ttl: ttl}
	for i := range c.shards {
		c.shards[i].clear()
	}
	return c
}

func (c *cache) shard(id string) *cacheShard { return &c.shards[shardOf(id)] }

// get returns what is known of an id, and the generation to fill it in with if
// that is nothing.
func (c *cache) get(id string, now time.Time) (entry cached, known bool, generation uint64) {
	s := c.shard(id)
	s.RLock()
	defer s.RUnlock()
	entry, known = s.found[id]
	if !known {
		entry, known = s.missing[id]
	}
	return entry, known && now.Sub(entry.read) < c.ttl, s.generation
}

// put fills in what the store has said, unless something was invalidated since
// it was asked: what it said may be older than that. It reports whether it did.
func (c *cache) put(id string, entry cached, missing bool, generation uint64) bool {
	s := c.shard(id)
	s.Lock()
	defer s.Unlock()
	if s.generation != generation {
		return false
	}
	delete(s.found, id)
	delete(s.missing, id)
	entries := s.found
	if missing {
		entries = s.missing
	}
	makeRoom(entries)
	entries[id] = entry
	return true
}

func (c *cache) invalidate(id string) {
	if id == "" {
		for i := range c.shards {
			c.shards[i].Lock()
			c.shards[i].clear()
			c.shards[i].Unlock()
		}
		return
	}
	s := c.shard(id)
	s.Lock()
	defer s.Unlock()
	s.generation++
	delete(s.found, id)
	delete(s.missing, id)
}

func (s *cacheShard) clear() {
	s.generation++
	s.found = make(map[string]cached)
	s.missing = make(map[string]cached)
}

// lookup returns the record of an id and the time by the store's clock, from
// the cache where that is on.
func (k *Keys) lookup(ctx context.Context, id string) (Record, time.Time, error) {
	if k.cache == nil {
		record, err := k.store.Find(ctx, id)
		return record, record.AsOf, err
	}
	start := time.Now()
	entry, known, generation := k.cache.get(id, start)
	if !known {
		if err := k.fill(ctx, id, &entry, generation); err != nil {
			return Record{}, time.Time{}, err
		}
	}
	if entry.record.ID == "" {
		return Record{}, time.Time{}, ErrNotFound
	}
	// The store's clock was read after entry.read, so this errs on the late
	// side, and a key is over when it is over.
	return entry.record, entry.record.AsOf.Add(time.Since(entry.read)), nil
}

// fill asks the store. Where a change comes to light meanwhile it asks once
// more, so that the request itself goes by what is newer.
func (k *Keys) fill(ctx context.Context, id string, entry *cached, generation uint64) error {
	for range 2 {
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
		_, _, generation = k.cache.get(id, entry.read)
	}
	return nil
}

// Invalidate drops what the cache holds of a key, or all that it holds if id is
// empty. Changes made through these Keys have done so already.
func (k *Keys) Invalidate(id string) {
	if k.cache != nil {
		k.cache.invalidate(id)
	}
}

// Watch listens to [Config].Watcher and drops from the cache what changes
// elsewhere. It blocks until ctx is over or the Watcher cannot go on, and
// always returns an error; run it in a goroutine, and start it again if it
// returns early. While it does not run, a revocation made by another process
// takes CacheTTL to be seen here.
func (k *Keys) Watch(ctx context.Context) error {
	if k.watcher == nil {
		return errors.New("apikey: watch: Config.Watcher is not set")
	}
	return k.watcher.Watch(ctx, k.Invalidate)
}
