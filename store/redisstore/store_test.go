// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

func TestNewReportsInvalidConfig(t *testing.T) {
	t.Parallel()
	options := func(change func(*redis.Options)) *redis.Client {
		o := &redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true}
		change(o)
		c := redis.NewClient(o)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	cluster := func(change func(*redis.ClusterOptions)) *redis.ClusterClient {
		o := &redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true}
		change(o)
		c := redis.NewClusterClient(o)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}, ContextTimeoutEnabled: true})
	defer func() { _ = ring.Close() }()
	good := options(func(*redis.Options) {})
	for _, test := range []struct {
		config redisstore.Config
		want   string
	}{
		{redisstore.Config{}, "redisstore: Config.Client: required"},
		{redisstore.Config{Client: options(func(o *redis.Options) { o.ContextTimeoutEnabled = false })}, "redisstore: Config.Client: ContextTimeoutEnabled: required"},
		{redisstore.Config{Client: cluster(func(o *redis.ClusterOptions) { o.ContextTimeoutEnabled = false })}, "redisstore: Config.Client: ContextTimeoutEnabled: required"},
		{redisstore.Config{Client: cluster(func(o *redis.ClusterOptions) { o.ReadOnly = true })}, "redisstore: Config.Client: must not read from replicas"},
		{redisstore.Config{Client: cluster(func(o *redis.ClusterOptions) { o.RouteByLatency = true })}, "redisstore: Config.Client: must not read from replicas"},
		{redisstore.Config{Client: cluster(func(o *redis.ClusterOptions) { o.RouteRandomly = true })}, "redisstore: Config.Client: must not read from replicas"},
		{redisstore.Config{Client: ring}, "redisstore: Config.Client: *redis.Ring: want"},
		{redisstore.Config{Client: good, Prefix: "a{b}"}, `redisstore: Config.Prefix: "a{b}": want`},
		{redisstore.Config{Client: good, Prefix: "a:b"}, `redisstore: Config.Prefix: "a:b": want`},
		{redisstore.Config{Client: good, Observer: gatehouse.ObserverFunc(nil)}, "redisstore: Config.Observer: is a nil gatehouse.ObserverFunc"},
		{redisstore.Config{Client: good, Timeout: -1}, "redisstore: Config.Timeout: -1ns: must not be negative"},
	} {
		_, err := redisstore.New(test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%+v): error = %v, want %q", test.config, err, test.want)
		}
	}
	if _, err := redisstore.New(redisstore.Config{Client: good}); err != nil {
		t.Errorf("New() with a client: error = %v", err)
	}
}

// A call fails after the store's timeout or that of its context, whichever is
// shorter.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	server := enginetest.StartRedis(t, "appendonly no")
	proxy := enginetest.StartProxy(t, server.Addr())
	client := connect(t, enginetest.Via(t, server.URL(), proxy))
	open := func(timeout time.Duration) *redisstore.APIKeys {
		s := must(redisstore.New(redisstore.Config{Client: client, Timeout: timeout}))(t)
		return s.APIKeys()
	}
	unbounded, keys := open(0), open(300*time.Millisecond)
	createKey(t, unbounded, "a")
	proxy.Freeze()
	for _, timeout := range []time.Duration{time.Hour, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		for name, call := range map[string]func() error{
			"find":   func() error { return second(keys.Find(ctx, "a")) },
			"revoke": func() error { return second(keys.Revoke(ctx, "a")) },
		} {
			start := time.Now()
			if err := call(); err == nil || time.Since(start) > 10*time.Second {
				t.Errorf("%s with a context of %v: error = %v after %v, want an error within 10s", name, timeout, err, time.Since(start))
			}
		}
		cancel()
	}
	proxy.Thaw()
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
		_, err := unbounded.Find(t.Context(), "a")
		return err == nil
	})
}

// A change without a response is not retried: a second rotation would end the
// previous secret.
func TestChangesAreNotRetried(t *testing.T) {
	t.Parallel()
	server := enginetest.StartRedis(t, "appendonly no")
	proxy := enginetest.StartProxy(t, server.Addr())
	client := connect(t, enginetest.Via(t, server.URL(), proxy))
	const prefix = "once"
	through := newStoreAt(t, client, prefix)
	beside := newStoreAt(t, connect(t, server.URL()), prefix)
	// The server has cached the script and executes it as soon as it arrives.
	if _, err := beside.APIKeys().Rotate(t.Context(), "none", apikey.Rotation{}); !errors.Is(err, apikey.ErrNotFound) {
		t.Fatal(err)
	}
	for i := range 5 {
		id := strconv.Itoa(i)
		createKey(t, through.APIKeys(), id)
		// The response is dropped, and then the connection is cut.
		done := make(chan error, 1)
		proxy.DropResponses()
		go func() {
			_, err := through.APIKeys().Rotate(t.Context(), id, apikey.Rotation{MaxLifetime: time.Hour})
			done <- err
		}()
		enginetest.Eventually(t, time.Minute, "the server has rotated the key", func() bool {
			r, err := beside.APIKeys().Find(t.Context(), id)
			return err == nil && r.Generation > 1
		})
		proxy.Cut()
		proxy.Restore()
		if err := <-done; err == nil {
			t.Error("Rotate() without a response: error = nil")
		}
		r, err := beside.APIKeys().Find(t.Context(), id)
		if err != nil || r.Generation != 2 {
			t.Errorf("Find() after Rotate: generation %d, %v, want 2", r.Generation, err)
		}
	}
}
