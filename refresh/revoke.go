// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	revokeBatch = 500  // families that one call of the store revokes
	maxListed   = 1000 // families that List returns
)

// Revoke revokes the family of a refresh token, for a revocation endpoint. The token
// may be any token of the family, even a rotated one. An unknown or malformed token is
// not an error:
//
//	RFC 7009 §2.2 (unknown): "invalid tokens do not cause an error response since the
//	client cannot handle such an error in a reasonable way."
//
// If the token was issued to another client, Revoke revokes its family and
// returns [ErrInvalidGrant]. Any other error means that the store is unavailable
// and the client may retry.
func (t *Tokens) Revoke(ctx context.Context, token gatehouse.Secret, client string) error {
	start := time.Now()
	parsed, ok := parseToken(token.Reveal())
	if !ok {
		return nil
	}
	record, err := t.find(ctx, parsed)
	if err == nil {
		err = t.revokeFamily(ctx, record.ID)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return storeFailed("revoke", err)
	case record.Client != client:
		// RFC 7009 §2.1 (issued): the server "verifies whether the token was issued to
		// the client making the revocation request. If this validation fails,
		// the request is refused".
		failed := failure{reason: ReasonClient, err: ErrInvalidGrant}
		if err := t.observe(ctx, start, record.Family, failed); err != nil {
			return err
		}
		return failed.err
	}
	return t.observeRevoked(ctx, t.principal(&record.Family), record.ID, Filter{Subject: record.Subject, Client: record.Client}, 1)
}

// RevokeFamily revokes a family of a subject by its ID, and the access tokens of
// the family if Config.Revocations is set. It returns [ErrNotFound] if no family has
// the ID or if the family is that of another subject. After any other error, call it
// again; revoking a revoked family is not an error.
//
// Implements RFC 9700 §4.14.2 (logout).
func (t *Tokens) RevokeFamily(ctx context.Context, subject, id string) error {
	record, err := t.store.Find(ctx, id)
	if err == nil && record.Subject != subject {
		err = ErrNotFound
	}
	if err == nil {
		err = t.revokeFamily(ctx, id)
	}
	if err != nil {
		return storeFailed("revoke family", err)
	}
	actor, _ := gatehouse.FromContext(ctx)
	return t.observeRevoked(ctx, actor, id, Filter{Subject: subject, Client: record.Client}, 1)
}

// revokeFamily revokes a family and its access tokens.
//
// Implements RFC 7009 §2.1 (grant).
func (t *Tokens) revokeFamily(ctx context.Context, id string) error {
	revoked, err := t.store.Revoke(ctx, id)
	if err != nil {
		return err
	}
	// Revoke the access tokens even if the caller has disconnected.
	return t.revokeAccess(context.WithoutCancel(ctx), revoked.Family)
}

// RevokeAll revokes the active families that match a filter and returns their
// number: all families of a subject, all of a client, or those of a subject at a
// client. If the store fails, it returns an error and the number so far; call it
// again. It may miss a family that begins during the call.
//
// If Config.Revocations is set, RevokeAll also revokes the access tokens of each
// family. If that fails for some families, it continues and returns an error; then
// revoke the access tokens of the subject or of the client with package revocation.
//
// Implements RFC 9700 §4.14.2 (logout).
func (t *Tokens) RevokeAll(ctx context.Context, f Filter) (int, error) {
	if f.Subject == "" && f.Client == "" {
		return 0, errors.New("refresh: revoke all: Filter.Subject or Filter.Client: required")
	}
	var errs []error
	count := 0
	for more := true; more; {
		revoked, err := t.store.RevokeAll(ctx, f, revokeBatch)
		if err != nil {
			errs = append(errs, storeFailed("revoke all", err))
		}
		for i := range revoked {
			errs = append(errs, t.revokeAccess(ctx, revoked[i].Family))
		}
		count += len(revoked)
		more = len(revoked) == revokeBatch
	}
	if count > 0 {
		actor, _ := gatehouse.FromContext(ctx)
		errs = append(errs, t.observeRevoked(ctx, actor, "", f, count))
	}
	return count, errors.Join(errs...)
}

// observeRevoked reports that families were revoked.
func (t *Tokens) observeRevoked(ctx context.Context, actor gatehouse.Principal, id string, f Filter, count int) error {
	return gatehouse.Report(context.WithoutCancel(ctx), t.observer, gatehouse.Event{
		Type: EventRevocation, Level: slog.LevelInfo, Principal: actor, Issuer: t.issuer, Credential: id,
		Attrs: []slog.Attr{slog.String(AttrSubject, f.Subject), slog.String(AttrClient, f.Client), slog.Int(AttrCount, count)},
	})
}

// List returns the active families that match a filter, the last used first, at
// most 1,000. Filter.Subject is required. For a "your devices" page, list the
// families, and call [Tokens.RevokeFamily] to sign out one device or [Tokens.RevokeAll]
// with Filter.Except to sign out all others. The family of the caller is the claim
// sid of the access token.
func (t *Tokens) List(ctx context.Context, f Filter) ([]Family, error) {
	if f.Subject == "" {
		return nil, errors.New("refresh: list: Filter.Subject: required")
	}
	records, err := t.store.List(ctx, f, maxListed)
	if err != nil {
		return nil, storeFailed("list", err)
	}
	families := make([]Family, len(records))
	for i := range records {
		families[i] = records[i].Family
	}
	return families, nil
}

// revokeAccess revokes the access tokens of a revoked family.
func (t *Tokens) revokeAccess(ctx context.Context, f Family) error {
	if t.revocations == nil {
		return nil
	}
	return t.revocations.RevokeFamily(ctx, gatehouse.Key{Issuer: t.issuer, Subject: f.Subject}, f.ID)
}
