// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store"
)

const (
	keyPrefix   = "gatehouse" // begins every API key; the same in all programs that share the store
	keyLifetime = 90 * 24 * time.Hour
)

// keysConfig is where API keys are kept.
type keysConfig struct {
	Driver   string       `json:"driver"`    // memory, sqlite, postgres or redis
	DSN      string       `json:"dsn"`       // a path or URL, or env:NAME or file:PATH that contains it
	CacheTTL string       `json:"cache_ttl"` // no cache if empty
	Mint     []mintConfig `json:"mint"`      // keys to create at start, for memory only
}

type mintConfig struct {
	Name   string   `json:"name"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
	Agent  string   `json:"agent"` // optional: the agent that uses the key; the key ends with it
}

// check returns the cache TTL, and errors in values that the library does not
// check.
func (c *keysConfig) check() (ttl time.Duration, err error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("api_keys."+format, args...)) }
	if c.Driver != "memory" && len(c.Mint) > 0 {
		fail("mint: for the driver memory only")
	}
	if c.CacheTTL != "" {
		if ttl, err = time.ParseDuration(c.CacheTTL); err != nil {
			fail(`cache_ttl: %q is not a duration such as "2s"`, c.CacheTTL)
		}
	}
	for n, mint := range c.Mint {
		switch {
		case mint.Name == "":
			fail("mint[%d].name: required", n)
		case strings.ContainsFunc(mint.Name, unicode.IsSpace):
			fail("mint[%d].name: contains a space", n)
		case slices.ContainsFunc(c.Mint[:n], func(other mintConfig) bool { return other.Name == mint.Name }):
			fail("mint[%d].name: occurs twice", n)
		}
	}
	return ttl, errors.Join(errs...)
}

// apiKeys are the API keys with their store.
type apiKeys struct {
	*apikey.Keys
	db     *store.DB
	config *keysConfig
	watch  bool // other processes change the store, and this one caches it
	work   sync.WaitGroup
}

func newAPIKeys(config *keysConfig, ttl time.Duration, observer gatehouse.Observer, logger *slog.Logger) (*apiKeys, error) {
	db, err := openStore("api_keys", store.Config{Driver: config.Driver, DSN: config.DSN, Logger: logger})
	if err != nil {
		return nil, err
	}
	var catalogue []string // the scopes of the keys created here
	for _, mint := range config.Mint {
		catalogue = append(catalogue, mint.Scopes...)
	}
	keys, err := apikey.New(apikey.Config{
		Store: db.APIKeys, Prefix: keyPrefix, Scopes: catalogue, CacheTTL: ttl, Watcher: db.Watcher, Observer: observer,
	})
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &apiKeys{Keys: keys, db: db, config: config, watch: ttl > 0 && db.Watcher != nil}, nil
}

// start prepares the store and creates the configured keys. It returns a line for
// each with its secret, which cannot be shown again. Background work ends with
// ctx.
func (k *apiKeys) start(ctx context.Context) (string, error) {
	if err := k.db.Start(ctx); err != nil {
		return "", fmt.Errorf("api_keys.dsn: %w", err)
	}
	if k.watch {
		k.work.Go(func() { _ = k.Watch(ctx) })
	}
	var minted strings.Builder
	for n, mint := range k.config.Mint {
		var metadata gatehouse.Claims
		if mint.Agent != "" {
			object, err := json.Marshal(map[string]string{"agent": mint.Agent})
			if err != nil {
				return "", err
			}
			if metadata, err = gatehouse.NewClaims(string(object)); err != nil {
				return "", err
			}
		}
		issued, err := k.Create(ctx, apikey.Request{
			Owner: mint.Name, Tenant: mint.Tenant, Scopes: mint.Scopes, Lifetime: keyLifetime, Metadata: metadata,
		})
		if err != nil {
			field := fmt.Sprintf("api_keys.mint[%d].", n)
			return "", errors.New(strings.NewReplacer("apikey: Request.Owner", field+"name", "apikey: Request.Tenant", field+"tenant",
				"apikey: Request.Scopes", field+"scopes").Replace(err.Error()))
		}
		fmt.Fprintf(&minted, "api-key %s %s\n", mint.Name, issued.Secret.Reveal())
	}
	return minted.String(), nil
}

// close waits for the background work, whose context has ended.
func (k *apiKeys) close() error {
	k.work.Wait()
	return k.db.Close()
}
