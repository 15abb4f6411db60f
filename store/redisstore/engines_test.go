// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

// connect opens a client for the length of the test.
func connect(t testing.TB, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// newStore makes a store with nothing in it.
func newStore(t testing.TB, client redis.UniversalClient) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: rand.Text()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// startCluster starts a cluster of one server.
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
