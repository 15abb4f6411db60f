// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

// recorder is a watcher that also sends the IDs that it reports to a channel.
type recorder struct {
	apikey.Watcher
	ids chan string
}

func (r recorder) Watch(ctx context.Context, changed func(id string)) error {
	return r.Watcher.Watch(ctx, func(id string) { changed(id); r.ids <- id })
}

// watch runs Keys.Watch until the test ends, and returns the IDs that w reports and the
// types of the events.
func watch(t *testing.T, w apikey.Watcher) (changes, events <-chan string) {
	t.Helper()
	ids, types := make(chan string, 1000), make(chan string, 1000)
	keys, err := apikey.New(apikey.Config{
		Store: newStore(t, connect(t, "redis://127.0.0.1:1")).APIKeys(), Prefix: "acme", CacheTTL: time.Second, Watcher: recorder{w, ids},
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { types <- string(e.Type); return nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = keys.Watch(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return ids, types
}

// A watcher that may have missed changes reports "", however it lost its connection.
func TestWatchAfterBreak(t *testing.T) {
	t.Parallel()
	server := enginetest.StartRedis(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	keys := newKeysAt(t, connect(t, server.URL()))
	changes, events := watch(t, newKeysAt(t, connect(t, enginetest.Via(t, server.URL(), proxy))))
	enginetest.Receive(t, changes, "", "Watch listens")
	for _, id := range []string{"a", "b", "c", "d"} {
		createKey(t, keys, id)
	}
	revoke := func(id string) {
		t.Helper()
		must(keys.Revoke(t.Context(), id))(t)
	}
	revoke("a")
	enginetest.Receive(t, changes, "a", "the key was revoked")

	proxy.Cut()
	revoke("b")
	enginetest.Receive(t, events, string(apikey.EventWatchFailed), "the connection was cut")
	proxy.Restore()
	enginetest.Receive(t, changes, "", "the connection was cut and a message lost")
	enginetest.Receive(t, events, string(apikey.EventWatchRestored), "Watch listens again")
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

// A server that refuses the subscription is an event, with the right that is missing.
func TestWatchWithoutChannel(t *testing.T) {
	t.Parallel()
	admin := startServer(t)
	if err := admin.ACLSetUser(t.Context(), "app", "on", ">secret", "~*", "resetchannels", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	keys := newKeysAt(t, as(t, admin, "app"))
	if err := keys.Watch(t.Context(), func(string) {}); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("Watch() without the channel = %v, want NOPERM", err)
	}
	changes, events := watch(t, keys)
	enginetest.Receive(t, events, string(apikey.EventWatchFailed), "the user has no right to the channel")
	if err := admin.ACLSetUser(t.Context(), "app", "&*").Err(); err != nil {
		t.Fatal(err)
	}
	enginetest.Receive(t, changes, "", "the user has the right")
	enginetest.Receive(t, events, string(apikey.EventWatchRestored), "the user has the right")
}
