// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

// API keys in Redis, with a cache that other processes empty when they revoke
// a key.
//
//nolint:testableexamples // TestExample runs it, with a server
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	// snippet: open
	options, err := redis.ParseURL(os.Getenv("REDIS_URL")) // redis://:password@host:6379/0
	if err != nil {
		log.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	defer client.Close()
	store, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Check(ctx); err != nil {
		log.Fatal(err)
	}

	keys, err := apikey.New(apikey.Config{
		Store:    store.APIKeys(),
		Prefix:   "acme",
		Scopes:   []string{"reports:read"},
		CacheTTL: 2 * time.Second, // the limit if a message is lost
		Watcher:  store.APIKeys(),
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = keys.Watch(ctx) }()
	// end snippet

	issued, err := keys.Create(ctx, apikey.Request{
		Owner: "ci", Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: 30 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	revoked, err := keys.Revoke(ctx, issued.Key.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(revoked.Owner, "revoked:", !revoked.Revoked.IsZero())
}
