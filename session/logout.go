// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"
)

// Logout is a verified logout token, OpenID Connect Back-Channel Logout 1.0.
type Logout struct {
	Issuer  string
	Subject string // "" if SID identifies one session
	SID     string // "" for all sessions of Subject
	ID      string // jti
}

// logoutMemory is how long the jti of a logout token is stored: longer than such a
// token is accepted, which is a day and the clock skew.
const logoutMemory = 25 * time.Hour

// Logout ends the sessions that a logout token identifies. It ignores replayed tokens.
// After an error, the issuer can send the token again.
//
//	OIDC Back-Channel Logout §2.6 (jti): "Optionally verify that another
//	Logout Token with the same jti value has not been recently received."
//
// Implements ASVS 5.0 §7.6.1; OIDC Back-Channel Logout §2.6 (jti), §2.7.
func (m *Manager) Logout(ctx context.Context, l Logout) error {
	if l.ID == "" {
		return errors.New("session: Logout.ID: required")
	}
	memory := marker("logout token", l.Issuer, l.ID, logoutMemory)
	_, err := m.store.Get(ctx, memory.ID)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, ErrNotFound):
		return unavailable("", err)
	}
	// End the sessions before recording the jti, so that a retry repeats a partial
	// failure.
	if _, err := m.EndAll(ctx, Selector{Issuer: l.Issuer, Subject: l.Subject, SID: l.SID}); err != nil {
		return err
	}
	if err := m.endWithoutSID(ctx, l); err != nil {
		return err
	}
	if _, err := m.store.Create(ctx, memory, logoutMemory); err != nil && !errors.Is(err, ErrConflict) {
		return unavailable("", err)
	}
	return nil
}

// endWithoutSID ends the sessions of the subject without a SID: the issuer did not send
// one at the login, so the token may mean any of them.
func (m *Manager) endWithoutSID(ctx context.Context, l Logout) error {
	if l.Subject == "" || l.SID == "" { // the selector has matched them
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

// Once reports whether no process with this store has called it with this issuer and name
// within lifetime. Use it for operations that are allowed once, such as the redemption of
// an authorization code. The store keeps a record for lifetime. The error is a
// [*gatehouse.Error] with status 503.
func (m *Manager) Once(ctx context.Context, issuer, name string, lifetime time.Duration) (bool, error) {
	_, err := m.store.Create(ctx, marker("used once", issuer, name, lifetime), lifetime)
	switch {
	case errors.Is(err, ErrConflict):
		return false, nil
	case err != nil:
		return false, unavailable("", err)
	}
	return true, nil
}

// marker returns a record that stores a name. It is a session without a user. No cookie
// can select it, because kind contains a space and names of cookies do not.
func marker(kind, issuer, name string, lifetime time.Duration) Record {
	return Record{Session: Session{ID: idOf(kind, []byte(issuer+"\x00"+name)), Issuer: issuer, Idle: lifetime}}
}
