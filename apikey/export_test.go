// SPDX-License-Identifier: Apache-2.0

package apikey

import "fmt"

// CountHashes counts the hashes that f computes.
func CountHashes(f func()) int {
	n := 0
	testHookHash = func() { n++ }
	defer func() { testHookHash = nil }()
	f()
	return n
}

// The limits of the keys and of other entries in one shard.
const (
	MaxKeys    = maxKeys
	MaxEntries = maxEntries
)

// SameShard returns n IDs of one shard, the last one.
func SameShard(n int) []string {
	var ids []string
	for i := 0; len(ids) < n; i++ {
		if id := fmt.Sprintf("%016x", i); shardOf(id, shardCount) == shardCount-1 {
			ids = append(ids, id)
		}
	}
	return ids
}

// AddsUsageOnce reports whether two goroutines that add an ID share one entry.
func (k *Keys) AddsUsageOnce(id string) bool {
	first := k.usage.add(id)
	return k.usage.add(id) == first
}

// Remembered returns the number of used keys and of keys with a history, and the
// largest number of addresses in a shard.
func (k *Keys) Remembered() (used, watched, addresses int) {
	for i := range k.usage.keys {
		used += len(k.usage.keys[i].entries)
	}
	if k.alarm != nil {
		for i := range k.alarm.shards {
			watched += len(k.alarm.shards[i].keys)
			addresses = max(addresses, len(k.alarm.shards[i].addresses))
		}
	}
	return used, watched, addresses
}

// Cached returns the number of entries in the cache.
func (k *Keys) Cached() (found, missing int) {
	for i := range k.cache.shards {
		found += len(k.cache.shards[i].found)
		missing += len(k.cache.shards[i].missing)
	}
	return found, missing
}
