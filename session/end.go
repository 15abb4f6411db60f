// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// End ends the session of the request, and has the browser forget the cookie and
// what else it has kept of this origin. It must be called before the first byte
// of the body. That there is no session is no error.
//
// It returns the tokens of the session, for the application to revoke, and to
// end the session at the authorization server too. The error is a
// [*gatehouse.Error]; where it says that the store cannot be reached, the
// session may still be there, though this browser has no way to it.
func (m *Manager) End(w http.ResponseWriter, r *http.Request) (Tokens, error) {
	begun := time.Now()
	tokens, err := m.end(w, r)
	return tokens, m.tell(r, begun, err)
}

func (m *Manager) end(w http.ResponseWriter, r *http.Request) (Tokens, error) {
	if err := m.sites.Check(r); err != nil {
		return Tokens{}, err
	}
	m.cookie.Clear(w)
	w.Header().Set("Cache-Control", "no-store")
	// ASVS 5.0, 14.3.1: "authenticated data is cleared from client storage ...
	// after the client or session is terminated. The 'Clear-Site-Data' HTTP
	// response header field may be able to help with this". Not "cookies": that
	// takes those of the whole site, with other applications'.
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	id := m.current(r)
	if id == "" {
		return Tokens{}, nil
	}
	// A browser that is closed right after the click is signed out all the same.
	tokens, err := m.remove(context.WithoutCancel(r.Context()), id, func(*Record) bool { return true })
	if errors.Is(err, ErrNotFound) {
		return Tokens{}, nil
	}
	return tokens, err
}

// remove ends a session if it is one of those meant, and returns its tokens. If
// there is none, or none of those, the error is [ErrNotFound].
func (m *Manager) remove(ctx context.Context, id string, meant func(*Record) bool) (Tokens, error) {
	record, err := m.last(ctx, id)
	if err == nil && !meant(&record) {
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
	tokens, _, _ := m.open(&record) // what cannot be opened cannot be used by anybody
	return tokens, m.emit(ctx, Event{Type: EventEnded, Session: record.Session})
}

// lastWait is how long a logout waits for a renewal of tokens under way.
const lastWait = 2 * time.Second

// last returns the record of a session that is about to end, with the tokens
// that are the newest: those that a renewal under way brings, if it is quick.
func (m *Manager) last(ctx context.Context, id string) (Record, error) {
	short, cancel := context.WithTimeout(ctx, lastWait)
	defer cancel()
	record, err := m.free(short, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return m.store.Get(ctx, id)
	}
	return record, err
}

// maxListed is how many sessions List returns.
const maxListed = 1000

// List returns the sessions of a person, those seen last first, at most 1,000.
// The one whose ID is the Credential of the principal is that of the request.
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

// EndOne ends a session of a person by its ID, and returns its tokens for the
// application to revoke. If there is none, or it is of somebody else, the error is
// [ErrNotFound].
func (m *Manager) EndOne(ctx context.Context, issuer, subject, id string) (Tokens, error) {
	return m.remove(ctx, id, func(r *Record) bool { return r.Issuer == issuer && r.Subject == subject && subject != "" })
}

// EndAll ends all sessions that match, and returns how many there were: those of
// a person whose password was changed, say, but for the one of the request.
func (m *Manager) EndAll(ctx context.Context, s Selector) (int, error) {
	if s.Issuer == "" || s.Subject == "" && s.SID == "" {
		return 0, errors.New("session: EndAll: the selector needs an Issuer, and a Subject or a SID")
	}
	count, err := m.store.DeleteAll(ctx, s)
	if err != nil {
		return 0, unavailable("", err)
	}
	return count, m.emit(ctx, Event{Type: EventEndedAll, Selector: s, Count: count})
}

// Logout is a logout token of the issuer, OpenID Connect Back-Channel Logout 1.0,
// that was verified.
type Logout struct {
	Issuer  string
	Subject string // "" if SID says it all
	SID     string // "" for all sessions of Subject
	ID      string // jti
}

// logoutMemory is how long the jti of a logout token is remembered: for longer
// than such a token is accepted, which is a day and what clocks are apart.
const logoutMemory = 25 * time.Hour

// Logout ends the sessions that the issuer has ended. A token that comes twice
// is obeyed once.
//
//	OpenID Connect Back-Channel Logout 1.0 §2.6: "Optionally verify that another
//	Logout Token with the same jti value has not been recently received."
func (m *Manager) Logout(ctx context.Context, l Logout) error {
	if l.ID == "" {
		return errors.New("session: Logout.ID: required")
	}
	// It is remembered as a session of nobody, which no cookie names: none has a
	// name with a space in it.
	memory := Record{Session: Session{ID: idOf("logout token", []byte(l.Issuer+"\x00"+l.ID)), Issuer: l.Issuer, Idle: logoutMemory}}
	_, err := m.store.Get(ctx, memory.ID)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, ErrNotFound):
		return unavailable("", err)
	}
	// First the deed, then the memory of it: if it fails the issuer tries again.
	if _, err := m.EndAll(ctx, Selector{Issuer: l.Issuer, Subject: l.Subject, SID: l.SID}); err != nil {
		return err
	}
	if err := m.endUnnamed(ctx, l); err != nil {
		return err
	}
	if _, err := m.store.Create(ctx, memory, logoutMemory); err != nil && !errors.Is(err, ErrConflict) {
		return unavailable("", err)
	}
	return nil
}

// endUnnamed ends the sessions of the subject whose SID nobody knows: the issuer
// has not said it at the login, so any of them may be the one that it means.
func (m *Manager) endUnnamed(ctx context.Context, l Logout) error {
	if l.Subject == "" || l.SID == "" { // then the selector has met them
		return nil
	}
	sessions, err := m.List(ctx, l.Issuer, l.Subject)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.SID != "" {
			continue
		}
		if _, err := m.EndOne(ctx, s.Issuer, s.Subject, s.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}
