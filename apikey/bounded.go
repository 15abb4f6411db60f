// SPDX-License-Identifier: Apache-2.0

package apikey

// maxEntries is how many entries one shard of a map in memory may hold. There
// are 64 shards, so a map holds 16,384.
const maxEntries = 256

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
