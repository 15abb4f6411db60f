// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultEnvironment = "live"
	defaultMaxLifetime = 90 * 24 * time.Hour
	maxCacheTTL        = 5 * time.Second
)

// Config configures [Keys].
type Config struct {
	// Store stores the keys of this prefix only. Required.
	Store Store

	// Prefix is the beginning of every key, such as "acme": 2 to 16 lower-case letters
	// and digits, a letter first. Required. Secret scanners search for it, so choose one
	// that no other text contains.
	Prefix string

	// Environment is the environment of this server, "live" if empty: at most 16
	// lower-case letters and digits, a letter first. A key of another
	// environment is rejected with 403 without a call of the store.
	Environment string

	// Issuer is the Issuer of the principals, Prefix if empty.
	Issuer string

	// Kind is the Kind of the principals, [gatehouse.KindService] if empty.
	Kind gatehouse.Kind

	// Scopes are the scopes that keys can have. Optional; without it keys have
	// no scopes. Wildcards are not supported: New rejects a "*".
	Scopes []string

	// MaxLifetime is the longest lifetime of a secret, 90 days if zero.
	MaxLifetime time.Duration

	// Peppers turn the stored hashes into HMACs. The first pepper hashes new
	// secrets; all of them, at most four, verify secrets. To change the pepper,
	// insert the new one at the front of the list. Rotation moves a key to it;
	// remove the old one when all keys have been rotated.
	Peppers []Pepper

	// AllowUnpeppered accepts keys that were created without Peppers. Until the
	// last of them is rotated, an attacker with write access to the store can
	// create keys.
	AllowUnpeppered bool

	// Proxies are the networks of the reverse proxies in front of this server.
	// The address of a client behind one of them is the last entry of
	// X-Forwarded-For that is not a proxy. Do not include an address from which
	// clients can connect: they could choose their address. Without Proxies the
	// header is ignored.
	Proxies []netip.Prefix

	// CacheTTL, if not zero, caches the records of the store for this time, at most 5
	// s. A key that another process revokes stays valid for that time, or until the
	// Watcher reports it.
	CacheTTL time.Duration

	// Watcher reports the changes of other processes to [Keys.Watch]. Optional,
	// with a cache only.
	Watcher Watcher

	// Observer receives every change and the events of Thresholds. If it returns an
	// error, the change is kept and the method returns the error; the response to a
	// request is 503. Optional.
	Observer gatehouse.Observer

	// Thresholds set the events about the use of keys. Optional.
	Thresholds Thresholds
}

// Keys creates, verifies and revokes API keys. It is a
// [gatehouse.Authenticator]. It is safe for concurrent use.
type Keys struct {
	store       Store
	prefix      string
	start       string // prefix and underscore
	environment string
	issuer      string
	kind        gatehouse.Kind
	scopes      gatehouse.Scopes
	maxLifetime time.Duration
	hasher      *hasher
	proxies     clientaddr.Proxies
	cache       *cache // nil if off
	watcher     Watcher
	observer    gatehouse.Observer
	usage       usage
	alarm       *alarm // nil if no threshold is set
}

var _ gatehouse.Authenticator = (*Keys)(nil)

// New returns Keys. It reports all errors of the configuration at once, and an
// [EventMemoryStore] to the observer. It does not call the store.
func New(config Config) (*Keys, error) {
	k := &Keys{
		store:       config.Store,
		prefix:      config.Prefix,
		start:       config.Prefix + "_",
		environment: orElse(config.Environment, defaultEnvironment),
		issuer:      orElse(config.Issuer, config.Prefix),
		kind:        orElse(config.Kind, gatehouse.KindService),
		maxLifetime: orElse(config.MaxLifetime, defaultMaxLifetime),
		watcher:     config.Watcher,
		observer:    config.Observer,
		usage:       usage{make(table[*keyUsage], shardCount)},
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("apikey: Config."+format, args...))
		}
	}
	check(!typednil.Is(k.store), "Store: required")
	check(k.watcher == nil || !typednil.Is(k.watcher), "Watcher: is a nil %T", k.watcher)
	check(k.observer == nil || !typednil.Is(k.observer), "Observer: is a nil %T", k.observer)
	check(k.prefix != "", "Prefix: required")
	check(k.prefix == "" || len(k.prefix) >= minPrefixChars && isName(k.prefix), "Prefix: got %q, must be 2 to 16 lower-case letters and digits, a letter first", k.prefix)
	check(isName(k.environment), "Environment: got %q, must be "+nameRule, k.environment)
	kinds := []gatehouse.Kind{gatehouse.KindUser, gatehouse.KindService, gatehouse.KindAgent}
	check(slices.Contains(kinds, k.kind), "Kind: got %q, must be user, service or agent", k.kind)
	var err error
	k.scopes, err = exactScopes(config.Scopes)
	check(err == nil, "Scopes: %w", err)
	check(k.maxLifetime >= time.Microsecond, "MaxLifetime: got %v, must be greater than 0", k.maxLifetime)
	k.proxies, err = clientaddr.Normalize(config.Proxies)
	check(err == nil, "Proxies%w", err)
	check(config.CacheTTL >= 0 && config.CacheTTL <= maxCacheTTL, "CacheTTL: got %v, must be 0 to %v", config.CacheTTL, maxCacheTTL)
	if config.CacheTTL > 0 {
		k.cache = newCache(config.CacheTTL)
	}
	if k.hasher, err = newHasher(config.Peppers, config.AllowUnpeppered); err != nil {
		errs = append(errs, err)
	}
	if k.alarm, err = newAlarm(config.Thresholds); err != nil {
		errs = append(errs, err)
	}
	check(k.alarm == nil || k.observer != nil || len(config.Thresholds.Suspend) > 0, "Thresholds: no effect without Observer or Thresholds.Suspend")
	if _, ok := config.Store.(*Memory); ok && len(errs) == 0 {
		errs = append(errs, gatehouse.Report(context.Background(), k.observer, gatehouse.Event{Type: EventMemoryStore, Level: slog.LevelWarn, Issuer: k.issuer}))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return k, nil
}

func orElse[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// exactScopes returns scopes without wildcards.
func exactScopes(tokens []string) (gatehouse.Scopes, error) {
	for _, token := range tokens {
		if strings.Contains(token, "*") {
			return gatehouse.Scopes{}, fmt.Errorf("%.64q: wildcards are not supported", token)
		}
	}
	return gatehouse.NewScopes(tokens...)
}
