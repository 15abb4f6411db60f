// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
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
	// 1,000,000, and -1 for no cache. An entry uses about 1 KB of memory plus the
	// size of its token.
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

	// Confirmers check the proof of possession of sender-constrained tokens, which
	// have a cnf claim. A token with a cnf member without a confirmer is rejected.
	// Optional.
	Confirmers []gatehouse.Confirmer

	// Observer receives [EventFetchFailed] and [EventKeyDropped]. Optional.
	Observer gatehouse.Observer
}

// Issuer is an authorization server whose access tokens are accepted.
type Issuer struct {
	// URL is the issuer identifier, compared with the iss claim character by
	// character. Required, https; plain http for loopback addresses only.
	URL string

	// Audience is the identifier of this API, which the aud claim must contain.
	// Required.
	Audience string

	// Algorithms are the signature algorithms of the issuer. Required. A key is
	// used only with the algorithms that match its type and curve and, if the key
	// has an alg, only with that algorithm.
	//
	// Implements RFC 8725 §3.1 (algorithms); ASVS 5.0 §9.1.2.
	Algorithms []Algorithm

	// Keys is the source of the issuer's keys. Required.
	Keys Keys

	// Profile is the token profile of this issuer: [RFC9068] by default.
	Profile Profile

	// MaxLifetime is the maximum of exp - iat: 24 hours by default, at most 7 days,
	// and with Config.Revocations at most their MaxLifetime.
	MaxLifetime time.Duration

	// MaxTokenBytes is the maximum size of the compact token: 8 KiB by default, at
	// most 16 KiB. The header may have a quarter of this size.
	MaxTokenBytes int

	// ScopeClaim, TenantClaim and RolesClaim are the top-level claims that
	// become fields of the Principal: "scope", "tenant" and "roles" by default.
	ScopeClaim, TenantClaim, RolesClaim string

	// Principal completes the principal from the claims, after a token is verified
	// and before it enters the cache. Changes of Issuer, Method, Credential,
	// Binding, Expires and Claims are ignored. If it returns an error, the token is
	// rejected. It must be safe for concurrent use. Optional.
	Principal func(gatehouse.Claims, gatehouse.Principal) (gatehouse.Principal, error)
}

// Profile is a profile of access tokens: their type and required claims.
type Profile uint8

const (
	// RFC9068 is the JWT profile for access tokens of RFC 9068: typ is at+jwt,
	// and iss, exp, aud, sub, client_id, iat and jti are required.
	RFC9068 Profile = iota

	// Compatible is for providers that send JWT as typ, or no typ: iss, exp, aud
	// and sub are required, iat, client_id and jti are optional, azp or cid may
	// replace client_id, scopes and roles may be arrays or strings, and the header
	// may have the thumbprint of a certificate (x5t), which is ignored. Tokens with
	// a claim that marks an ID token, a refresh token, a logout token or a security
	// event are rejected.
	//
	// Use it for a provider that cannot issue at+jwt. Do not use it for a provider
	// that issues other kinds of tokens with the same audience and without such a
	// claim: they would be accepted as access tokens.
	Compatible
)

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

// check sets the defaults of all fields but Issuers and returns every mistake in
// them.
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
	if c.Observer != nil && typednil.Is(c.Observer) {
		errs = append(errs, fmt.Errorf("%sObserver: is a nil %T", field, c.Observer))
	}
	return errors.Join(errs...)
}

// maxLifetime is the largest Issuer.MaxLifetime: revocations that are kept for a
// shorter time than tokens live would make revoked tokens valid again.
func (c *Config) maxLifetime() time.Duration {
	if c.Revocations == nil {
		return maxMaxLifetime
	}
	return min(c.Revocations.MaxLifetime(), maxMaxLifetime)
}

// check sets the defaults and returns every mistake. longest bounds MaxLifetime.
func (i *Issuer) check(longest time.Duration) []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if u, err := safeurl.Parse(i.URL); err != nil {
		fail("URL: %w", err)
	} else if u.RawQuery != "" || u.ForceQuery {
		// RFC 8414 §2 (issuer): the issuer is a URL that "has no query or
		// fragment components".
		fail("URL: has a query; remove it")
	} else if strings.Contains(u.Path, "/.well-known/") {
		fail("URL: is a metadata address; the issuer is the part before /.well-known/")
	}
	if i.Audience == "" {
		fail("Audience: required")
	}
	if len(i.Algorithms) == 0 {
		fail("Algorithms: at least one is required")
	}
	i.Algorithms = slices.Clone(i.Algorithms)
	for _, a := range i.Algorithms {
		_, asymmetric := algorithms[a]
		_, symmetric := hmacHashes[a]
		if !asymmetric && !symmetric {
			fail("Algorithms: %q is not supported; RS256 and ES256 are the usual ones", string(a))
		}
	}
	if i.Keys == nil {
		fail("Keys: required")
	}
	if i.Profile > Compatible {
		fail("Profile: got %d, want RFC9068 or Compatible", i.Profile)
	}
	if i.MaxLifetime == 0 {
		i.MaxLifetime = min(defaultMaxLifetime, longest)
	}
	if i.MaxLifetime < 0 || i.MaxLifetime > maxMaxLifetime {
		fail("MaxLifetime: got %v, want 0 to %v", i.MaxLifetime, maxMaxLifetime)
	} else if i.MaxLifetime > longest {
		fail("MaxLifetime: got %v, but Config.Revocations keeps revocations for lifetimes up to %v", i.MaxLifetime, longest)
	}
	if i.MaxTokenBytes == 0 {
		i.MaxTokenBytes = defaultTokenBytes
	}
	if i.MaxTokenBytes < 0 || i.MaxTokenBytes > maxTokenBytes {
		fail("MaxTokenBytes: got %d, want 0 to %d", i.MaxTokenBytes, maxTokenBytes)
	}
	for name, field := range map[string]*string{"scope": &i.ScopeClaim, "tenant": &i.TenantClaim, "roles": &i.RolesClaim} {
		if *field == "" {
			*field = name
		}
	}
	return errs
}
