// SPDX-License-Identifier: Apache-2.0

package apikey

import "fmt"

// Checksum is what stands behind a body.
func Checksum(body string) string { return checksum([]byte(body)) }

// CountHashes counts the hashes that f computes.
func CountHashes(f func()) int {
	n := 0
	testHookHash = func() { n++ }
	defer func() { testHookHash = nil }()
	f()
	return n
}

// MaxEntries bounds what one shard remembers, of each kind.
const MaxEntries = maxEntries

// SameShard returns n ids of one shard.
func SameShard(n int) []string {
	var ids []string
	for i := 0; len(ids) < n; i++ {
		if id := fmt.Sprintf("%016d", i); shardOf(id, shardCount) == 7 {
			ids = append(ids, id)
		}
	}
	return ids
}

// UsageIsMadeOnce reports whether two that come at once share one count.
func (k *Keys) UsageIsMadeOnce(id string) bool {
	first := k.usage.add(id)
	return k.usage.add(id) == first
}

// Remembered returns how many entries are remembered of keys in use, of keys
// watched, and of addresses.
func (k *Keys) Remembered() (used, watched, addresses int) {
	for range k.usage.keys.all() {
		used++
	}
	if k.alarm != nil {
		for i := range k.alarm.shards {
			watched += len(k.alarm.shards[i].keys)
			addresses = max(addresses, len(k.alarm.shards[i].addresses))
		}
	}
	return used, watched, addresses
}

// Cached returns how many entries the cache holds.
func (k *Keys) Cached() (found, missing int) {
	for range k.cache.found.all() {
		found++
	}
	for range k.cache.missing.all() {
		missing++
	}
	return found, missing
}
