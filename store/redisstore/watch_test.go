// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

// watch runs Watch until the test ends, and returns the ids that it reports and
// its error.
func watch(t *testing.T, w apikey.Watcher) (changes <-chan string, ended <-chan error) {
	t.Helper()
	ids, end := make(chan string, 1000), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		end <- w.Watch(ctx, func(id string) { ids <- id })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return ids, end
}

// A watcher that may have missed changes reports "", however it lost its connection.
func TestWatchAfterBreak(t *testing.T) {
	t.Parallel()
	server := enginetest.StartRedis(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	keys := newKeysAt(t, connect(t, server.URL()))
	changes, _ := watch(t, newKeysAt(t, connect(t, enginetest.Via(t, server.URL(), proxy))))
	enginetest.Receive(t, changes, "", "Watch listens")
	for _, id := range []string{"a", "b", "c", "d"} {
		if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}); err != nil {
			t.Fatal(err)
		}
	}
	revoke := func(id string) {
		t.Helper()
		if _, err := keys.Revoke(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	revoke("a")
	enginetest.Receive(t, changes, "a", "the key was revoked")

	proxy.Cut()
	revoke("b")
	proxy.Restore()
	enginetest.Receive(t, changes, "", "the connection was cut and a message lost")
	revoke("c")
	enginetest.Receive(t, changes, "c", "the key was revoked after the reconnect")

	server.Kill(t)
	server.Start(t)
	enginetest.Receive(t, changes, "", "the server was restarted")
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
		_, err := keys.Revoke(t.Context(), "d")
		return err == nil
	})
	enginetest.Receive(t, changes, "d", "the key was revoked after the crash")
}

// Only the heartbeat detects a connection that hangs.
func TestWatchDetectsFrozenConnection(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	server := enginetest.StartRedis(t, "appendonly no")
	proxy := enginetest.StartProxy(t, server.Addr())
	changes, _ := watch(t, newKeysAt(t, connect(t, enginetest.Via(t, server.URL(), proxy))))
	enginetest.Receive(t, changes, "", "Watch listens")
	before := proxy.Conns()
	proxy.Freeze()
	enginetest.Eventually(t, time.Minute, "Watch reconnects", func() bool { return proxy.Conns() > before })
	proxy.Cut()
	proxy.Thaw()
	proxy.Restore()
	enginetest.Receive(t, changes, "", "the connection was frozen")
}

func newKeysAt(t *testing.T, client *redis.Client) *redisstore.APIKeys {
	t.Helper()
	return newStoreAt(t, client, "watch").APIKeys()
}

// Watch returns when the application closes the client.
func TestWatchClosed(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	changes, ended := watch(t, newKeysAt(t, client))
	enginetest.Receive(t, changes, "", "Watch listens")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, redis.ErrClosed) {
			t.Errorf("Watch() = %v, want %v", err, redis.ErrClosed)
		}
	case <-time.After(time.Minute):
		t.Error("Watch does not return within a minute of Close")
	}
}
