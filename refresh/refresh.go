// SPDX-License-Identifier: Apache-2.0

// Package refresh issues refresh tokens for an authorization server: opaque
// tokens with rotation, reuse detection and a grace period (RFC 6749 section 6,
// RFC 9700 section 4.14).
//
// Call [New] with a [Store], serve [Tokens.TokenEndpoint] and
// [Tokens.RevocationEndpoint], and call [TokenEndpoint.Begin] once for each
// login. The refresh tokens that descend from one login are a token family,
// which has an absolute timeout of at most 7 days. If a rotated token is
// presented again after the grace period, it was probably stolen, and the whole
// family is revoked (reuse detection). [Tokens.List] and [Tokens.RevokeAll] are
// for a page on which users manage their devices.
//
// The sid claim of the access tokens is the family ID. With Config.Revocations, revoking
// the family therefore revokes its access tokens too: see package revocation. An
// application with its own endpoints calls [Tokens.Begin], [Tokens.Rotate],
// [Issued.AccessToken] and [Tokens.Revoke].
//
// The application must authenticate users before it calls Begin, and
// confidential clients with a [ClientAuthenticator]. [Memory] serves one
// process; the store module has stores for several. Package refreshtest tests
// implementations of [Store].
package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	maxLifetime  = 7 * 24 * time.Hour
	defaultGrace = 10 * time.Second
	maxGrace     = time.Minute
	maxText      = 255 // bytes of a subject, client or tenant
)

// Config configures [Tokens].
type Config struct {
	// Store keeps the token families. Required.
	Store Store

	// Lifetime is the absolute timeout of a family, counted from the login: from
	// 1 second to 7 days, 7 days if zero. Rotation does not extend it.
	Lifetime time.Duration

	// Grace is the grace period after a rotation in which Rotate returns the same
	// successor for the rotated token again: at most 1 minute, 10 seconds if zero. It
	// is for clients with several tabs or processes, and for clients that lost a
	// response. Reuse by an attacker within the grace period is not detected.
	Grace time.Duration

	// NoGrace disables the grace period: a second use of a token revokes its
	// family. Use it for clients that never send a token twice.
	NoGrace bool

	// Revocations revokes the access tokens of a revoked family: a *revocation.List. The
	// services that verify the access tokens must use a list with the same store. If
	// Revocations is set, Issuer is required: the iss of the access tokens. Optional.
	Revocations Revocations
	Issuer      string

	// Observer receives the events of this package. Event.Credential is the family
	// ID. If Observe fails, the call returns an error, but its change is kept:
	// within the grace period, the client can present the rotated token again.
	// Optional.
	Observer gatehouse.Observer
}

// Revocations revokes the access tokens of a token family. Package revocation implements
// it.
type Revocations interface {
	RevokeFamily(ctx context.Context, owner gatehouse.Key, family string) error

	// MaxLifetime is the longest lifetime of an access token for which revocations are
	// kept. A [TokenEndpoint] issues no token with a longer lifetime.
	MaxLifetime() time.Duration
}

// Tokens issues, rotates and revokes refresh tokens. They are opaque, bound to
// one client and valid for one use, and belong to a token family with an
// absolute timeout. Reuse of a rotated token revokes the family (reuse
// detection):
//
//	RFC 9700 §4.14.2: "The authorization server cannot determine
//	which party submitted the invalid refresh token, but it will revoke the
//	active refresh token".
//
// An attacker with write access to the store can forge tokens; an attacker with
// read access cannot. Tokens is safe for concurrent use, by any number of
// processes that share a store.
type Tokens struct {
	store       Store
	lifetime    time.Duration
	grace       time.Duration // 0 for none
	revocations Revocations
	issuer      string
	observer    gatehouse.Observer
}

// New returns Tokens. It reports all configuration errors at once, and an
// [EventMemoryStore] to the observer.
func New(c Config) (*Tokens, error) {
	t := &Tokens{
		store: c.Store, lifetime: c.Lifetime, grace: c.Grace,
		revocations: c.Revocations, issuer: c.Issuer, observer: c.Observer,
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("refresh: Config."+format, args...))
	}
	if typednil.Is(c.Store) {
		fail("Store: required")
	}
	if c.Observer != nil && typednil.Is(c.Observer) {
		fail("Observer: is a nil %T", c.Observer)
	}
	if c.Revocations != nil && typednil.Is(c.Revocations) {
		fail("Revocations: is a nil %T", c.Revocations)
	}
	if t.lifetime == 0 {
		t.lifetime = maxLifetime
	}
	if t.lifetime < time.Second || t.lifetime > maxLifetime {
		fail("Lifetime: %v is not within 1s and %v", t.lifetime, maxLifetime)
	}
	switch {
	case c.NoGrace && c.Grace != 0:
		fail("Grace: must be zero with NoGrace")
	case !c.NoGrace && c.Grace == 0:
		t.grace = defaultGrace
	}
	if t.grace < 0 || t.grace > maxGrace {
		fail("Grace: %v is not within 0 and %v", t.grace, maxGrace)
	}
	if (c.Revocations != nil) != (c.Issuer != "") {
		fail("Issuer: required with Revocations, and not allowed without")
	} else if c.Issuer != "" {
		if _, err := safeurl.Parse(c.Issuer); err != nil {
			fail("Issuer: %w", err)
		}
	}
	if _, ok := c.Store.(*Memory); ok && len(errs) == 0 {
		errs = append(errs, gatehouse.Report(context.Background(), t.observer, gatehouse.Event{Type: EventMemoryStore, Level: slog.LevelWarn, Issuer: t.issuer}))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// Issued is an issued refresh token.
type Issued struct {
	// Token is the refresh token for the client.
	Token gatehouse.Secret

	// Family describes its token family. Family.Scopes are all granted scopes.
	Family Family

	// Scopes are the scopes of the access token that is issued with it: all granted
	// scopes, or the part that the client requested.
	Scopes gatehouse.Scopes
}

// AccessToken returns the description of the access token that is issued with the
// refresh token, for [jwtauth.Signer]. The caller may add roles and claims.
//
// Implements RFC 9700 §4.14.2 (bound).
func (i Issued) AccessToken(audience string) jwtauth.AccessToken {
	return jwtauth.AccessToken{
		Subject: i.Family.Subject, Audience: audience, Client: i.Family.Client, Scopes: i.Scopes,
		Tenant: i.Family.Tenant, AuthTime: i.Family.AuthTime, Family: i.Family.ID,
	}
}

// Begin creates a token family and returns its first token. Call it once for
// each login, after the user and, if it is confidential, the client are
// authenticated.
//
// Implements RFC 9700 §4.14.2 (expiry); ASVS 5.0 §10.4.8.
func (t *Tokens) Begin(ctx context.Context, g Grant) (Issued, error) {
	for _, field := range []struct{ name, value string }{{"Subject", g.Subject}, {"Client", g.Client}, {"Tenant", g.Tenant}} {
		if !isIdentifier(field.value) && (field.name != "Tenant" || field.value != "") {
			return Issued{}, fmt.Errorf("refresh: begin: Grant.%s: must be 1 to %d bytes of UTF-8 without control characters", field.name, maxText)
		}
	}
	token := newToken()
	record, err := t.store.Create(ctx, Record{
		Family: Family{ID: token.family(), Grant: g}, Key: token.keyHash(), Current: token.secretHash(),
	}, t.lifetime)
	if err != nil {
		return Issued{}, storeFailed("begin", err)
	}
	event := gatehouse.Event{
		Type: EventBegun, Level: slog.LevelInfo, Principal: t.principal(&record.Family), Issuer: t.issuer, Credential: record.ID,
	}
	if err := gatehouse.Report(ctx, t.observer, event); err != nil {
		return Issued{}, err
	}
	return Issued{Token: token.text(), Family: record.Family, Scopes: g.Scopes}, nil
}

// isIdentifier reports whether s can be a subject, client or tenant.
func isIdentifier(s string) bool { return s != "" && text.IsClean(s, maxText) }
