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
	refresh, refused, err := t.rotate(ctx, r)
	if refused.ended { // whoever has caused it must not be able to stop it by hanging up
		ctx = context.WithoutCancel(ctx)
		err = errors.Join(err, t.revokeFamily(ctx, refresh.Family.ID))
	}
	if failed := t.observe(ctx, start, refresh.Family, refused.reason, err); failed != nil {
		return Refresh{}, failed
	}
	switch {
	case err != nil:
		return Refresh{}, err
	case refused.err != nil:
		return Refresh{}, refused.err
	}
	return refresh, nil
}

// refusal is why a token is refused.
type refusal struct {
	reason gatehouse.Reason
	err    error
	ended  bool // the family has been ended, now or before
}

// rotate decides on a token. The error is one of the store. Of a token that is
// refused it returns the family, as far as it has shown that it belongs to it.
func (t *RefreshTokens) rotate(ctx context.Context, r RefreshRequest) (Refresh, refusal, error) {
	token, err := parseRefreshToken(r.Token.Reveal())
	if err != nil || !isIdentifier(r.Client) {
		return Refresh{}, refusal{reason: gatehouse.ReasonRefreshMalformed, err: ErrInvalidGrant}, nil
	}
	scopes, err := gatehouse.ParseScopes(r.Scope)
	if err != nil {
		return Refresh{}, refusal{reason: gatehouse.ReasonRefreshScope, err: ErrInvalidScope}, nil
	}
	if refused, err := t.checkScopes(ctx, token, r.Client, scopes); err != nil || refused.err != nil {
		return Refresh{}, refused, err
	}

	next := token.next()
	p := Presentation{Key: token.keyHash(), Secret: token.secretHash(), Client: r.Client, Next: next.secretHash(), Grace: t.grace}
	if t.grace > 0 {
		if p.Successor, err = token.seal(next); err != nil {
			return Refresh{}, refusal{}, err
		}
	}
	record, outcome, err := t.store.Rotate(ctx, token.family(), p)
	refresh := Refresh{Family: record.Family, Scopes: record.Scopes}
	switch {
	case errors.Is(err, ErrFamilyNotFound):
		return Refresh{}, refusal{reason: gatehouse.ReasonRefreshUnknown, err: ErrInvalidGrant}, nil
	case err != nil:
		return Refresh{}, refusal{}, fmt.Errorf("jwtauth: rotate: %w", err)
	case outcome == FamilyRotated:
	case outcome == FamilyReplayed:
		if next, err = token.open(record.Successor); err != nil {
			return refresh, refusal{}, err
		}
	case outcome == FamilyReused && record.Client != r.Client:
		return refresh, refusal{gatehouse.ReasonRefreshClient, ErrInvalidGrant, true}, nil
	case outcome == FamilyReused:
		return refresh, refusal{gatehouse.ReasonRefreshReused, ErrInvalidGrant, true}, nil
	case outcome == FamilyOver:
		// Once more, in case that the access tokens could not be revoked then.
		return refresh, refusal{gatehouse.ReasonRefreshOver, ErrInvalidGrant, !record.Ended.IsZero()}, nil
	default:
		return Refresh{}, refusal{}, fmt.Errorf("jwtauth: rotate: the store says %q", outcome)
	}
	if scopes.Len() > 0 {
		if !record.Scopes.HasAll(scopes) { // replayed: nothing has changed
			return refresh, refusal{reason: gatehouse.ReasonRefreshScope, err: ErrInvalidScope}, nil
		}
		refresh.Scopes = scopes
	}
	refresh.Token = next.text()
	return refresh, refusal{}, nil
}

// checkScopes refuses a good token with which a client asks for more than it was
// granted, before the token is used up for nothing. Every other token it leaves
// to the store. What was granted never changes, so that it may be looked at
// before.
//
//	RFC 6749 §6: "The requested scope MUST NOT include any scope not originally
//	granted by the resource owner".
func (t *RefreshTokens) checkScopes(ctx context.Context, token refreshToken, client string, scopes gatehouse.Scopes) (refusal, error) {
	if scopes.Len() == 0 {
		return refusal{}, nil
	}
	record, err := t.find(ctx, token)
	switch {
	case errors.Is(err, ErrFamilyNotFound):
		return refusal{}, nil
	case err != nil:
		return refusal{}, fmt.Errorf("jwtauth: rotate: %w", err)
	case record.Client == client && record.Current == token.secretHash() && !record.over(record.AsOf) && !record.Scopes.HasAll(scopes):
		return refusal{reason: gatehouse.ReasonRefreshScope, err: ErrInvalidScope}, nil
	}
	return refusal{}, nil
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
