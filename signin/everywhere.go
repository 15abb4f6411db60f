// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"errors"
	"sync"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// Revocations revokes the access tokens of a subject. Package revocation implements it.
type Revocations interface {
	RevokeSubject(ctx context.Context, subject gatehouse.Key) error
}

// maxRevoking bounds the concurrent revocations of tokens.
const maxRevoking = 8

// EndUser signs a user out everywhere, such as after a password change or for an
// operator. It ends all sessions of the subject, revokes their refresh tokens at the
// authorization server, and revokes the access tokens with Config.Revocations.
//
// The error is a [*gatehouse.Error] of 503 if sessions may remain. Any other error names
// the tokens that are not revoked. An authorization server without a revocation endpoint
// is not an error. After an error, call EndUser again: it completes the first call.
func (h *Handler) EndUser(ctx context.Context, subject string) error {
	incomplete, err := h.endUser(ctx, gatehouse.Key{Issuer: h.issuer, Subject: subject})
	if err != nil {
		return err
	}
	return incomplete
}

// endUser ends all sessions of a user. incomplete names the tokens that are not revoked.
func (h *Handler) endUser(ctx context.Context, user gatehouse.Key) (incomplete, err error) {
	sessions, err := h.Sessions.List(ctx, user.Issuer, user.Subject)
	if err != nil {
		return nil, err
	}
	var all []session.Tokens
	for _, s := range sessions {
		tokens, e := h.Sessions.EndOne(ctx, user.Issuer, user.Subject, s.ID)
		if e != nil && !errors.Is(e, session.ErrNotFound) {
			err = errors.Join(err, e)
		}
		all = append(all, tokens) // also if the session ended with an error of the observer
	}
	// A session may have begun or been renewed in the meantime.
	_, e := h.Sessions.EndAll(ctx, session.Selector{Issuer: user.Issuer, Subject: user.Subject})
	err = errors.Join(err, e)
	// Revoke refresh tokens first: with one of them a client could get an access token
	// after RevokeSubject.
	incomplete = h.revokeAll(ctx, all)
	if h.revocations != nil {
		incomplete = errors.Join(incomplete, h.revocations.RevokeSubject(ctx, user))
	}
	return incomplete, err
}

// revokeAll revokes the tokens of sessions that have ended.
func (h *Handler) revokeAll(ctx context.Context, all []session.Tokens) error {
	var group sync.WaitGroup
	errs, slots := make([]error, len(all)), make(chan struct{}, maxRevoking)
	for i, tokens := range all {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = failure(h.revoke(ctx, tokens))
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
