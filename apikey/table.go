// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"iter"
	"maps"
	"sync"
	"sync/atomic"
)

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
