// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// endBatch is how many families are ended in one step of the store.
const endBatch = 500

// End ends the family of a refresh token, for a revocation endpoint. Any token
// of the family will do, one that has been used before too. A text that is no
// token of ours is no error:
//
//	RFC 7009 §2.2: "invalid tokens do not cause an error response since the
//	client cannot handle such an error in a reasonable way."
//
// A token that was issued to another client ends its family just as well, since
// it was stolen, but the error is [ErrInvalidGrant] then; any other error means
// that it cannot be done now.
func (t *RefreshTokens) End(ctx context.Context, token gatehouse.Secret, client string) error {
	start := time.Now()
	parsed, ok := parseRefreshToken(token.Reveal())
	if !ok {
		return nil
	}
	record, err := t.find(ctx, parsed)
	if err == nil {
		err = t.EndFamily(ctx, record.ID)
	}
	switch {
	case errors.Is(err, ErrFamilyNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("jwtauth: end: %w", err)
	case record.Client != client:
		// RFC 7009 §2.1: the server "verifies whether the token was issued to
		// the client making the revocation request. If this validation fails,
		// the request is refused".
		refused := refusal{reason: gatehouse.ReasonRefreshClient, err: ErrInvalidGrant}
		if err := t.observe(ctx, start, record.Family, refused); err != nil {
			return err
		}
		return refused.err
	}
	return nil
}

// EndFamily ends a family by its id, and revokes its access tokens if
// RefreshConfig.Revocations is set. To end it again is no error; where only the
// access tokens could not be revoked, it is what to do. The error is
// [ErrFamilyNotFound] if there is no such family, or none any more.
//
// Before it ends one for somebody, an application must check that it is theirs.
func (t *RefreshTokens) EndFamily(ctx context.Context, id string) error {
	if _, err := t.store.End(ctx, id); err != nil {
		return fmt.Errorf("jwtauth: end a family: %w", err)
	}
	// One matter with the end: nobody must be able to stop it by hanging up.
	return t.revokeFamily(context.WithoutCancel(ctx), id)
}

// EndAll ends the families of a subject, of a client, or of a subject at a
// client, and returns how many it has ended, also where it fails half-way; then
// it is called again. It revokes the access tokens of each, one by one, if
// RefreshConfig.Revocations is set. Where that fails it goes on and says so in
// the end: then [RevocationList.RevokeSubject] or RevokeClient is what to call.
// Families that begin in the meantime may be missed.
func (t *RefreshTokens) EndAll(ctx context.Context, f FamilyFilter) (int, error) {
	if (f == FamilyFilter{}) {
		return 0, errors.New("jwtauth: end families: the filter matches every one")
	}
	var errs []error
	for n := 0; ; {
		ended, err := t.store.EndAll(ctx, f, endBatch)
		if err != nil {
			return n, errors.Join(append(errs, fmt.Errorf("jwtauth: end families: %w", err))...)
		}
		for i := range ended {
			errs = append(errs, t.revokeFamily(ctx, ended[i].ID))
		}
		if n += len(ended); len(ended) < endBatch {
			return n, errors.Join(errs...)
		}
	}
}

// revokeFamily revokes the access tokens of a family that has ended.
func (t *RefreshTokens) revokeFamily(ctx context.Context, id string) error {
	if t.revocations == nil {
		return nil
	}
	return t.revocations.RevokeFamily(ctx, t.issuer, id)
}
