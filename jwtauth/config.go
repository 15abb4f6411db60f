// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Config configures an [Authenticator].
type Config struct {
	// Issuers are the issuers whose tokens are accepted. At least one is
	// required, each URL once.
	Issuers []Issuer

	// Skew is the allowed difference between the clocks of an issuer and of
	// this machine: 30 s by default, at most 5 minutes. A token is accepted
	// while now < exp + Skew and now >= nbf - Skew.
	Skew time.Duration

	// CacheEntries bounds the cache of verified tokens: 10,000 by default, at most
	// 1,000,000, and -1 for no cache. It is rounded up to a multiple of 8. An entry uses
	// about 1 KB of memory plus the size of its token.
	CacheEntries int

	// Revocations reports revoked tokens. It is called for every token that is
	// otherwise valid, including cached tokens. Optional.
	Revocations Revocations

	// KeySets configures how remote key sets are fetched. Optional.
	KeySets KeySets

	// Transport makes the requests for remote key sets:
	// [http.DefaultTransport] by default. Set it to trust a private
	// certificate authority.
	Transport http.RoundTripper

	// Confirmers check the proof of possession of sender-constrained tokens, which have a
	// cnf claim. A token is rejected if its cnf claim has a member without a confirmer.
	// Optional.
	Confirmers []gatehouse.Confirmer

	// Observer receives the events of this package, such as [EventFetchFailed].
	// Optional.
	Observer gatehouse.Observer
}

const (
	defaultSkew         = 30 * time.Second
	maxSkew             = 5 * time.Minute
	defaultCacheEntries = 10_000
	maxCacheEntries     = 1_000_000
	defaultMaxLifetime  = 24 * time.Hour
	maxMaxLifetime      = 7 * 24 * time.Hour
	defaultTokenBytes   = 8 << 10
	maxTokenBytes       = 16 << 10
)

// check sets the defaults of all fields but Issuers and returns all errors in them.
func (c *Config) check() error {
	const field = "jwtauth: Config."
	errs := []error{c.checkShared(field)}
	if c.CacheEntries == 0 {
		c.CacheEntries = defaultCacheEntries
	}
	if c.CacheEntries < -1 || c.CacheEntries > maxCacheEntries {
		errs = append(errs, fmt.Errorf(field+"CacheEntries: got %d, want -1 to %d", c.CacheEntries, maxCacheEntries))
	}
	if len(c.Issuers) == 0 {
		errs = append(errs, errors.New(field+"Issuers: at least one is required"))
	}
	if c.Revocations != nil && typednil.Is(c.Revocations) {
		errs = append(errs, fmt.Errorf(field+"Revocations: is a nil %T", c.Revocations))
		c.Revocations = nil
	} else if c.maxLifetime() <= 0 {
		errs = append(errs, fmt.Errorf(field+"Revocations: got MaxLifetime %v, want a positive one", c.maxLifetime()))
	}
	return errors.Join(errs...)
}

// checkShared checks the fields that [VerifierConfig] has as well.
func (c *Config) checkShared(field string) error {
	errs := []error{c.KeySets.check(field)}
	if c.Skew == 0 {
		c.Skew = defaultSkew
	}
	if c.Skew < 0 || c.Skew > maxSkew {
		errs = append(errs, fmt.Errorf("%sSkew: got %v, want 0 to %v", field, c.Skew, maxSkew))
	}
	if c.Transport != nil && typednil.Is(c.Transport) {
		errs = append(errs, fmt.Errorf("%sTransport: is a nil %T", field, c.Transport))
	}
	if c.Observer != nil && typednil.Is(c.Observer) {
		errs = append(errs, fmt.Errorf("%sObserver: is a nil %T", field, c.Observer))
	}
	return errors.Join(errs...)
}

// maxLifetime bounds Issuer.MaxLifetime by the time for which Revocations keeps
// revocations: a revoked token that lived longer would become valid again.
func (c *Config) maxLifetime() time.Duration {
	if c.Revocations == nil {
		return maxMaxLifetime
	}
	return c.Revocations.MaxLifetime()
}
