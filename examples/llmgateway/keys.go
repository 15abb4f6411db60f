// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
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
	Name       string   `json:"name"`
	Tenant     string   `json:"tenant"`
	Scopes     []string `json:"scopes"`
	Roles      []string `json:"roles"`
	PerRequest *int64   `json:"max_tokens_per_request"`
	PerDay     *int64   `json:"max_tokens_per_day"`
}

// metadata are the data of a key that keyadmin writes too.
type metadata struct {
	Roles      []string `json:"roles,omitempty"`
	PerRequest *int64   `json:"max_tokens_per_request,omitempty"`
	PerDay     *int64   `json:"max_tokens_per_day,omitempty"`
}

// metadata returns the metadata of a key to create.
func (m *mintConfig) metadata() (gatehouse.Claims, error) {
	text, err := json.Marshal(metadata{m.Roles, m.PerRequest, m.PerDay})
	if err != nil {
		return gatehouse.Claims{}, err
	}
	return gatehouse.NewClaims(string(text))
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
		case mint.Tenant == "":
			fail("mint[%d].tenant: required", n)
		}
		if _, err := gatehouse.NewRoles(mint.Roles...); err != nil {
			fail("mint[%d].roles: %w", n, err)
		}
		for field, limit := range map[string]*int64{"max_tokens_per_request": mint.PerRequest, "max_tokens_per_day": mint.PerDay} {
			if limit != nil && (*limit < 0 || *limit > budget.MaxAmount) {
				fail("mint[%d].%s: must be 0 to %d", n, field, int64(budget.MaxAmount))
			}
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
		data, err := mint.metadata()
		if err != nil {
			return "", err
		}
		issued, err := k.Create(ctx, apikey.Request{
			Owner: mint.Name, Tenant: mint.Tenant, Scopes: mint.Scopes, Lifetime: keyLifetime, Metadata: data,
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

// roles sets the roles of the caller of an API key, which are in its metadata.
func roles(_ *http.Request, p gatehouse.Principal) (gatehouse.Principal, error) {
	if p.Method != apikey.Method {
		return p, nil
	}
	var data struct {
		Roles []string `json:"roles"`
	}
	err := p.Claims.Decode(&data)
	if err == nil {
		p.Roles, err = gatehouse.NewRoles(data.Roles...)
	}
	return p, err
}

// close waits for the background work, whose context has ended.
func (k *apiKeys) close() error {
	k.work.Wait()
	return k.db.Close()
}
