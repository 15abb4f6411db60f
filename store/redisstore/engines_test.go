// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

// connect opens a client and closes it when the test ends.
func connect(t testing.TB, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	options.DialerRetryTimeout = time.Millisecond // tests stop servers
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// startServer starts a server and returns its client.
func startServer(t testing.TB) *redis.Client {
	t.Helper()
	return connect(t, enginetest.StartRedis(t, "appendonly no").URL())
}

// newStore returns an empty store.
func newStore(t testing.TB, client redis.UniversalClient) *redisstore.Store {
	t.Helper()
	return newStoreAt(t, client, rand.Text())
}

// newStoreAt returns the store with a prefix.
func newStoreAt(t testing.TB, client redis.UniversalClient, prefix string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// damage writes malformed values into the fields of a record, one at a time, and
// checks that find returns an error other than the given sentinels.
func damage(t *testing.T, client *redis.Client, record string, fields map[string][]string, find func() error, sentinels ...error) {
	t.Helper()
	good, err := client.HGetAll(t.Context(), record).Result()
	if err != nil || len(good) == 0 {
		t.Fatalf("HGETALL %s = %v, %v, want the record", record, good, err)
	}
	for field, values := range fields {
		for _, value := range values {
			if err := client.HSet(t.Context(), record, field, value).Err(); err != nil {
				t.Fatal(err)
			}
			err := find()
			if err == nil || slices.ContainsFunc(sentinels, func(sentinel error) bool { return errors.Is(err, sentinel) }) {
				t.Errorf("find with %s = %q: error = %v, want one other than %v", field, value, err, sentinels)
			}
			if err := errors.Join(client.Del(t.Context(), record).Err(), client.HSet(t.Context(), record, good).Err()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := find(); err != nil {
		t.Errorf("find of the restored record: error = %v", err)
	}
}

// startCluster starts a Redis cluster of one server.
func startCluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	server := enginetest.StartRedis(t, "cluster-enabled yes", "appendonly no")
	single := connect(t, server.URL())
	if err := single.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	options := single.Options()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{server.Addr()}, Password: options.Password, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = cluster.Close() })
	enginetest.Eventually(t, time.Minute, "the cluster is up", func() bool {
		info, err := single.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	return cluster
}
