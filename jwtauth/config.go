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
)

// Config configures an [Authenticator].
type Config struct {
	// Issuers are those whose tokens are accepted. At least one is required,
	// each URL once.
	Issuers []Issuer

	// Skew is how far the clocks of an issuer and of this machine may be
	// apart: 30 s by default, at most 5 minutes. A token is accepted while
	// now < exp + Skew and now >= nbf - Skew.
	Skew time.Duration

	// CacheEntries bounds the cache of verified tokens: 10,000 by default, at
	// most 1,000,000, and -1 for no cache. An entry takes about as much memory
	// as its token, and one kilobyte more.
	CacheEntries int

	// Revocations is asked about every token that is otherwise good, also if
	// it is in the cache. Optional.
	Revocations Revocations

	// KeySets says how remote key sets are kept. Optional.
	KeySets KeySets

	// Transport makes the requests for remote key sets:
	// [http.DefaultTransport] by default. Set one to trust a private
	// certificate authority.
	Transport http.RoundTripper

	// Confirmers check the proof of possession of sender-constrained tokens,
	// which have a cnf claim. Without a confirmer for a member of it, such a
	// token is rejected. Optional.
	Confirmers []gatehouse.Confirmer

	// Observer receives [EventFetchFailed] and [EventKeyDropped]. Optional.
	Observer gatehouse.Observer
}

// Issuer is an authorization server whose access tokens are accepted.
type Issuer struct {
	// URL is the issuer identifier, compared with the iss claim character by
	// character. Required, https; plain http for loopback addresses only.
	URL string

	// Audience is the identifier of this API, which the aud claim must hold.
	// Required.
	Audience string

	// Algorithms are those that the issuer signs with. Required. Every key is
	// bound to those of them that fit its type and, where the key says which
	// one it is for, to that one.
	Algorithms []Algorithm

	// Keys says where the issuer's keys come from. Required.
	Keys Keys

	// Profile says what an access token of this issuer looks like: [RFC9068]
	// by default.
	Profile Profile

	// MaxLifetime bounds exp - iat: 24 hours by default, at most 7 days, and
	// with Config.Revocations at most their MaxLifetime.
	MaxLifetime time.Duration

	// MaxTokenBytes bounds the compact token: 8 KiB by default, at most 16 KiB.
	// Its header may have a quarter of that.
	MaxTokenBytes int

	// ScopeClaim, TenantClaim and RolesClaim are the top-level claims that
	// become fields of the Principal: "scope", "tenant" and "roles" by default.
	ScopeClaim, TenantClaim, RolesClaim string

	// Principal completes the principal from the claims, once a token has been
	// verified and before it enters the cache. It may not change by which
	// proof, from which issuer and until when: those fields are put back. An
	// error refuses the token. Optional.
	Principal func(gatehouse.Claims, gatehouse.Principal) (gatehouse.Principal, error)
}

// Profile says what an access token looks like.
type Profile uint8

const (
	// RFC9068 is the standard's JWT profile for access tokens: typ is at+jwt,
	// and iss, exp, aud, sub, client_id, iat and jti are all there.
	RFC9068 Profile = iota

	// Compatible is for providers that send JWT as typ, or none: iss, exp, aud
	// and sub are there, iat, client_id and jti may be missing, client_id may
	// be called azp or cid, scopes and roles may be arrays or strings, and the
	// header may have the thumbprint of a certificate (x5t), which is ignored.
	// Tokens that carry the marks of an ID token, a refresh token, a logout
	// token or a security event are refused.
	//
	// Use when a provider cannot be told to issue at+jwt. Do not use where it
	// issues other kinds of token with the same audience and none of those
	// marks. Failure mode: such a token is taken for an access token.
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
		// RFC 8414 §2: the issuer is a URL that "has no query or fragment
		// components".
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
