// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	// refreshTimeout bounds the call to the authorization server, and
	// claimFor how long the others wait for whoever makes it: the rest is for
	// storing what came of it.
	refreshTimeout = 10 * time.Second
	claimFor       = 16 * time.Second
	storeMargin    = claimFor - refreshTimeout
)

var (
	errNoTokens  = errors.New("session: the session has no tokens")
	errNoRefresh = errors.New("session: the access token is over and there is no refresh token: was offline_access asked for, and granted?")
	errNothing   = errors.New("session: Config.Refresh has returned neither tokens nor an error")
	errClosed    = errors.New("session: the manager is closed")
	errLost      = errors.New("session: the renewed tokens could not be stored")
)

// Tokens returns the tokens of the session with which a gate has let the request
// in, for calls to other servers. An access token that is over, or about to be,
// is renewed first: once, however many requests ask for it in however many
// processes, since an authorization server that rotates refresh tokens takes the
// second use of one for theft.
//
// Without a refresh token, which many authorization servers give with the scope
// offline_access only, the error is 401 once the access token is over, while the
// session itself goes on.
//
// The renewal does not end with ctx, which bounds only how long this caller
// waits. If the authorization server does not answer, or not within a second, the
// tokens are the old ones as long as they are good.
//
// The error is a [*gatehouse.Error], for [gatehouse.Refuse]: 401 if the person
// has to log in again, 503 if it cannot be told.
func (m *Manager) Tokens(ctx context.Context) (Tokens, error) {
	id, err := m.of(ctx)
	if err != nil {
		return Tokens{}, err
	}
	record, err := m.store.Get(ctx, id)
	if err != nil {
		return Tokens{}, invite(refusal(id, err), m.login)
	}
	old, due, _ := m.open(&record)
	if time.Now().Before(due) { // never, if they do not open
		return old, nil
	}
	renewed, err := m.refresh(ctx, id, old)
	if err != nil {
		return Tokens{}, invite(err, m.login)
	}
	return renewed, nil
}

// unopened makes a refusal of tokens that are not there or do not open. With
// another key the person can log in again; to try again would not help.
func unopened(id string, err error) error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonSessionRefresh, Credential: id, Cause: err}
}

// flights are the renewals under way in this process, by the id of the session.
type flights struct {
	mu  sync.Mutex
	all map[string]*flight
}

type flight struct {
	done   chan struct{}
	tokens Tokens
	err    error
}

// patience is how long a request waits for a renewal that it does not need yet.
const patience = time.Second

// refresh renews the tokens of a session, or waits for whoever does.
func (m *Manager) refresh(ctx context.Context, id string, old Tokens) (Tokens, error) {
	f, err := m.join(id)
	if err != nil {
		return Tokens{}, unavailable(id, err)
	}
	var enough <-chan time.Time // never, where the old token is over by then
	if time.Now().Add(patience).Before(old.Expires) {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-f.done:
		return f.tokens, f.err
	case <-enough:
		return old, nil
	case <-ctx.Done():
		return Tokens{}, unavailable(id, ctx.Err())
	}
}

func (m *Manager) join(id string) (*flight, error) {
	m.flights.mu.Lock()
	defer m.flights.mu.Unlock()
	if f := m.flights.all[id]; f != nil {
		return f, nil
	}
	if m.ctx.Err() != nil {
		return nil, errClosed
	}
	f := &flight{done: make(chan struct{})}
	if m.flights.all == nil {
		m.flights.all = make(map[string]*flight)
	}
	m.flights.all[id] = f
	// Its context is not that of the request that happened to be first: the
	// others wait for it too.
	m.work.Go(func() {
		f.tokens, f.err = m.renewTokens(m.ctx, id)
		m.flights.mu.Lock()
		delete(m.flights.all, id)
		m.flights.mu.Unlock()
		close(f.done)
	})
	return f, nil
}

// renewTokens makes sure that the tokens of a session are good: it renews them,
// unless another process has done so meanwhile.
func (m *Manager) renewTokens(ctx context.Context, id string) (Tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, claimFor+refreshTimeout)
	defer cancel()
	for {
		record, err := m.free(ctx, id)
		if err != nil {
			return Tokens{}, refusal(id, err)
		}
		t, due, err := m.open(&record)
		switch {
		case err != nil:
			return Tokens{}, unopened(id, err)
		case time.Now().Before(due):
			return t, nil
		case m.renew == nil || t.Refresh.Len() == 0:
			if time.Now().Before(t.Expires) {
				return t, nil
			}
			return Tokens{}, unopened(id, errNoRefresh)
		}
		begun := time.Now()
		claimed, err := m.store.Swap(ctx, id, record.Version, Change{
			ID: id, Principal: record.Principal, Tokens: record.Tokens, Claim: claimFor,
		})
		if errors.Is(err, ErrConflict) {
			continue // somebody else was faster
		}
		if err != nil {
			return Tokens{}, refusal(id, err)
		}
		return m.exchange(ctx, claimed, t, begun)
	}
}

// exchange calls the authorization server, as the only one who does, and stores
// what comes of it.
func (m *Manager) exchange(ctx context.Context, claimed Record, old Tokens, begun time.Time) (Tokens, error) {
	// To give up in the middle, because the manager is closed, would lose the
	// answer and so the login.
	ctx = context.WithoutCancel(ctx)
	// The claim counts from before it was made. Past its time nobody may ask
	// any more, and an answer that comes then is not waited for.
	call, cancel := context.WithDeadline(ctx, begun.Add(refreshTimeout))
	renewed, err := m.renew(call, old)
	cancel()
	if err == nil && renewed.Access.Len() == 0 {
		err = errNothing
	}
	keep, cancel := context.WithTimeout(ctx, storeMargin)
	defer cancel()
	switch {
	case err == nil:
		return m.keep(keep, claimed, old, renewed)
	case errors.Is(err, ErrSignedOut):
		return m.signedOut(keep, claimed, err)
	}
	// Nothing is known. The claim is given back, so that the next request tries.
	_, _ = m.store.Swap(keep, claimed.ID, claimed.Version, Change{ID: claimed.ID, Principal: claimed.Principal, Tokens: claimed.Tokens})
	if time.Now().Before(old.Expires) {
		return old, nil
	}
	return Tokens{}, &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonServerUnavailable, Credential: claimed.ID, Cause: err,
	}
}

// keep stores renewed tokens. The old refresh token is used up, so it tries for
// as long as the claim lasts.
func (m *Manager) keep(ctx context.Context, claimed Record, old, t Tokens) (Tokens, error) {
	sealed, err1 := m.seal(claimed.ID, t)
	principal, err2 := narrow(claimed.Principal, old.Scopes, t.Scopes)
	if err := errors.Join(err1, err2); err != nil {
		return Tokens{}, unavailable(claimed.ID, err)
	}
	change := Change{ID: claimed.ID, Principal: principal, Tokens: sealed}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		record, err := m.store.Swap(ctx, claimed.ID, claimed.Version, change)
		if errors.Is(err, ErrConflict) {
			// Perhaps an answer was lost and this is our own change.
			if record, err = m.store.Get(ctx, claimed.ID); err == nil && record.Tokens != sealed {
				err = ErrConflict
			}
		}
		switch {
		case err == nil:
			return t, m.emit(ctx, Event{Type: EventRefreshed, Session: record.Session})
		case errors.Is(err, ErrNotFound): // it was ended meanwhile
			return Tokens{}, refusal(claimed.ID, err)
		case errors.Is(err, ErrConflict), wait(ctx, pause) != nil:
			lost := unavailable(claimed.ID, errors.Join(errLost, err))
			return Tokens{}, m.report(ctx, Event{Type: EventRefreshLost, Session: claimed.Session}, lost)
		}
	}
}

// signedOut ends a session whose tokens the authorization server refuses to
// renew. That is not so if another process has renewed them, after a claim that
// was lost.
func (m *Manager) signedOut(ctx context.Context, claimed Record, cause error) (Tokens, error) {
	record, err := m.store.Get(ctx, claimed.ID)
	switch {
	case err != nil:
		return Tokens{}, refusal(claimed.ID, err)
	case record.Version != claimed.Version:
		if t, due, _ := m.open(&record); time.Now().Before(due) {
			return t, nil
		}
	}
	if err := m.store.Delete(ctx, claimed.ID); err != nil {
		return Tokens{}, unavailable(claimed.ID, err)
	}
	return Tokens{}, m.report(ctx, Event{Type: EventSignedOut, Session: claimed.Session}, unopened(claimed.ID, cause))
}

// report emits the event of a refusal and returns the refusal, or that it could
// not be recorded.
func (m *Manager) report(ctx context.Context, e Event, refusal error) error {
	if err := m.emit(context.WithoutCancel(ctx), e); err != nil {
		return err
	}
	return refusal
}
