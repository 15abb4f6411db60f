// SPDX-License-Identifier: Apache-2.0

package apikey

import "sync"

// Tables have shards, so that requests do not wait for each other. The size of each shard
// is bounded: 131,072 keys in all, and 16,384 entries that unknown clients can add.
const (
	shardCount = 256
	maxKeys    = 512
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

// table is a bounded map from the IDs of keys.
type table[V any] []tableShard[V]

type tableShard[V any] struct {
	mu      sync.Mutex
	entries map[string]V // nil until the first change
	_       [48]byte     // fills a cache line, against false sharing between cores
}

func (t table[V]) shard(id string) *tableShard[V] { return &t[shardOf(id, len(t))] }

func (t table[V]) load(id string) (value V, ok bool) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok = s.entries[id]
	return value, ok
}

// change calls f with the shard of an ID.
func (t table[V]) change(id string, f func(entries map[string]V)) { t.shard(id).change(f) }

func (s *tableShard[V]) change(f func(entries map[string]V)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = make(map[string]V)
	}
	f(s.entries)
}

// evict deletes an entry of a map that is full. Map order is random, so that a client
// cannot choose the entry.
func evict[K comparable, V any](entries map[K]V, limit int) {
	if len(entries) < limit {
		return
	}
	for key := range entries {
		delete(entries, key)
		return
	}
}
