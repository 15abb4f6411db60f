// SPDX-License-Identifier: Apache-2.0

package apikey

// What is kept in memory is spread over shards, so that requests do not wait
// for each other, and each shard is bounded: 16,384 entries in all.
const (
	shardCount = 64
	maxEntries = 256
)

// shardOf returns the shard of an id. Ids are random, so any of their bits will
// do.
func shardOf(id string) int {
	if len(id) < 2 {
		return 0
	}
	return int(id[len(id)-1]^id[len(id)-2]<<3) % shardCount
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
