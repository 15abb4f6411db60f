// SPDX-License-Identifier: Apache-2.0

package apikey

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

// Remembered returns how many entries are remembered of keys in use, of keys
// watched, and of addresses.
func (k *Keys) Remembered() (used, watched, addresses int) {
	for i := range k.usage.shards {
		used += len(k.usage.shards[i].keys)
	}
	if k.alarm != nil {
		for i := range k.alarm.shards {
			watched += len(k.alarm.shards[i].keys)
			addresses += len(k.alarm.shards[i].addresses)
		}
	}
	return used, watched, addresses
}

// Cached returns how many entries the cache holds.
func (k *Keys) Cached() (found, missing int) {
	for i := range k.cache.shards {
		found += len(k.cache.shards[i].found)
		missing += len(k.cache.shards[i].missing)
	}
	return found, missing
}
