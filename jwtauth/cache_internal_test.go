// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"testing"
	"time"
)

// In a full shard the entry that expires first makes room, and none does for one
// that is there already.
func TestCacheMakesRoom(t *testing.T) {
	now := time.Now()
	c := newCache(8 * shardCount)
	name := func(n byte) fingerprint { return fingerprint{0, n} } // all in one shard
	for n := range byte(8) {
		c.put(name(n), &verified{expires: now.Add(time.Duration(10-n) * time.Minute)})
	}
	c.put(name(3), &verified{expires: now.Add(time.Hour)})
	for n := range byte(8) {
		if c.get(name(n)) == nil {
			t.Errorf("%d has made room for nothing", n)
		}
	}
	c.put(name(8), &verified{expires: now.Add(time.Hour)})
	for n := range byte(9) {
		if there := c.get(name(n)) != nil; there == (n == 7) {
			t.Errorf("%d is there: %v", n, there)
		}
	}
	c.remove(name(8))
	if c.get(name(8)) != nil {
		t.Error("removed, and there")
	}
}
