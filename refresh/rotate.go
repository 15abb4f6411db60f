// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// ErrInvalidGrant is the error for a rejected refresh token: the response of a token
// endpoint is 400 invalid_grant. The reason is in the event, not in the error.
//
//	RFC 6749 §5.2: "The provided ... refresh token is invalid, expired, revoked,
//	does not match the redirection URI used in the authorization request, or was
//	issued to another client."
var ErrInvalidGrant = errors.New("refresh: invalid_grant")

// ErrInvalidScope is the error for a request with a scope that was not granted: the
// response of a token endpoint is 400 invalid_scope. The refresh token remains valid.
var ErrInvalidScope = errors.New("refresh: invalid_scope")

// Request is a request for new tokens, RFC 6749 section 6.
type Request struct {
	Token gatehouse.Secret // parameter refresh_token

	// Client is the client_id of the authenticated client, or the parameter
	// client_id of a public client.
	Client string

	// Scope is the parameter scope, "" for all granted scopes.
	Scope string
}

// Rotate exchanges a refresh token for its successor. It returns [ErrInvalidGrant],
// [ErrInvalidScope], or another error if the store or the observer is unavailable: then
// the response of a token endpoint is 503, and the client may retry.
//
// A token is valid for one use. Within the grace period after that use, Rotate returns
// the same successor again, until the successor is used. Any other second use, and any
// use by another client, revokes the family: all its tokens become invalid, and the user
// must log in again.
//
// Implements RFC 6749 §6 (same scope); RFC 9700 §4.14.2 (rotation); ASVS 5.0
// §10.4.5.
func (t *Tokens) Rotate(ctx context.Context, r Request) (Issued, error) {
	return t.exchange(ctx, r, nil)
}

// exchange implements Rotate. Without a grace period the client cannot repeat a failed
// request, so exchange calls prepare before it uses the token: after an error of prepare
// the token stays valid.
func (t *Tokens) exchange(ctx context.Context, r Request, prepare func(Issued) error) (Issued, error) {
	start := time.Now()
	if t.grace > 0 {
		prepare = nil
	}
	issued, failed := t.rotate(ctx, r, prepare)
	if failed.revoked {
		// The client that caused the revocation must not stop it by closing the
		// connection.
		ctx = context.WithoutCancel(ctx)
		if err := t.revokeAccess(ctx, issued.Family); err != nil {
			failed.err = err
		}
	}
	if err := t.observe(ctx, start, issued.Family, failed); err != nil {
		return Issued{}, err
	}
	if failed.err != nil {
		return Issued{}, failed.err
	}
	return issued, nil
}

// failure is the reason why a token was not rotated. The zero value means success.
type failure struct {
	reason  gatehouse.Reason
	err     error // ErrInvalidGrant, ErrInvalidScope, or that something is unavailable
	revoked bool  // the family is revoked, by this call or before
}

func unavailable(err error) failure {
	return failure{reason: ReasonUnavailable, err: storeFailed("rotate", err)}
}

// rotate rotates a token. If that fails, it returns the family whose secret the token
// contains, if any.
func (t *Tokens) rotate(ctx context.Context, r Request, prepare func(Issued) error) (Issued, failure) {
	token, ok := parseToken(r.Token.Reveal())
	if !ok || !isIdentifier(r.Client) {
		return Issued{}, failure{reason: ReasonMalformed, err: ErrInvalidGrant}
	}
	scopes, err := gatehouse.ParseScopes(r.Scope)
	if err != nil {
		return Issued{}, failure{reason: ReasonScope, err: ErrInvalidScope}
	}
	if failed := t.checkBefore(ctx, token, r.Client, scopes, prepare); failed.err != nil {
		return Issued{}, failed
	}

	next := token.next()
	p := Presentation{Key: token.keyHash(), Secret: token.secretHash(), Client: r.Client, Next: next.secretHash(), Grace: t.grace}
	if t.grace > 0 {
		if p.Successor, err = token.seal(next); err != nil {
			return Issued{}, unavailable(err)
		}
	}
	record, outcome, err := t.store.Rotate(ctx, token.family(), p)
	issued := Issued{Family: record.Family, Scopes: record.Scopes}
	switch {
	case errors.Is(err, ErrNotFound):
		return Issued{}, failure{reason: ReasonUnknown, err: ErrInvalidGrant}
	case err != nil:
		return Issued{}, unavailable(err)
	case outcome == Rotated:
	case outcome == Replayed:
		if next, err = token.open(record.Successor); err != nil {
			return issued, unavailable(err)
		}
	case outcome == Reused && record.Client != r.Client:
		return issued, failure{ReasonClient, ErrInvalidGrant, true}
	case outcome == Reused:
		return issued, failure{ReasonReused, ErrInvalidGrant, true}
	case outcome == Revoked:
		// Revoke the access tokens again, because that may have failed before.
		return issued, failure{ReasonRevoked, ErrInvalidGrant, true}
	case outcome == Expired:
		return issued, failure{reason: ReasonExpired, err: ErrInvalidGrant}
	default:
		return Issued{}, unavailable(fmt.Errorf("store: unknown outcome %q", outcome))
	}
	if scopes.Len() > 0 {
		if !record.Scopes.HasAll(scopes) { // replayed: no change was made
			return issued, failure{reason: ReasonScope, err: ErrInvalidScope}
		}
		issued.Scopes = scopes
	}
	issued.Token = next.text()
	return issued, failure{}
}

// checkBefore runs before a valid token is used: it rejects a request for a scope that
// was not granted, and calls prepare if it is not nil. The store makes all other checks.
// Granted scopes never change, so they can be read before.
//
//	RFC 6749 §6 (scope): "The requested scope MUST NOT include any scope not originally
//	granted by the resource owner".
func (t *Tokens) checkBefore(ctx context.Context, token token, client string, scopes gatehouse.Scopes, prepare func(Issued) error) failure {
	if scopes.Len() == 0 && prepare == nil {
		return failure{}
	}
	record, err := t.find(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return failure{}
	case err != nil:
		return unavailable(err)
	case record.Client != client || record.Current != token.secretHash() || !record.active():
		return failure{}
	case !record.Scopes.HasAll(scopes):
		return failure{reason: ReasonScope, err: ErrInvalidScope}
	case prepare == nil:
		return failure{}
	}
	issued := Issued{Family: record.Family, Scopes: record.Scopes}
	if scopes.Len() > 0 {
		issued.Scopes = scopes
	}
	if err := prepare(issued); err != nil {
		return failure{reason: ReasonAccessToken, err: err}
	}
	return failure{}
}

// find returns the family whose key the token has.
func (t *Tokens) find(ctx context.Context, token token) (Record, error) {
	record, err := t.store.Find(ctx, token.family())
	if err != nil {
		return Record{}, err
	}
	if key := token.keyHash(); subtle.ConstantTimeCompare(record.Key[:], key[:]) != 1 {
		return Record{}, ErrNotFound
	}
	return record, nil
}

// Causes in events about a family that reuse detection has revoked.
var (
	errReused = errors.New("refresh: reuse of a rotated token: its family is revoked and the user has to log in again")
	errClient = errors.New("refresh: token presented by another client than its own: its family is revoked and the user has to log in again")
)

// observe reports a decision on a token of family f. f is zero if the token belongs to
// none. It returns the error of the observer.
func (t *Tokens) observe(ctx context.Context, start time.Time, f Family, failed failure) error {
	event := gatehouse.Event{
		Type: EventRotation, Level: slog.LevelDebug, Decision: gatehouse.Allowed,
		Reason: failed.reason, Issuer: t.issuer, Credential: f.ID, Duration: time.Since(start),
	}
	if f.ID != "" {
		event.Principal = t.principal(&f)
	}
	if failed.err != nil {
		code := codeOf(failed.err)
		event.Decision, event.Level = gatehouse.Rejected, slog.LevelWarn
		event.Code, event.Status = code.String(), code.Status()
		switch {
		case code == gatehouse.CodeTemporarilyUnavailable:
			event.Decision, event.Level, event.Cause = gatehouse.Unavailable, slog.LevelError, failed.err
		case failed.reason == ReasonReused:
			event.Cause = errReused
		case failed.reason == ReasonClient:
			event.Cause = errClient
		}
	}
	return gatehouse.Report(ctx, t.observer, event)
}

// principal returns the caller that a token of the family represents.
func (t *Tokens) principal(f *Family) gatehouse.Principal {
	return gatehouse.Principal{
		Kind: gatehouse.KindUser, Subject: f.Subject, Issuer: t.issuer, Tenant: f.Tenant, Client: f.Client,
		Method: Method, Credential: f.ID, Scopes: f.Scopes, AuthTime: f.AuthTime, Expires: f.Expires,
	}
}
