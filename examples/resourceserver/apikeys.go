// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
	"github.com/gatehouse-go/gatehouse/examples/internal/engine"
)

const (
	// keyPrefix is what every API key begins with. Every program that shares
	// the store has the same one.
	keyPrefix = "gatehouse"

	// keyLifetime is for how long a key that is minted is good.
	keyLifetime = 90 * 24 * time.Hour
)

// apiKeysConfig says where API keys are kept.
type apiKeysConfig struct {
	engine.Config
	CacheTTL string       `json:"cache_ttl" example:"2s"` // no cache if left out
	Mint     []mintConfig `json:"mint"`                   // keys to make at start, for memory only
}

// mintConfig is a key to make at start.
type mintConfig struct {
	Name   string   `json:"name"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
}

// check returns the mistakes that are none of the library's.
func (c *apiKeysConfig) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("api_keys."+format, args...)) }
	if c.Driver != "memory" && len(c.Mint) > 0 {
		fail("mint: for the driver memory only")
	}
	if _, err := c.cacheTTL(); err != nil {
		fail(`cache_ttl: %q is not a duration such as "2s"`, c.CacheTTL)
	}
	for n, mint := range c.Mint {
		same := func(other mintConfig) bool { return other.Name == mint.Name }
		switch {
		case mint.Name == "":
			fail("mint[%d].name: required", n)
		case strings.ContainsFunc(mint.Name, unicode.IsSpace):
			fail("mint[%d].name: has a space in it", n)
		case slices.ContainsFunc(c.Mint[:n], same):
			fail("mint[%d].name: is there twice", n)
		}
	}
	return errors.Join(errs...)
}

func (c *apiKeysConfig) cacheTTL() (time.Duration, error) {
	if c.CacheTTL == "" {
		return 0, nil
	}
	return time.ParseDuration(c.CacheTTL)
}

// apiKeys are the API keys that this server takes.
type apiKeys struct {
	*apikey.Keys
	engine *engine.Engine
	config *apiKeysConfig
	logger *slog.Logger
	stop   context.CancelFunc
	work   sync.WaitGroup
}

func newAPIKeys(config *apiKeysConfig, logger *slog.Logger) (*apiKeys, error) {
	opened, err1 := config.Open(logger)
	if err1 != nil {
		err1 = fmt.Errorf("api_keys.%w", err1)
	}
	ttl, _ := config.cacheTTL()
	var catalogue []string // of the keys that are made here; what others make has its own
	for _, mint := range config.Mint {
		catalogue = append(catalogue, mint.Scopes...)
	}
	keys, err2 := apikey.New(apikey.Config{
		Store:    opened.APIKeys,
		Prefix:   keyPrefix,
		Scopes:   catalogue,
		CacheTTL: ttl,
		Watcher:  opened.Watcher,
	})
	err2 = configfile.Rename(err2, "apikey: Config.CacheTTL", "api_keys.cache_ttl", "apikey: Config.Scopes", "api_keys.mint: scopes")
	if err := configfile.Join(err1, config.check(), err2); err != nil {
		_ = opened.Close()
		return nil, err
	}
	return &apiKeys{Keys: keys, engine: opened, config: config, logger: logger, stop: func() {}}, nil
}

// start prepares the store, and makes the configured keys and returns a line
// with each. This is the only time that they can be seen.
func (k *apiKeys) start(ctx context.Context) (string, error) {
	ctx, k.stop = context.WithCancel(ctx)
	if err := k.engine.Start(ctx, k.logger); err != nil {
		return "", fmt.Errorf("api_keys.dsn: %w", err)
	}
	if ttl, _ := k.config.cacheTTL(); ttl > 0 && k.engine.Watcher != nil {
		k.work.Go(func() { _ = k.Watch(ctx) }) // ends with ctx
	}
	var minted strings.Builder
	for n, mint := range k.config.Mint {
		issued, err := k.Create(ctx, apikey.Request{
			Owner: mint.Name, Tenant: mint.Tenant, Scopes: mint.Scopes, Lifetime: keyLifetime,
		})
		if err != nil {
			field := fmt.Sprintf("api_keys.mint[%d].", n)
			return "", configfile.Rename(err, "apikey: Request.Owner", field+"name",
				"apikey: Request.Tenant", field+"tenant", "apikey: Request.Scopes", field+"scopes")
		}
		fmt.Fprintf(&minted, "api-key %s %s\n", mint.Name, issued.Secret.Reveal())
	}
	return minted.String(), nil
}

func (k *apiKeys) close() {
	k.stop()
	k.work.Wait()
	_ = k.engine.Close()
}
