// SPDX-License-Identifier: Apache-2.0

// Package revocation revokes JWT access tokens before they expire: one token by
// its jti, all tokens of a subject, all tokens of a client, or the tokens that
// were issued with the refresh tokens of a token family.
//
// Call [New] with a [Store] and set the [List] as jwtauth.Config.Revocations of
// every verifier, and as refresh.Config.Revocations of the authorization server.
// A verifier whose store is unavailable rejects requests with 503 (fail closed).
//
// [Memory] serves one process; the store module has stores for several. Package
// revocationtest tests implementations of [Store].
package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/expiring"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	defaultMaxLifetime = 15 * time.Minute   // the longest lifetime of a token from jwtauth.Signer
	maxMaxLifetime     = 7 * 24 * time.Hour // the longest lifetime that package jwtauth accepts
	maxText            = 512                // bytes of a claim by which tokens are revoked, the limit for a subject

	// margin is added to the lifetime of a token: a verifier may accept the token for
	// this longer, if the clocks of issuer and verifier each differ from that of the
	// store by the largest jwtauth.Config.Skew.
	margin = 2 * 5 * time.Minute

	maxCounted = 100_000 // subjects whose revocations are counted

	// maxKept is the longest time that a revocation is kept. It is within the
	// range of every store.
	maxKept = 100 * 365 * 24 * time.Hour
)

// Config configures a [List].
type Config struct {
	// Store keeps the revocations for all verifiers. Required.
	Store Store

	// Issuers are the issuers whose tokens the list revokes, each exactly as the iss of
	// the tokens. Required. For another issuer, a revocation and a check return an error,
	// and the response of the verifier is 503. So a misspelt issuer, or one swapped with
	// a subject, is noticed.
	Issuers []string

	// MaxLifetime is the longest lifetime of access tokens: from 1 second to 7 days, 15
	// minutes if zero. A revocation by subject, client or family is kept for this time.
	// It must be at least the largest jwtauth.Issuer.MaxLifetime of all verifiers;
	// [jwtauth.New] checks this.
	MaxLifetime time.Duration

	// Observer receives an [EventRevoked] for each revocation, and an
	// [EventMemoryStore] from New. If it returns an error, the revocation is kept and
	// the method returns the error. Optional.
	Observer gatehouse.Observer
}

// Types of events.
const (
	// EventRevoked: tokens were revoked. It has [AttrKind] and [AttrValue].
	EventRevoked gatehouse.EventType = "revocation_revoked"
	// EventMemoryStore: [New] was called with a [Memory]. Use it in development only: its
	// revocations exist in one process, and are lost when the process ends.
	EventMemoryStore gatehouse.EventType = "revocation_memory_store"
)

// Attributes of EventRevoked: the claim by which tokens are revoked, and its value.
const (
	AttrKind  = "claim"
	AttrValue = "value"
)

// List revokes access tokens before they expire. As jwtauth.Config.Revocations it
// makes verifiers reject the revoked tokens, at the cost of one store query for
// each request. It is safe for concurrent use.
//
// A revocation by subject or client applies to the tokens issued up to that time. The iat
// claim has whole seconds: all tokens issued within the second of the revocation are
// revoked, and so are tokens without iat. RevokeSubject and RevokeClient therefore return
// when that second has ended, so that the token of a later login is accepted. If the
// clock of the issuer is ahead of that of the store, a token that was issued shortly
// before the revocation may have a later iat; such a token is not revoked.
type List struct {
	store       Store
	issuers     []string
	maxLifetime time.Duration
	observer    gatehouse.Observer

	mu     sync.Mutex
	counts expiring.Map[gatehouse.Key, struct{}, count]
}

var _ jwtauth.Revocations = (*List)(nil)

// New returns a List. It reports all configuration errors at once, and an
// [EventMemoryStore] to the observer.
func New(c Config) (*List, error) {
	l := &List{store: c.Store, issuers: slices.Clone(c.Issuers), maxLifetime: c.MaxLifetime, observer: c.Observer}
	l.counts.Limit, l.counts.Expires = maxCounted, func(c *count) time.Time { return c.until }
	var errs []error
	if typednil.Is(c.Store) {
		errs = append(errs, errors.New("revocation: Config.Store: required"))
	}
	if len(c.Issuers) == 0 || slices.Contains(c.Issuers, "") {
		errs = append(errs, errors.New("revocation: Config.Issuers: required, each the iss of tokens"))
	}
	if c.Observer != nil && typednil.Is(c.Observer) {
		errs = append(errs, fmt.Errorf("revocation: Config.Observer: is a nil %T", c.Observer))
	}
	if l.maxLifetime == 0 {
		l.maxLifetime = defaultMaxLifetime
	}
	if l.maxLifetime < time.Second || l.maxLifetime > maxMaxLifetime {
		errs = append(errs, fmt.Errorf("revocation: Config.MaxLifetime: %v is not within 1s and %v", l.maxLifetime, maxMaxLifetime))
	}
	if _, ok := c.Store.(*Memory); ok && len(errs) == 0 {
		errs = append(errs, gatehouse.Report(context.Background(), l.observer, gatehouse.Event{Type: EventMemoryStore, Level: slog.LevelWarn}))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// checkIssuer returns an error for an issuer that is not in Config.Issuers.
func (l *List) checkIssuer(issuer string) error {
	if slices.Contains(l.issuers, issuer) {
		return nil
	}
	return fmt.Errorf("issuer %.64q is not in Config.Issuers %.64q", issuer, l.issuers)
}

// Revoked implements [jwtauth.Revocations].
func (l *List) Revoked(ctx context.Context, t jwtauth.Token) (bool, error) {
	if err := l.checkIssuer(t.Issuer); err != nil {
		return false, fmt.Errorf("revocation: %w", err)
	}
	targets := make([]Target, 0, 4)
	for _, target := range [...]Target{
		{Token, t.Issuer, t.ID},
		{Family, t.Issuer, t.Family},
		{Subject, t.Issuer, t.Subject},
		{Client, t.Issuer, t.Client},
	} {
		if target.Value != "" {
			targets = append(targets, target)
		}
	}
	times, err := l.store.Find(ctx, targets)
	if err != nil {
		return false, fmt.Errorf("revocation: %w", err)
	}
	if len(times) != len(targets) {
		return false, fmt.Errorf("revocation: store: got %d results for %d targets", len(times), len(targets))
	}
	for i, revoked := range times {
		switch {
		case revoked.IsZero():
		case targets[i].Kind == Token, targets[i].Kind == Family:
			return true, nil
		case !t.IssuedAt.After(revoked): // IssuedAt is the beginning of its second
			return true, nil
		}
	}
	return false, nil
}

// MaxLifetime implements [jwtauth.Revocations].
func (l *List) MaxLifetime() time.Duration { return l.maxLifetime }
