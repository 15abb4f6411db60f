// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// RefreshRequest is what a client asks a token endpoint for.
type RefreshRequest struct {
	Token  gatehouse.Secret // the parameter refresh_token
	Client string           // who asks: the client that has authenticated, or the parameter client_id of a public one

	// Scope is the parameter scope, "" for all that was granted.
	Scope string
}

// Rotate takes a refresh token and returns its successor. The error is
// [ErrInvalidGrant], [ErrInvalidScope], or one that says that it cannot tell
// now: a token endpoint answers 503, and the client may try again.
//
// A token is good once. Within the grace after that it is answered with the
// same successor again, as long as that one was not used. After that, or when
// another client presents it, the family ends, and all who hold a token of it
// have to log in again.
func (t *RefreshTokens) Rotate(ctx context.Context, r RefreshRequest) (Refresh, error) {
	start := time.Now()
	refresh, refused := t.rotate(ctx, r)
	if refused.ended { // whoever has caused it must not be able to stop it by hanging up
		ctx = context.WithoutCancel(ctx)
		if err := t.revokeFamily(ctx, refresh.Family.ID); err != nil {
			refused.err = err
		}
	}
	if err := t.observe(ctx, start, refresh.Family, refused); err != nil {
		return Refresh{}, err
	}
	if refused.err != nil {
		return Refresh{}, refused.err
	}
	return refresh, nil
}

// refusal is why a token is not rotated; the zero value is that it is.
type refusal struct {
	reason gatehouse.Reason
	err    error // ErrInvalidGrant, ErrInvalidScope, or that it cannot be told
	ended  bool  // the family has been ended, now or before
}

func unavailable(err error) refusal {
	return refusal{reason: gatehouse.ReasonRefreshUnavailable, err: fmt.Errorf("jwtauth: rotate: %w", err)}
}

// rotate decides on a token. Of one that is refused it returns the family, as
// far as it has shown that it belongs to it.
func (t *RefreshTokens) rotate(ctx context.Context, r RefreshRequest) (Refresh, refusal) {
	token, ok := parseRefreshToken(r.Token.Reveal())
	if !ok || !isIdentifier(r.Client) {
		return Refresh{}, refusal{reason: gatehouse.ReasonRefreshMalformed, err: ErrInvalidGrant}
	}
	scopes, err := gatehouse.ParseScopes(r.Scope)
	if err != nil {
		return Refresh{}, refusal{reason: gatehouse.ReasonRefreshScope, err: ErrInvalidScope}
	}
	if refused := t.checkScopes(ctx, token, r.Client, scopes); refused.err != nil {
		return Refresh{}, refused
	}

	next := token.next()
	p := Presentation{Key: token.keyHash(), Secret: token.secretHash(), Client: r.Client, Next: next.secretHash(), Grace: t.grace}
	if t.grace > 0 {
		if p.Successor, err = token.seal(next); err != nil {
			return Refresh{}, unavailable(err)
		}
	}
	record, outcome, err := t.store.Rotate(ctx, token.family(), p)
	refresh := Refresh{Family: record.Family, Scopes: record.Scopes}
	switch {
	case errors.Is(err, ErrFamilyNotFound):
		return Refresh{}, refusal{reason: gatehouse.ReasonRefreshUnknown, err: ErrInvalidGrant}
	case err != nil:
		return Refresh{}, unavailable(err)
	case outcome == FamilyRotated:
	case outcome == FamilyReplayed:
		if next, err = token.open(record.Successor); err != nil {
			return refresh, unavailable(err)
		}
	case outcome == FamilyReused && record.Client != r.Client:
		return refresh, refusal{gatehouse.ReasonRefreshClient, ErrInvalidGrant, true}
	case outcome == FamilyReused:
		return refresh, refusal{gatehouse.ReasonRefreshReused, ErrInvalidGrant, true}
	case outcome == FamilyOver:
		// Once more, in case that the access tokens could not be revoked then.
		return refresh, refusal{gatehouse.ReasonRefreshOver, ErrInvalidGrant, !record.Ended.IsZero()}
	default:
		return Refresh{}, unavailable(fmt.Errorf("the store says %q", outcome))
	}
	if scopes.Len() > 0 {
		if !record.Scopes.HasAll(scopes) { // replayed: nothing has changed
			return refresh, refusal{reason: gatehouse.ReasonRefreshScope, err: ErrInvalidScope}
		}
		refresh.Scopes = scopes
	}
	refresh.Token = next.text()
	return refresh, refusal{}
}

// checkScopes refuses a good token with which a client asks for more than it was
// granted, before the token is used up for nothing. Every other token it leaves
// to the store. What was granted never changes, so that it may be looked at
// before.
//
//	RFC 6749 §6: "The requested scope MUST NOT include any scope not originally
//	granted by the resource owner".
func (t *RefreshTokens) checkScopes(ctx context.Context, token refreshToken, client string, scopes gatehouse.Scopes) refusal {
	if scopes.Len() == 0 {
		return refusal{}
	}
	record, err := t.find(ctx, token)
	switch {
	case errors.Is(err, ErrFamilyNotFound):
		return refusal{}
	case err != nil:
		return unavailable(err)
	case record.Client == client && record.Current == token.secretHash() && !record.over(record.AsOf) && !record.Scopes.HasAll(scopes):
		return refusal{reason: gatehouse.ReasonRefreshScope, err: ErrInvalidScope}
	}
	return refusal{}
}

// find returns the family of a token that has its secret.
func (t *RefreshTokens) find(ctx context.Context, token refreshToken) (FamilyRecord, error) {
	record, err := t.store.Find(ctx, token.family())
	if err != nil {
		return FamilyRecord{}, err
	}
	if key := token.keyHash(); subtle.ConstantTimeCompare(record.Key[:], key[:]) != 1 {
		return FamilyRecord{}, ErrFamilyNotFound
	}
	return record, nil
}
