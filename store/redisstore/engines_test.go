// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"crypto/rand"
	"fmt"
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
	options := must(redis.ParseURL(url))(t)
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
	s := must(redisstore.New(redisstore.Config{Client: client, Prefix: prefix}))(t)
	return s
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

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// counted prints the number of records and the error.
func counted[R any](records []R, err error) any { return fmt.Sprint(len(records), err) }

// must returns a value, or fails the test.
func must[A any](value A, err error) func(testing.TB) A {
	return func(t testing.TB) A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
