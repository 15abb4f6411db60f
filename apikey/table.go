// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"iter"
	"maps"
	"sync"
	"sync/atomic"
)

// What is kept in memory of keys in use is spread over shards, so that requests
// do not wait for each other, and each shard is bounded: 16,384 entries in all.
const (
	shardCount = 256
	maxEntries = 64
)

// shardOf returns the shard of an id. Ids are random, so a few of their
// characters will do.
func shardOf(id string, shards int) int {
	n := 0
	for i := max(0, len(id)-3); i < len(id); i++ {
		n = n*len(alphabet) + int(id[i])
	}
	return n % shards
}

// table is a map from ids that is read much more often than it is changed.
// Readers take no lock: every change makes a new map of one shard.
type table[V any] []tableShard[V]

type tableShard[V any] struct {
	entries atomic.Pointer[map[string]V]
	mu      sync.Mutex // held to change
}

func (t table[V]) load(id string) (value V, ok bool) {
	if entries := t[shardOf(id, len(t))].entries.Load(); entries != nil {
		value, ok = (*entries)[id]
	}
	return value, ok
}

// change lets f change a copy of the shard that an id belongs to, and puts it
// in place.
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

// makeRoom takes an entry out of a map that is full: any one, in an order that
// nobody can foresee, so that nobody can push out the one that they want to.
func makeRoom[K comparable, V any](entries map[K]V) {
	if len(entries) < maxEntries {
		return
	}
	for key := range entries {
		delete(entries, key)
		return
	}
}
