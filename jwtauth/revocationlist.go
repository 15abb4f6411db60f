// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RevocationConfig configures a [RevocationList].
type RevocationConfig struct {
	// Store keeps what was revoked, for all who verify. Required.
	Store RevocationStore

	// MaxLifetime is the longest that the access tokens live which are revoked
	// by subject, client or family, and so for how long that is kept: 15 minutes
	// if zero, which is the longest that [Signer] makes them, and at most 7
	// days. Where other issuers are accepted it must be the largest of their
	// Issuer.MaxLifetime: [New] does not take a larger one, and has this one as
	// their default.
	MaxLifetime time.Duration
}

// RevocationList revokes access tokens before their time, and tells of it: it
// is the [Revocations] of Config.Revocations, at one question to its store for
// each request. It is safe for concurrent use.
//
// A revocation by subject or by client is of all tokens issued up to now. A
// token says when it was issued in whole seconds, so that those issued in the
// same second are revoked too, also when that was a moment afterwards; and one
// that does not say it is revoked. The clocks of whoever issues tokens must not
// be ahead of that of the store: what was issued by a clock that is counts as
// issued later.
type RevocationList struct {
	store       RevocationStore
	maxLifetime time.Duration
}

var _ Revocations = (*RevocationList)(nil)

// revocationMargin is for how long a token may be accepted beyond its lifetime,
// counted from its revocation: one clock ahead when it is issued, another one
// behind when it is verified.
const revocationMargin = 2 * maxSkew

// maxRevoked is the longest that a token is revoked, which engines can count.
const maxRevoked = 100 * 365 * 24 * time.Hour

// NewRevocationList makes a list. All mistakes are reported at once.
func NewRevocationList(c RevocationConfig) (*RevocationList, error) {
	l := &RevocationList{store: c.Store, maxLifetime: c.MaxLifetime}
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("jwtauth: RevocationConfig.Store: required"))
	}
	if l.maxLifetime == 0 {
		l.maxLifetime = maxIssuedLifetime
	}
	if l.maxLifetime < time.Second || l.maxLifetime > maxMaxLifetime {
		errs = append(errs, fmt.Errorf("jwtauth: RevocationConfig.MaxLifetime: %v is not within 1 s and %v", l.maxLifetime, maxMaxLifetime))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// RevokeToken revokes one token of an issuer by its jti, until the time at
// which it expires by itself. One that has expired needs no revocation; a zero
// time is an error.
func (l *RevocationList) RevokeToken(ctx context.Context, issuer, id string, expires time.Time) error {
	if expires.IsZero() {
		return errors.New("jwtauth: revoke: no time until which")
	}
	// Until the end, however far that is: one that does not say when it was issued
	// is accepted near its end. Nobody waits for a hundred years.
	left := min(time.Until(expires), maxRevoked) + revocationMargin
	if left <= 0 {
		return nil
	}
	return l.revoke(ctx, Revocation{RevokedToken, issuer, id}, left)
}

// RevokeSubject revokes all access tokens of a subject that were issued up to
// now. Refresh tokens go on and bring new ones: see [RefreshTokens.EndAll], which
// is to be called first.
func (l *RevocationList) RevokeSubject(ctx context.Context, issuer, subject string) error {
	return l.revoke(ctx, Revocation{RevokedSubject, issuer, subject}, l.maxLifetime+revocationMargin)
}

// RevokeClient revokes all access tokens of a client that were issued up to now,
// and no refresh token either.
func (l *RevocationList) RevokeClient(ctx context.Context, issuer, client string) error {
	return l.revoke(ctx, Revocation{RevokedClient, issuer, client}, l.maxLifetime+revocationMargin)
}

// RevokeFamily revokes all tokens that have the family as their sid, whenever
// they were issued. It does not end the family: [RefreshTokens.EndFamily] does
// both.
func (l *RevocationList) RevokeFamily(ctx context.Context, issuer, family string) error {
	return l.revoke(ctx, Revocation{RevokedFamily, issuer, family}, l.maxLifetime+revocationMargin)
}

func (l *RevocationList) revoke(ctx context.Context, r Revocation, lifetime time.Duration) error {
	// Where a claim would be refused when it is read, it revokes nothing, and
	// whoever asks for it believes otherwise.
	if r.Issuer == "" || !isIdentifier(r.Value) {
		return fmt.Errorf("jwtauth: revoke: no issuer, or a %s that no token has", r.Kind)
	}
	if err := l.store.Revoke(ctx, r, lifetime); err != nil {
		return fmt.Errorf("jwtauth: revoke: %w", err)
	}
	return nil
}

// MaxLifetime implements [Revocations].
func (l *RevocationList) MaxLifetime() time.Duration { return l.maxLifetime }

// Revoked implements [Revocations].
func (l *RevocationList) Revoked(ctx context.Context, t Token) (bool, error) {
	asked := make([]Revocation, 0, 4)
	for _, r := range [...]Revocation{
		{RevokedToken, t.Issuer, t.ID},
		{RevokedFamily, t.Issuer, t.Family},
		{RevokedSubject, t.Issuer, t.Subject},
		{RevokedClient, t.Issuer, t.Client},
	} {
		if r.Value != "" {
			asked = append(asked, r)
		}
	}
	times, err := l.store.Find(ctx, asked)
	if err != nil {
		return false, err
	}
	if len(times) != len(asked) {
		return false, errors.New("jwtauth: the store of revocations has not answered what it was asked")
	}
	for n, at := range times {
		switch {
		case at.IsZero():
		case asked[n].Kind == RevokedToken, asked[n].Kind == RevokedFamily:
			return true, nil
		case !t.IssuedAt.After(at): // and so all of the second that at lies in
			return true, nil
		}
	}
	return false, nil
}
