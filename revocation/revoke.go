// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// RevokeToken revokes one token of owner by its jti: for a [gatehouse.Principal] p with
// jwtauth.Method, p.Key(), p.Credential and p.Expires. Expires is the expiry of the
// token; the revocation is kept until then. A zero time is an error. If the token has
// expired, RevokeToken does nothing.
func (l *List) RevokeToken(ctx context.Context, owner gatehouse.Key, id string, expires time.Time) error {
	if expires.IsZero() {
		return errors.New("revocation: revoke token: expiry required")
	}
	// Keep the revocation until the expiry, even above MaxLifetime: a token without iat
	// is accepted as soon as its remaining lifetime is at most MaxLifetime.
	lifetime := min(time.Until(expires), maxKept) + margin
	if lifetime <= 0 {
		return nil
	}
	return l.revokeOf(ctx, owner, Target{Token, owner.Issuer, id}, lifetime)
}

// RevokeSubject revokes all access tokens of a subject that were issued up to now. The revocation
// takes effect at once. RevokeSubject returns up to 1 s later, or when ctx ends, so that the tokens
// of a later login have a later iat. It does not revoke refresh tokens, with which clients can get
// new access tokens: call refresh.Tokens.RevokeAll first.
func (l *List) RevokeSubject(ctx context.Context, subject gatehouse.Key) error {
	return l.revokeIssued(ctx, Target{Subject, subject.Issuer, subject.Subject})
}

// RevokeClient revokes all access tokens of a client that were issued up to now, and returns when
// the second of the revocation has ended, like RevokeSubject. It does not revoke refresh tokens,
// with which clients can get new access tokens: call refresh.Tokens.RevokeAll first.
func (l *List) RevokeClient(ctx context.Context, issuer, client string) error {
	return l.revokeIssued(ctx, Target{Client, issuer, client})
}

// revokeIssued revokes target and waits for the end of the second of the revocation,
// by the clock of the store.
func (l *List) revokeIssued(ctx context.Context, target Target) error {
	if err := l.revoke(ctx, target, l.maxLifetime+margin); err != nil {
		return err
	}
	wait := time.Second
	if times, err := l.store.Find(ctx, []Target{target}); err == nil && len(times) == 1 {
		wait -= time.Duration(times[0].Nanosecond())
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	<-ctx.Done() // the revocation is already in effect
	return nil
}

// RevokeFamily revokes all access tokens of owner whose sid is the family,
// independent of their time of issue. It does not revoke the family:
// refresh.Tokens.RevokeFamily does both.
func (l *List) RevokeFamily(ctx context.Context, owner gatehouse.Key, family string) error {
	return l.revokeOf(ctx, owner, Target{Family, owner.Issuer, family}, l.maxLifetime+margin)
}

// maxOfSubject limits the kept revocations of single tokens and families of one subject.
// Above it all tokens of the subject are revoked at once, so that a user who logs in and
// out repeatedly cannot fill the store.
const maxOfSubject = 1000

// revokeOf revokes target, or all tokens of owner if there are too many.
func (l *List) revokeOf(ctx context.Context, owner gatehouse.Key, target Target, lifetime time.Duration) error {
	if owner.Subject == "" {
		return errors.New("revocation: revoke: the subject of the tokens is required")
	}
	if l.count(owner) > maxOfSubject {
		target = Target{Subject, owner.Issuer, owner.Subject}
		lifetime = max(lifetime, l.maxLifetime+margin)
	}
	return l.revoke(ctx, target, lifetime)
}

// count returns the number of revocations of a subject in this process since the
// first one of them that is still kept.
func (l *List) count(owner gatehouse.Key) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, _ := l.counts.Get(owner)
	now := time.Now()
	if !now.Before(c.until) {
		c = count{until: now.Add(l.maxLifetime + margin)}
	}
	c.revocations++
	l.counts.Cache(owner, c)
	return c.revocations
}

// count is the number of revocations of one subject.
type count struct {
	revocations int
	until       time.Time
}

func (l *List) revoke(ctx context.Context, target Target, lifetime time.Duration) error {
	if err := l.checkIssuer(target.Issuer); err != nil {
		return fmt.Errorf("revocation: revoke: %w", err)
	}
	// No accepted token has such a claim: the revocation would have no effect.
	if target.Value == "" || !text.IsClean(target.Value, maxText) {
		return fmt.Errorf("revocation: revoke: a %s of 1 to %d bytes of UTF-8 without control characters is required", target.Kind, maxText)
	}
	if err := l.store.Revoke(ctx, target, lifetime); err != nil {
		refusal := &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonStoreUnavailable}
		return fmt.Errorf("revocation: revoke: %w: %w", refusal, err)
	}
	actor, _ := gatehouse.FromContext(ctx)
	return gatehouse.Report(context.WithoutCancel(ctx), l.observer, gatehouse.Event{
		Type: EventRevoked, Level: slog.LevelInfo, Principal: actor, Issuer: target.Issuer,
		Attrs: []slog.Attr{slog.String(AttrKind, string(target.Kind)), slog.String(AttrValue, target.Value)},
	})
}
