// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

func TestReplaysOfTwoServers(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	one, other := newStoreAt(t, client, "replays"), newStoreAt(t, connect(t, "redis://:"+client.Options().Password+"@"+client.Options().Addr), "replays")
	for n := range 20 {
		results := make(chan bool, 2)
		for _, s := range []*redisstore.Store{one, other} {
			go func() {
				inserted, err := s.Replays().Insert(t.Context(), [32]byte{31: byte(n)}, time.Minute)
				if err != nil {
					t.Errorf("Insert error = %v", err)
				}
				results <- inserted
			}()
		}
		if a, b := <-results, <-results; a == b {
			t.Fatalf("Insert of one key on two servers = %v and %v, want one true", a, b)
		}
	}
	// The server removes the keys: each has an expiry, no earlier than its lifetime.
	keys, err := client.Keys(t.Context(), "replays:replays:1:*").Result()
	if err != nil || len(keys) != 20 {
		t.Fatalf("KEYS = %d keys, %v, want 20", len(keys), err)
	}
	for _, key := range keys {
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Minute+time.Millisecond {
			t.Errorf("PTTL of %q = %v, want at most 1m0.001s", key, ttl)
		}
	}
}
