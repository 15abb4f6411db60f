// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// cache keeps what the store has said, for a few seconds. What is known of ids
// that do not exist is kept apart, so that somebody who tries ids cannot push
// out what is known of those that do.
type cache struct {
	ttl            time.Duration
	found, missing table[cached]
	// generations grow with each invalidation of an id in a shard, before the
	// entry goes.
	generations [shardCount]atomic.Uint64
}

type cached struct {
	record Record
	read   time.Time // before the store was asked
}

func newCache(ttl time.Duration) *cache {
	return &cache{ttl: ttl, found: make(table[cached], shardCount), missing: make(table[cached], shardCount)}
}

func (c *cache) generation(id string) *atomic.Uint64 { return &c.generations[shardOf(id, shardCount)] }

// get returns what is known of an id.
func (c *cache) get(id string, now time.Time) (entry cached, known bool) {
	if entry, known = c.found.load(id); !known {
		entry, _ = c.missing.load(id) // zero if it has none, and read long ago
	}
	return entry, now.Sub(entry.read) < c.ttl
}

// put fills in what the store has said, unless something was invalidated since
// generation was read, or the store has told somebody else something newer. It
// reports whether it did.
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
		makeRoom(entries)
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

// lookup fills in the record of an id and returns the time by the store's
// clock. It goes by the cache where that is on.
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
	// The store's clock was read after entry.read, so this errs on the late
	// side, and a key is over when it is over.
	return record.AsOf.Add(now.Sub(entry.read)), nil
}

// fill asks the store. Where a change comes to light meanwhile it asks once
// more, so that the request itself goes by what is newer.
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
