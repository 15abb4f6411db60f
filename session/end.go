// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// End ends the session of the request (logout), and makes the browser delete
// the cookie, and the cache and storage of this origin. It returns the tokens
// of the session, for the application to revoke. Without a session, it returns
// no tokens and no error.
//
// Call it before the first byte of the response body. It rejects cross-site
// requests (CSRF) with 403. The error is a [*gatehouse.Error]; if it is 503,
// the session may still be in the store, but the browser has lost its cookie.
// End completes even if the request is canceled.
//
// Implements ASVS 5.0 §7.4.1, §14.3.1.
func (m *Manager) End(w http.ResponseWriter, r *http.Request) (Tokens, error) {
	begun := time.Now()
	tokens, err := m.end(w, r)
	return tokens, m.record(r, begun, err)
}

func (m *Manager) end(w http.ResponseWriter, r *http.Request) (Tokens, error) {
	if err := m.sites.Check(r); err != nil {
		return Tokens{}, err
	}
	m.cookie.Clear(w)
	w.Header().Set("Cache-Control", "no-store")
	// ASVS 5.0 §14.3.1: "authenticated data is cleared from client storage ...
	// after the client or session is terminated. The 'Clear-Site-Data' HTTP
	// response header field may be able to help with this". Not "cookies": that
	// would delete those of the whole site, including other applications.
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	id := m.current(r)
	if id == "" {
		return Tokens{}, nil
	}
	tokens, err := m.remove(context.WithoutCancel(r.Context()), id, func(*Record) bool { return true })
	if errors.Is(err, ErrNotFound) {
		return Tokens{}, nil
	}
	return tokens, err
}

// remove ends a session if it matches, and returns its tokens. Otherwise the error
// is [ErrNotFound].
func (m *Manager) remove(ctx context.Context, id string, match func(*Record) bool) (Tokens, error) {
	record, err := m.latest(ctx, id)
	if err == nil && !match(&record) {
		err = ErrNotFound
	}
	if err == nil {
		err = m.store.Delete(ctx, id)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return Tokens{}, ErrNotFound
	case err != nil:
		return Tokens{}, unavailable(id, err)
	}
	tokens, _, _ := m.open(&record) // tokens that do not open cannot be revoked
	return tokens, m.report(ctx, EventEnded, record.Session)
}

// endWait is how long the end of a session waits for a running refresh.
const endWait = 2 * time.Second

// latest returns the record of a session. If a refresh is running, it waits up to endWait
// for the new tokens.
func (m *Manager) latest(ctx context.Context, id string) (Record, error) {
	short, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	record, err := m.unclaimed(short, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return m.store.Get(ctx, id)
	}
	return record, err
}

// maxListed is the maximum number of sessions that List returns.
const maxListed = 1000

// List returns the sessions of a user, the most recently used first, at most
// 1,000. The session of the request is the one whose ID is the Credential of its
// principal. The error is a [*gatehouse.Error] with status 503.
//
// Implements ASVS 5.0 §7.5.2.
func (m *Manager) List(ctx context.Context, issuer, subject string) ([]Session, error) {
	records, err := m.store.List(ctx, Selector{Issuer: issuer, Subject: subject}, maxListed)
	if err != nil {
		return nil, unavailable("", err)
	}
	sessions := make([]Session, len(records))
	for i := range records {
		sessions[i] = records[i].Session
	}
	return sessions, nil
}

// EndOne ends a session of a user by its ID, and returns its tokens, for the
// application to revoke. If there is none, or it belongs to another user, the
// error is [ErrNotFound].
//
// Implements ASVS 5.0 §7.5.2.
func (m *Manager) EndOne(ctx context.Context, issuer, subject, id string) (Tokens, error) {
	return m.remove(ctx, id, func(r *Record) bool { return r.Issuer == issuer && r.Subject == subject && subject != "" })
}

// EndAll ends all sessions that match and returns their number. After a password
// change, end all sessions of the user except that of the request: set Selector.Except.
// The tokens of the sessions are not revoked.
//
// Implements ASVS 5.0 §7.4.2.
func (m *Manager) EndAll(ctx context.Context, s Selector) (int, error) {
	if s.Issuer == "" || s.Subject == "" && s.SID == "" {
		return 0, errors.New("session: EndAll: Selector: Issuer and one of Subject and SID are required")
	}
	count, err := m.store.DeleteAll(ctx, s)
	if err != nil {
		return 0, unavailable("", err)
	}
	attrs := []slog.Attr{slog.Int(AttrCount, count)}
	if s.SID != "" {
		attrs = append(attrs, slog.String(AttrSID, s.SID))
	}
	return count, m.report(ctx, EventEndedAll, Session{Issuer: s.Issuer, Subject: s.Subject}, attrs...)
}
