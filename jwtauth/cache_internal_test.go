// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// A full shard evicts the token that expires first. It evicts nothing for a token
// that it has.
func TestCacheEvicts(t *testing.T) {
	now := time.Now()
	c := newCache(sampleSize * shardCount)
	key := func(n byte) fingerprint { return fingerprint{0, n} } // all in one shard
	expect := func(step string, want ...byte) {
		t.Helper()
		var got []byte
		for n := range byte(9) {
			if c.get(key(n), now) != nil {
				got = append(got, n)
			}
		}
		if string(got) != string(want) {
			t.Errorf("%s: the cache has %v, want %v", step, got, want)
		}
	}
	for n := range byte(8) {
		c.put(key(n), &verified{expires: now.Add(time.Duration(10-n) * time.Minute)})
	}
	c.put(key(3), &verified{expires: now.Add(time.Hour)})
	expect("put of a known token", 0, 1, 2, 3, 4, 5, 6, 7)
	c.put(key(8), &verified{expires: now.Add(time.Hour)})
	expect("put of a new token", 0, 1, 2, 3, 4, 5, 6, 8)
	c.remove(key(8))
	expect("remove", 0, 1, 2, 3, 4, 5, 6)
}

func TestHeaderCache(t *testing.T) {
	var cache headerCache
	put := func(segment, kid string) {
		cache.put(&token{Compact: jose.Compact{Header: segment}, head: header{kid: kid}})
	}
	kid := func(segment string) string {
		if h := cache.get(segment); h != nil {
			return h.kid
		}
		return "none"
	}
	for _, step := range []struct{ put, kid, get, want string }{
		{get: "", want: "none"},
		{get: "abc", want: "none"},
		{put: "abc", kid: "1", get: "abc", want: "1"},
		// The same slot, by the characters in the middle and at the end.
		{get: "xbc", want: "none"},
		{get: "abbc", want: "none"},
		{get: "ab", want: "none"},
		{get: "abcd", want: "none"},
		{get: "ABC", want: "none"},
		{put: "abc", kid: "2", get: "abc", want: "1"}, // a known header is not stored again
		{put: "xbc", kid: "3", get: "xbc", want: "3"},
		{get: "abc", want: "none"}, // one header for each slot
	} {
		if step.put != "" {
			put(step.put, step.kid)
		}
		if got := kid(step.get); got != step.want {
			t.Errorf("get(%q) after put(%q) = kid %s, want %s", step.get, step.put, got, step.want)
		}
	}
	if h := (*headerCache)(nil).get("abc"); h != nil {
		t.Errorf("get of a nil cache = %v, want nil", h)
	}
}
