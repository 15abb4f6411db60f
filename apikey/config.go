// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	defaultEnvironment = "live"
	defaultMaxLifetime = 90 * 24 * time.Hour
	maxCacheTTL        = 5 * time.Second
)

// Config configures [Keys].
type Config struct {
	// Store keeps the keys, of this prefix only. Required.
	Store Store

	// Prefix is what every key begins with, such as "acme": 2 to 16 lower-case
	// letters and digits, a letter first. Required. It should be found in no
	// other text, so that scanners find keys by it.
	Prefix string

	// Environment is where this server stands, "live" if empty: at most 16
	// lower-case letters and digits, a letter first. A key for another one is
	// refused with 403 and never looked up.
	Environment string

	// Issuer is the Issuer of the principals, Prefix if empty.
	Issuer string

	// Kind is the Kind of the principals, [gatehouse.KindService] if empty.
	Kind gatehouse.Kind

	// Scopes is the catalogue: what keys can be made for. Without it keys can
	// be made for nothing. There are no wildcards: a "*" is refused.
	Scopes []string

	// MaxLifetime is the longest time that a secret may be good for, 90 days if
	// zero.
	MaxLifetime time.Duration

	// Peppers turn the hashes in the store into HMACs. The first one hashes new
	// secrets, all of them verify, at most four. To change the pepper, put a
	// new one in front; keys move to it as they are rotated, and once all have,
	// the old one can go.
	Peppers []Pepper

	// AllowUnpeppered accepts keys made while there were no Peppers. Until the
	// last of them is rotated, who can write to the store can make keys.
	AllowUnpeppered bool

	// Proxies are the addresses of the proxies in front of this server. A
	// request that comes from one of them is taken to come from the last
	// address in X-Forwarded-For that is not one of them. Name no address from
	// which somebody else can connect. Without it the header is not read.
	Proxies []netip.Prefix

	// CacheTTL, if not zero, keeps what the store says of a key in memory for
	// so long, at most 5 s. A key revoked by another process is accepted for
	// as long, or until a Watcher tells of it.
	CacheTTL time.Duration

	// Watcher is where [Keys.Watch] learns of changes that other processes
	// make. Optional, of use with a cache only.
	Watcher Watcher

	// Events is told of every change and of what Thresholds are set for, after
	// the fact. Who made a change is in the context, if the application has
	// put it there: see [gatehouse.FromContext]. An error is returned to
	// whoever asked for the change, which stands; in a request it turns the
	// decision into 503. Optional. It must be safe for concurrent use.
	Events func(context.Context, Event) error

	// Thresholds are what to watch for. Optional.
	Thresholds Thresholds
}

// Keys makes, verifies and withdraws API keys. It is a
// [gatehouse.Authenticator], [gatehouse.Inspector] and [gatehouse.Challenger].
// It is safe for concurrent use.
type Keys struct {
	store       Store
	prefix      string
	start       string // prefix and underscore
	environment string
	issuer      string
	kind        gatehouse.Kind
	catalogue   gatehouse.Scopes
	maxLifetime time.Duration
	hasher      *hasher
	proxies     []netip.Prefix
	cache       *cache // nil if off
	watcher     Watcher
	events      func(context.Context, Event) error
	usage       usage
	alarm       *alarm // nil if no threshold is set
}

var _ interface {
	gatehouse.Authenticator
	gatehouse.Inspector
	gatehouse.Challenger
} = (*Keys)(nil)

// New makes Keys. All mistakes in the configuration are reported at once. It
// does not call the store.
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
		events:      config.Events,
		usage:       usage{make(table[*keyUsage], shardCount)},
	}
	var errs []error
	if k.store == nil {
		errs = append(errs, errors.New("apikey: Config.Store: required"))
	}
	switch {
	case k.prefix == "":
		errs = append(errs, errors.New("apikey: Config.Prefix: required"))
	case len(k.prefix) < minPrefixChars || !isName(k.prefix):
		errs = append(errs, errors.New("apikey: Config.Prefix: must be 2 to 16 lower-case letters and digits, a letter first"))
	}
	if !isName(k.environment) {
		errs = append(errs, errors.New("apikey: Config.Environment: must be at most 16 lower-case letters and digits, a letter first"))
	}
	switch k.kind {
	case gatehouse.KindUser, gatehouse.KindService, gatehouse.KindAgent:
	default:
		errs = append(errs, errors.New("apikey: Config.Kind: must be user, service or agent"))
	}
	var err error
	if k.catalogue, err = exactScopes(config.Scopes); err != nil {
		errs = append(errs, fmt.Errorf("apikey: Config.Scopes: %w", err))
	}
	if k.maxLifetime < time.Microsecond {
		errs = append(errs, errors.New("apikey: Config.MaxLifetime: must be greater than zero"))
	}
	if k.hasher, err = newHasher(config.Peppers, config.AllowUnpeppered); err != nil {
		errs = append(errs, err)
	}
	if k.proxies, err = plainPrefixes(config.Proxies); err != nil {
		errs = append(errs, fmt.Errorf("apikey: Config.Proxies: %w", err))
	}
	switch {
	case config.CacheTTL < 0 || config.CacheTTL > maxCacheTTL:
		errs = append(errs, fmt.Errorf("apikey: Config.CacheTTL: must be at most %v", maxCacheTTL))
	case config.CacheTTL > 0:
		k.cache = newCache(config.CacheTTL)
	}
	if k.alarm, err = newAlarm(config.Thresholds); err != nil {
		errs = append(errs, err)
	} else if k.alarm != nil && k.events == nil && len(config.Thresholds.Suspend) == 0 {
		errs = append(errs, errors.New("apikey: Config.Thresholds: nobody would learn of it: set Events or Suspend"))
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

// exactScopes makes a set of scopes that mean what they say.
func exactScopes(tokens []string) (gatehouse.Scopes, error) {
	if slices.ContainsFunc(tokens, func(s string) bool { return strings.Contains(s, "*") }) {
		return gatehouse.Scopes{}, errors.New("there are no wildcards")
	}
	return gatehouse.NewScopes(tokens...)
}
