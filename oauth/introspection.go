// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/expiring"
	"github.com/gatehouse-go/gatehouse/internal/flight"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// MethodIntrospection is the Method of callers whose token an [Introspector] has
// accepted.
const MethodIntrospection gatehouse.Method = "introspection"

const (
	maxOpaqueBytes         = 8 << 10
	introspectionTimeout   = 8 * time.Second
	maxIntrospections      = 512  // at the same time
	maxIntrospectionWaits  = 1000 // callers that wait for one of them
	defaultIntrospected    = 10_000
	maxIntrospected        = 1_000_000
	maxIntrospectionCache  = time.Minute
	maxIntrospectionAge    = time.Minute // of a JWT response
	maxIntrospectionBytes  = 16 << 10    // of a JWT response
	introspectionJWTAccept = "application/token-introspection+jwt"
)

// IntrospectorConfig configures an [Introspector].
type IntrospectorConfig struct {
	// Endpoints are called in this order, until one reports that the token is active. So
	// each endpoint receives the tokens that are not active at the endpoints before it.
	// At least one is required.
	Endpoints []IntrospectionEndpoint

	// Cache is the time for which an active token is accepted without another call of the
	// endpoint: up to 1 minute, and at most until its exp. A token that is revoked
	// meanwhile stays accepted for this time. If Cache is zero, each request calls the
	// endpoint.
	Cache time.Duration

	// CacheEntries bounds the cache: 10,000 by default, at most 1,000,000.
	CacheEntries int

	// Confirmers check the proof of possession of sender-constrained tokens. A token
	// with a cnf member without a confirmer is rejected. Optional.
	Confirmers []gatehouse.Confirmer
}

// Introspector is an authenticator of opaque access tokens. It calls the introspection
// endpoint of the authorization server, RFC 7662. It is safe for concurrent use.
type Introspector struct {
	endpoints  []introspectionEndpoint
	confirmers *gatehouse.Confirmers
	ttl        time.Duration
	asking     flight.Group[fingerprint, *introspected]

	mu    sync.Mutex
	cache expiring.Map[fingerprint, struct{}, *introspected]
	stats IntrospectorStats
}

var _ gatehouse.Authenticator = (*Introspector)(nil)

// fingerprint identifies a token.
type fingerprint = [sha256.Size]byte

// introspectionEndpoint is a checked endpoint.
type introspectionEndpoint struct {
	IntrospectionEndpoint
	verifier *jwtauth.Verifier // nil if responses are plain JSON
}

// introspected is an active token for this API. It is immutable.
type introspected struct {
	principal    gatehouse.Principal
	confirmation gatehouse.Confirmation
	tenants      []string
	until        time.Time // when the endpoint must be called again
}

// NewIntrospector returns an introspector. It reports all configuration errors at
// once and makes no network call.
func NewIntrospector(config IntrospectorConfig) (*Introspector, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("oauth: IntrospectorConfig."+format, args...))
	}
	confirmers, err := gatehouse.NewConfirmers(config.Confirmers...)
	if err != nil {
		fail("Confirmers: %w", err)
	}
	if config.Cache < 0 || config.Cache > maxIntrospectionCache {
		fail("Cache: got %v, want 0 to %v", config.Cache, maxIntrospectionCache)
	}
	if config.CacheEntries == 0 {
		config.CacheEntries = defaultIntrospected
	}
	if config.CacheEntries < 0 || config.CacheEntries > maxIntrospected {
		fail("CacheEntries: got %d, want 0 to %d", config.CacheEntries, maxIntrospected)
	}
	if len(config.Endpoints) == 0 {
		fail("Endpoints: at least one is required")
	}
	i := &Introspector{confirmers: confirmers, ttl: config.Cache}
	i.asking.Timeout, i.asking.MaxCalls, i.asking.MaxWaiters = introspectionTimeout, maxIntrospections, maxIntrospectionWaits
	i.cache.Limit, i.cache.Expires = config.CacheEntries, func(v **introspected) time.Time { return (*v).until }
	for n, e := range config.Endpoints {
		checked, problems := e.check()
		if len(config.Endpoints) > 1 && len(e.Tenants) == 0 && !e.AnyTenant {
			problems = append(problems, errors.New("Tenants: required with several endpoints, or AnyTenant"))
		}
		for _, problem := range problems {
			fail("Endpoints[%d].%w", n, problem)
		}
		i.endpoints = append(i.endpoints, checked)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return i, nil
}

// IntrospectorStats are counts since the start, for metrics.
type IntrospectorStats struct {
	// CacheHits counts active tokens that were in the cache, CacheMisses those for which
	// an endpoint was called. Without a cache both stay 0.
	CacheHits, CacheMisses uint64
}

// Stats returns the counts at this time.
func (i *Introspector) Stats() IntrospectorStats {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stats
}

// Close cancels running requests and waits for them. Afterwards the response to a token
// that is not in the cache is 503. Close does not close the clients of the endpoints.
func (i *Introspector) Close() error {
	i.asking.Close()
	var errs []error
	for _, e := range i.endpoints {
		if e.verifier != nil {
			errs = append(errs, e.verifier.Close())
		}
	}
	return errors.Join(errs...)
}

// Reads implements [gatehouse.Authenticator]: the Bearer scheme and what the
// confirmers read.
func (i *Introspector) Reads() gatehouse.Reads {
	return i.confirmers.Reads(gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}, Rechecks: true})
}

// Authenticate introspects the token of the Authorization header if it has at most 8 KiB
// and no dot. It never returns gatehouse.ErrNoCredentials for such a token, so list
// authenticators of other opaque tokens and of keys before it. Concurrent requests with
// the same token share one call of the endpoint.
//
// It rejects with 401 a token that is active at no endpoint, has expired, or is not for
// this API. If an endpoint does not respond within 8 s, the response is 503, and the
// endpoints after it are not called.
//
// Implements RFC 7662 §4 (cache); RFC 7800 §3.1.
func (i *Introspector) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	scheme, token, err := i.confirmers.Token(r)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if len(token) > maxOpaqueBytes || strings.Contains(token, ".") || !text.IsToken68(token) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	v, err := i.introspected(r.Context(), token)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	header, err := i.confirmers.Confirm(r, scheme, token, v.confirmation, time.Now())
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		rejected := *e // an Error is immutable
		rejected.Issuer, rejected.Credential = v.principal.Issuer, v.principal.Credential
		return gatehouse.Proof{}, &rejected
	}
	if err != nil {
		return gatehouse.Proof{}, err
	}
	proof := gatehouse.NewProof(&v.principal)
	proof.Header, proof.Tenants = header, v.tenants
	return proof, nil
}

// introspected returns the token from the cache, or calls the endpoints.
func (i *Introspector) introspected(ctx context.Context, token string) (*introspected, error) {
	key := sha256.Sum256([]byte(token))
	if i.ttl > 0 {
		i.mu.Lock()
		v, ok := i.cache.Get(key)
		valid := ok && time.Now().Before(v.until)
		if valid {
			i.stats.CacheHits++
		}
		i.mu.Unlock()
		if valid {
			return v, nil
		}
	}
	v, err := i.asking.Do(ctx, key, func(ctx context.Context) (*introspected, error) {
		v, err := i.ask(ctx, token)
		if err == nil && i.ttl > 0 {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.cache.Cache(key, v)
			i.stats.CacheMisses++
		}
		return v, err
	})
	if _, ok := errors.AsType[*gatehouse.Error](err); err != nil && !ok { // the context, or a limit
		err = &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonIntrospectionUnavailable, Cause: err}
	}
	return v, err
}

// ask calls the endpoints in order.
func (i *Introspector) ask(ctx context.Context, token string) (*introspected, error) {
	for n := range i.endpoints {
		e := &i.endpoints[n]
		now := time.Now()
		body, err := e.ask(ctx, token)
		if err != nil {
			failed := &gatehouse.Error{
				Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonIntrospectionUnavailable, Issuer: e.Client.issuer, Cause: err,
			}
			failed.RetryAfter = RetryAfter(err)
			return nil, failed
		}
		var m introspectionMembers
		active, err := m.parse(body)
		switch {
		case err != nil:
			return nil, &gatehouse.Error{
				Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonIntrospectionUnavailable, Issuer: e.Client.issuer, Cause: err,
			}
		case active:
			return e.accept(&m, i.confirmers, now, now.Add(i.ttl))
		}
	}
	return nil, &gatehouse.Error{
		Code: gatehouse.CodeInvalidToken, Reason: ReasonIntrospectionInactive, Cause: errors.New("oauth: introspection: the token is not active"),
	}
}
