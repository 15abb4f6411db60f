// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// sources are the caches and key sets that are read when metrics are collected.
type sources struct {
	mu     sync.Mutex
	tokens []*jwtauth.Authenticator
	keys   []*apikey.Keys
	opaque []*oauth.Introspector

	lookups, fetches metric.Int64Observable
	age              metric.Float64Observable
	size             metric.Int64Observable
}

// WatchTokens adds the cache of verified tokens and the key sets of a to the metrics.
func (t *Telemetry) WatchTokens(a *jwtauth.Authenticator) {
	t.sources.mu.Lock()
	defer t.sources.mu.Unlock()
	t.sources.tokens = append(t.sources.tokens, a)
}

// WatchKeys adds the cache of API keys to the metrics.
func (t *Telemetry) WatchKeys(k *apikey.Keys) {
	t.sources.mu.Lock()
	defer t.sources.mu.Unlock()
	t.sources.keys = append(t.sources.keys, k)
}

// WatchIntrospector adds the cache of introspected tokens to the metrics.
func (t *Telemetry) WatchIntrospector(i *oauth.Introspector) {
	t.sources.mu.Lock()
	defer t.sources.mu.Unlock()
	t.sources.opaque = append(t.sources.opaque, i)
}

// register makes the instruments that are read when they are collected.
func (t *Telemetry) register(meter metric.Meter) error {
	s := &t.sources
	var err [5]error
	s.lookups, err[0] = meter.Int64ObservableCounter("gatehouse.cache.lookups", metric.WithUnit("{lookup}"), metric.WithDescription("Valid credentials that were, or were not, in a cache."))
	s.fetches, err[1] = meter.Int64ObservableCounter("gatehouse.key_set.fetches", metric.WithUnit("{fetch}"), metric.WithDescription("Fetches of key sets."))
	s.age, err[2] = meter.Float64ObservableGauge("gatehouse.key_set.age", metric.WithUnit("s"), metric.WithDescription("Age of the key set that is in use."))
	s.size, err[3] = meter.Int64ObservableGauge("gatehouse.key_set.keys", metric.WithUnit("{key}"), metric.WithDescription("Usable keys of the key set that is in use."))
	if err := errors.Join(err[:]...); err != nil {
		return err
	}
	t.registration, err[4] = meter.RegisterCallback(s.observe, s.lookups, s.fetches, s.age, s.size)
	return err[4]
}

// observe is called when metrics are collected.
func (s *sources) observe(_ context.Context, o metric.Observer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	lookups := func(cache string, hits, misses uint64) {
		if hits+misses == 0 {
			return // also if there is no cache
		}
		name := attribute.String("gatehouse.cache", cache)
		o.ObserveInt64(s.lookups, int64(hits), metric.WithAttributes(name, result("hit")))    //nolint:gosec // far from the limit
		o.ObserveInt64(s.lookups, int64(misses), metric.WithAttributes(name, result("miss"))) //nolint:gosec // far from the limit
	}
	var tokens, keys, opaque struct{ hits, misses uint64 }
	sets := make(map[string]jwtauth.KeySetStats)
	for _, a := range s.tokens {
		stats := a.Stats()
		tokens.hits += stats.CacheHits
		tokens.misses += stats.CacheMisses
		for _, set := range stats.KeySets {
			sets[set.Issuer] = merge(sets[set.Issuer], set)
		}
	}
	for _, k := range s.keys {
		stats := k.Stats()
		keys.hits += stats.CacheHits
		keys.misses += stats.CacheMisses
	}
	for _, i := range s.opaque {
		stats := i.Stats()
		opaque.hits += stats.CacheHits
		opaque.misses += stats.CacheMisses
	}
	lookups("jwtauth", tokens.hits, tokens.misses)
	lookups("apikey", keys.hits, keys.misses)
	lookups("introspection", opaque.hits, opaque.misses)
	for name, set := range sets {
		issuer := attribute.String("gatehouse.issuer", name)
		o.ObserveInt64(s.fetches, int64(set.Fetches-set.Failed), metric.WithAttributes(issuer, result("success"))) //nolint:gosec // far from the limit
		o.ObserveInt64(s.fetches, int64(set.Failed), metric.WithAttributes(issuer, result("failure")))             //nolint:gosec // far from the limit
		if !set.Fetched.IsZero() {
			o.ObserveInt64(s.size, int64(set.Keys), metric.WithAttributes(issuer))
			o.ObserveFloat64(s.age, time.Since(set.Fetched).Seconds(), metric.WithAttributes(issuer))
		}
	}
	return nil
}

func result(value string) attribute.KeyValue { return attribute.String("gatehouse.result", value) }

// merge returns the key sets of one issuer in two authenticators as one: the sum of all
// fetches, the age of the older set, and the number of keys of the smaller set.
func merge(a, b jwtauth.KeySetStats) jwtauth.KeySetStats {
	b.Fetches += a.Fetches
	b.Failed += a.Failed
	switch {
	case a.Fetched.IsZero():
	case b.Fetched.IsZero():
		b.Fetched, b.Keys = a.Fetched, a.Keys
	default:
		b.Keys = min(a.Keys, b.Keys)
		if a.Fetched.Before(b.Fetched) {
			b.Fetched = a.Fetched
		}
	}
	return b
}
