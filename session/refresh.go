// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	// refreshTimeout bounds the call to the authorization server.
	refreshTimeout = 10 * time.Second
	// claimFor is the time for which other processes wait for the process that refreshes.
	// It exceeds refreshTimeout by the time for storing the result.
	claimFor    = 16 * time.Second
	storeMargin = claimFor - refreshTimeout

	// refreshWait is how long a request with a valid access token waits for a
	// refresh.
	refreshWait = time.Second
)

var (
	errNoRefresh = errors.New("session: the access token is expired and there is no refresh token: request the scope offline_access")
	errEmpty     = errors.New("session: Config.Refresh: returned no tokens and no error")
	errNoRevoke  = errors.New("session: Config.Revoke: not set")
	errLost      = errors.New("session: the refreshed tokens could not be stored")
)

// Tokens returns the tokens of the session of the request, for calls to other
// servers. ctx is the context of a request that a gate has authenticated.
//
// If the access token is expired or expires soon, Tokens refreshes it first.
// All concurrent requests, in all processes, share one refresh: an
// authorization server with reuse detection would revoke the tokens if a
// refresh token were used twice. ctx limits only the wait of this caller and
// does not cancel the refresh. While the old access token is valid, Tokens
// returns it if the authorization server is unavailable or the refresh takes
// more than 1 s.
//
// The error is a [*gatehouse.Error], for [gatehouse.Refuse]: 401 if the user
// has to log in again, 503 if the authorization server or the store is
// unavailable. Without a refresh token it is 401 after the access token has
// expired; the session stays valid.
func (m *Manager) Tokens(ctx context.Context) (Tokens, error) {
	id, err := m.sessionOf(ctx)
	if err != nil {
		return Tokens{}, err
	}
	record, err := m.store.Get(ctx, id)
	if err != nil {
		return Tokens{}, storeError(id, err)
	}
	old, due, _ := m.open(&record)
	if time.Now().Before(due) { // never if they do not open
		return old, nil
	}
	return m.refreshed(ctx, id, old)
}

// refreshed refreshes the tokens of a session, or waits for the running refresh.
func (m *Manager) refreshed(ctx context.Context, id string, old Tokens) (Tokens, error) {
	call, _, err := m.refreshes.Start(id, func(ctx context.Context) (Tokens, error) { return m.refreshTokens(ctx, id) })
	if err != nil {
		return Tokens{}, unavailable(id, err)
	}
	wait := ctx
	if time.Now().Add(refreshWait).Before(old.Expires) {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, refreshWait)
		defer cancel()
	}
	tokens, err := call.Wait(wait)
	if err == nil {
		return tokens, nil
	}
	if e, ok := errors.AsType[*gatehouse.Error](err); ok { // of the refresh
		return Tokens{}, e
	}
	if wait.Err() != nil && ctx.Err() == nil {
		return old, nil
	}
	return Tokens{}, unavailable(id, err)
}

// refreshTokens returns valid tokens of a session: it refreshes them, unless
// another process has done so in the meantime.
func (m *Manager) refreshTokens(ctx context.Context, id string) (Tokens, error) {
	for {
		record, err := m.unclaimed(ctx, id)
		if err != nil {
			return Tokens{}, storeError(id, err)
		}
		t, due, err := m.open(&record)
		switch {
		case err != nil:
			return Tokens{}, noTokens(id, err)
		case time.Now().Before(due):
			return t, nil
		case m.refresh == nil || t.Refresh.Len() == 0:
			if time.Now().Before(t.Expires) {
				return t, nil
			}
			return Tokens{}, noTokens(id, errNoRefresh)
		}
		begun := time.Now()
		claimed, err := m.store.Swap(ctx, id, record.Version, Change{
			ID: id, Principal: record.Principal, Tokens: record.Tokens, Claim: claimFor,
		})
		if errors.Is(err, ErrConflict) {
			continue // another process was faster
		}
		if err != nil {
			return Tokens{}, storeError(id, err)
		}
		return m.exchange(ctx, claimed, t, begun)
	}
}

// exchange calls the authorization server and stores the result. The claim
// ensures that no other process does so.
func (m *Manager) exchange(ctx context.Context, claimed Record, old Tokens, begun time.Time) (Tokens, error) {
	// Close must not cancel the call: the new refresh token would be lost.
	ctx = context.WithoutCancel(ctx)
	// The deadline counts from before the claim: after the claim expires, another
	// process may call the authorization server.
	call, cancel := context.WithDeadline(ctx, begun.Add(refreshTimeout))
	renewed, err := m.refresh(call, old)
	cancel()
	if err == nil && renewed.Access.Len() == 0 {
		err = errEmpty
	}
	keep, cancel := context.WithTimeout(ctx, storeMargin)
	defer cancel()
	switch {
	case err == nil:
		return m.keep(keep, claimed, old, renewed)
	case errors.Is(err, ErrSignedOut):
		return m.signedOut(keep, claimed, err)
	}
	// Release the claim, so that the next request tries.
	_, _ = m.store.Swap(keep, claimed.ID, claimed.Version, Change{ID: claimed.ID, Principal: claimed.Principal, Tokens: claimed.Tokens})
	if time.Now().Before(old.Expires) {
		return old, nil
	}
	return Tokens{}, &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonRefreshUnavailable, Credential: claimed.ID, Cause: err,
	}
}

// keep stores refreshed tokens. The old refresh token is used, so it retries until
// the claim expires.
func (m *Manager) keep(ctx context.Context, claimed Record, old, t Tokens) (Tokens, error) {
	sealed, err1 := m.seal(claimed.ID, t, claimed.Expires)
	principal, err2 := narrow(&claimed, old.Scopes, t.Scopes)
	if err := errors.Join(err1, err2); err != nil {
		return Tokens{}, m.lost(ctx, claimed.Session, t, unavailable(claimed.ID, err))
	}
	change := Change{ID: claimed.ID, Principal: principal, Tokens: sealed}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		record, err := m.store.Swap(ctx, claimed.ID, claimed.Version, change)
		if errors.Is(err, ErrConflict) {
			// The response to an earlier Swap of this loop may have been lost.
			if record, err = m.store.Get(ctx, claimed.ID); err == nil && record.Tokens != sealed {
				err = ErrConflict
			}
		}
		switch {
		case err == nil:
			return t, m.report(ctx, EventRefreshed, record.Session)
		case errors.Is(err, ErrNotFound): // the session was ended in the meantime
			return Tokens{}, m.lost(ctx, claimed.Session, t, storeError(claimed.ID, err))
		case errors.Is(err, ErrConflict), sleep(ctx, pause) != nil:
			return Tokens{}, m.lost(ctx, claimed.Session, t, unavailable(claimed.ID, errors.Join(errLost, err)))
		}
	}
}

// lost revokes tokens that no session keeps, reports EventRefreshLost and returns the
// failure.
func (m *Manager) lost(ctx context.Context, s Session, t Tokens, failure error) error {
	cause := errNoRevoke
	if m.revoke != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeMargin)
		defer cancel()
		cause = m.revoke(ctx, t)
	}
	e := event(EventRefreshLost, s, gatehouse.Principal{}, slog.Bool(AttrRevoked, cause == nil))
	e.Cause = cause
	if err := gatehouse.Report(context.WithoutCancel(ctx), m.observer, e); err != nil {
		return err
	}
	return failure
}

// signedOut ends a session whose refresh token the authorization server rejects,
// unless another process has refreshed it after this one lost its claim.
//
// Implements ASVS 5.0 §7.6.1.
func (m *Manager) signedOut(ctx context.Context, claimed Record, cause error) (Tokens, error) {
	record, err := m.store.Get(ctx, claimed.ID)
	switch {
	case err != nil:
		return Tokens{}, storeError(claimed.ID, err)
	case record.Version != claimed.Version:
		if t, due, _ := m.open(&record); time.Now().Before(due) {
			return t, nil
		}
	}
	if err := m.store.Delete(ctx, claimed.ID); err != nil {
		return Tokens{}, unavailable(claimed.ID, err)
	}
	return Tokens{}, m.reportFailure(ctx, EventSignedOut, claimed.Session, &gatehouse.Error{
		Code: gatehouse.CodeInvalidToken, Reason: ReasonSignedOut, Credential: claimed.ID, Cause: cause,
	})
}

// unclaimed returns the record of a session when no process is refreshing its
// tokens.
func (m *Manager) unclaimed(ctx context.Context, id string) (Record, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		record, err := m.store.Get(ctx, id)
		if !record.Claimed.After(record.AsOf) { // also if there is no record
			return record, err
		}
		if err := sleep(ctx, min(pause, record.Claimed.Sub(record.AsOf))); err != nil {
			return Record{}, err
		}
	}
}

// The backoff between reads of a session that another process is refreshing.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
