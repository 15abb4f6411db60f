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

// watch runs Watch for the length of the test and returns what it tells.
func watch(t *testing.T, w apikey.Watcher) (changes <-chan string, ended <-chan error) {
	t.Helper()
	told, end := make(chan string, 1000), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		end <- w.Watch(ctx, func(id string) { told <- id })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return told, end
}

// A watcher that has missed something says so, however its connection was lost.
func TestWatchAfterBreak(t *testing.T) {
	server := enginetest.StartRedis(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	keys := newKeysAt(t, connect(t, server.URL()))
	changes, _ := watch(t, newKeysAt(t, connect(t, enginetest.Via(t, server.URL(), proxy))))
	enginetest.Receive(t, changes, "", "it listens")
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
	enginetest.Receive(t, changes, "a", "it was revoked")

	proxy.Cut()
	revoke("b")
	proxy.Restore()
	enginetest.Receive(t, changes, "", "the connection was cut, and something was lost")
	revoke("c")
	enginetest.Receive(t, changes, "c", "it was revoked after the break")

	// Without a word: only the heartbeat can find out, and connects anew.
	before := proxy.Conns()
	proxy.Freeze()
	enginetest.Eventually(t, time.Minute, "the silence is noticed", func() bool { return proxy.Conns() > before })
	proxy.Cut()
	proxy.Thaw()
	proxy.Restore()
	enginetest.Receive(t, changes, "", "the connection was silent")

	server.Kill(t)
	server.Start(t)
	enginetest.Receive(t, changes, "", "the server has crashed")
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
		_, err := keys.Revoke(t.Context(), "d")
		return err == nil
	})
	enginetest.Receive(t, changes, "d", "it was revoked after the crash")
}

func newKeysAt(t *testing.T, client *redis.Client) *redisstore.APIKeys {
	t.Helper()
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: "watch"})
	if err != nil {
		t.Fatal(err)
	}
	return s.APIKeys()
}

// Nothing can be heard over a client that the application has closed.
func TestWatchClosed(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	changes, ended := watch(t, newKeysAt(t, client))
	enginetest.Receive(t, changes, "", "it listens")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, redis.ErrClosed) {
			t.Errorf("error %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("Watch goes on over a closed client")
	}
}
