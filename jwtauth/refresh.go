// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

const (
	maxFamilyLifetime = 7 * 24 * time.Hour
	defaultGrace      = 10 * time.Second
	maxGrace          = time.Minute
)

// ErrInvalidGrant is the one answer to every refresh token that is not good,
// whatever is wrong with it: a token endpoint answers 400 invalid_grant.
//
//	RFC 6749 §5.2: "The provided ... refresh token is invalid, expired, revoked,
//	does not match the redirection URI used in the authorization request, or was
//	issued to another client."
var ErrInvalidGrant = errors.New("jwtauth: invalid_grant")

// ErrInvalidScope says that a client asks for a scope that it was not granted: a
// token endpoint answers 400 invalid_scope. The refresh token is as good as it
// was.
var ErrInvalidScope = errors.New("jwtauth: invalid_scope")

// RefreshConfig configures [RefreshTokens].
type RefreshConfig struct {
	// Store keeps the families. Required.
	Store FamilyStore

	// Lifetime is how long a family lives, counted from the login: 7 days if
	// zero and at most. No rotation moves its end.
	Lifetime time.Duration

	// Grace is for how long after it was used a token is answered with the same
	// successor again, counted from its first use: 10 s if zero, at most a
	// minute. It is there for clients of several tabs or processes, and for
	// answers that were lost on the way. In it a thief who uses a token at the
	// same time as its owner is not seen.
	Grace time.Duration

	// NoGrace is for clients that use each token once, and know when its answer
	// was lost: every second use of a token ends the family.
	NoGrace bool

	// Revocations, if set, revokes the access tokens of a family that ends. What
	// verifies them must have the same list or one with the same store, and
	// Issuer must be set to their iss.
	Revocations *RevocationList
	Issuer      string

	// Observer is told of every refresh, and of who tries to end a family that
	// is another client's. The events have the id of the family as Credential.
	// An error from it turns the answer into one that is unavailable; the token
	// has been used then, and within the grace the client gets its successor
	// again. Optional.
	Observer gatehouse.Observer
}

// RefreshTokens issues refresh tokens and takes them back: opaque, for one
// client, good for one use, in families that end at a fixed time after the
// login. A token that is used a second time is a sign of theft, and ends its
// family:
//
//	RFC 9700 §4.14.2: "The authorization server cannot determine which party
//	submitted the invalid refresh token, but it will revoke the active refresh
//	token".
//
// Who can write to the store can make tokens; who can read it cannot. It is safe
// for concurrent use, by any number of processes on one store.
type RefreshTokens struct {
	store       FamilyStore
	lifetime    time.Duration
	grace       time.Duration // 0 for none
	revocations *RevocationList
	issuer      string
	observer    gatehouse.Observer
}

// NewRefreshTokens makes an issuer of refresh tokens. All mistakes are reported
// at once.
func NewRefreshTokens(c RefreshConfig) (*RefreshTokens, error) {
	t := &RefreshTokens{
		store: c.Store, lifetime: c.Lifetime, grace: c.Grace,
		revocations: c.Revocations, issuer: c.Issuer, observer: c.Observer,
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("jwtauth: RefreshConfig."+format, args...))
	}
	if c.Store == nil {
		fail("Store: required")
	}
	if t.lifetime == 0 {
		t.lifetime = maxFamilyLifetime
	}
	if t.lifetime < time.Second || t.lifetime > maxFamilyLifetime {
		fail("Lifetime: %v is not within 1 s and %v", t.lifetime, maxFamilyLifetime)
	}
	switch {
	case c.NoGrace && c.Grace != 0:
		fail("Grace: is set, and so is NoGrace")
	case !c.NoGrace && c.Grace == 0:
		t.grace = defaultGrace
	}
	if t.grace < 0 || t.grace > maxGrace {
		fail("Grace: %v is not within 0 and %v", t.grace, maxGrace)
	}
	if (c.Revocations != nil) != (c.Issuer != "") {
		fail("Issuer: required with Revocations, and for nothing without them")
	} else if c.Issuer != "" {
		// What is no iss of any token would revoke nothing, in silence.
		if _, err := safeurl.Parse(c.Issuer); err != nil {
			fail("Issuer: %w", err)
		}
	}
	if t.observer == nil {
		t.observer = gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { return nil })
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// Refresh is a refresh token that has been issued.
type Refresh struct {
	// Token is to be given to the client.
	Token gatehouse.Secret

	// Family is what it stands for. Family.Scopes is all that was granted.
	Family Family

	// Scopes is what the access token may have that is issued beside it:
	// Family.Scopes, or the part of it that was asked for.
	Scopes gatehouse.Scopes
}

// AccessToken returns the access token that belongs beside the refresh token,
// ready for [Signer.Sign]. Roles and more claims may be put in before.
func (r Refresh) AccessToken(audience string) AccessToken {
	return AccessToken{
		Subject: r.Family.Subject, Audience: audience, Client: r.Family.Client, Scopes: r.Scopes,
		Tenant: r.Family.Tenant, AuthTime: r.Family.AuthTime, Family: r.Family.ID,
	}
}

// Begin begins a family with its first token. It is called once for each login,
// after the person has been authenticated and the client too, if it can be.
func (t *RefreshTokens) Begin(ctx context.Context, g Grant) (Refresh, error) {
	for name, text := range map[string]string{"Subject": g.Subject, "Client": g.Client, "Tenant": g.Tenant} {
		if !isIdentifier(text) && (name != "Tenant" || text != "") {
			return Refresh{}, fmt.Errorf("jwtauth: Grant.%s: required, at most %d bytes without control characters", name, maxText)
		}
	}
	token := newRefreshToken()
	record, err := t.store.Create(ctx, FamilyRecord{
		Family: Family{ID: token.family(), Grant: g}, Key: token.keyHash(), Current: token.secretHash(),
	}, t.lifetime)
	if err != nil {
		return Refresh{}, fmt.Errorf("jwtauth: begin a family: %w", err)
	}
	return Refresh{Token: token.text(), Family: record.Family, Scopes: g.Scopes}, nil
}
