// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// Login is the content of a new session.
type Login struct {
	// Principal is the user who logged in. Subject and Issuer are required, at
	// most 512 bytes each. Kind is KindUser if empty. The session sets Method,
	// Credential and Expires. The whole principal may have 16 KB as JSON.
	Principal gatehouse.Principal

	// Tokens are the tokens of the authorization server. Optional.
	Tokens Tokens

	// SID is the sid claim, the ID of the session at the issuer, which logout
	// tokens contain: at most 512 bytes without control characters. Optional.
	SID string

	// Label is a name of the session for lists, such as "Firefox on Linux": at
	// most 200 bytes without control characters. Optional.
	Label string

	// Lifetime sets the timeouts of this session, such as for users who want to stay
	// signed in ("remember me"). If zero, those of [Config] apply.
	Lifetime Lifetime
}

// maxLabel bounds a Label, in bytes.
const maxLabel = 200

// Start starts a session for a user who has just logged in. Call it before the
// first byte of the response body.
//
// The session always has a new ID, and Start ends the session that the browser had
// before, so that an attacker cannot choose the session of another user (session
// fixation). It rejects cross-site requests (login CSRF). The new session keeps the
// data of the old one if both are sessions of the same user.
//
//	ASVS 5.0 §7.2.4: "the application generates a new session token on user
//	authentication, including re-authentication, and terminates the current
//	session token".
//
// The error is a [*gatehouse.Error] of 403 for a cross-site request, and of 503
// if the store is unavailable or the observer fails. Any other error means that
// l is invalid. After an error there is no session.
//
// Implements RFC 10017 §6.1.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request, l Login) error {
	begun := time.Now()
	return m.record(r, begun, m.start(w, r, l))
}

func (m *Manager) start(w http.ResponseWriter, r *http.Request, l Login) error {
	if err := m.sites.Check(r); err != nil {
		return err
	}
	if err := errors.Join(checkPrincipal(l.Principal), checkText("SID", l.SID, maxName), checkText("Label", l.Label, maxLabel)); err != nil {
		return err
	}
	lifetime := l.Lifetime.or(m.lifetime)
	if err := lifetime.check("Login.Lifetime."); err != nil {
		return err
	}
	secret, id := m.newSecret()
	tokens, err := m.seal(id, l.Tokens, time.Now().Add(lifetime.Absolute))
	if err != nil {
		return err
	}
	kept := content{Persistent: lifetime.Persistent}
	kept.setPrincipal(l.Principal)
	if kept.Data, err = m.dataOf(r, l.Principal.Key()); err != nil {
		return err
	}
	principal, err := kept.encode()
	if err != nil {
		return err
	}
	// Read before the new session exists: two logins at the same time do not see, and
	// end, each other.
	others, err := m.store.List(r.Context(), Selector{Issuer: l.Principal.Issuer, Subject: l.Principal.Subject}, maxListed)
	if err != nil {
		return unavailable("", err)
	}
	record, err := m.store.Create(r.Context(), Record{
		Session: Session{
			ID: id, Issuer: l.Principal.Issuer, Subject: l.Principal.Subject, SID: l.SID, Label: l.Label, Idle: lifetime.Idle,
		},
		Principal: principal, Tokens: tokens,
	}, lifetime.Absolute)
	if err != nil {
		return unavailable(id, err)
	}
	if err := m.started(r, record.Session, others, l.Principal); err != nil {
		_ = m.store.Delete(context.WithoutCancel(r.Context()), id) // its secret was not sent
		return err
	}
	return m.setCookie(w, secret, lifetime.Persistent, lifetime.Absolute)
}

// setCookie sets the cookie with the secret of a session that lasts for the given time.
func (m *Manager) setCookie(w http.ResponseWriter, secret string, persistent bool, lasts time.Duration) error {
	if !persistent {
		return m.cookie.Set(w, secret)
	}
	spec := m.spec
	spec.MaxAge = max(lasts.Truncate(time.Second), time.Second)
	c, err := cookie.New(spec)
	if err != nil {
		return err
	}
	return c.Set(w, secret)
}

// dataOf returns the data of the browser's session if it belongs to the same user:
// another login, such as a step-up, keeps them.
func (m *Manager) dataOf(r *http.Request, user gatehouse.Key) (map[string]json.RawMessage, error) {
	id := m.current(r)
	if id == "" {
		return nil, nil
	}
	record, err := m.store.Get(r.Context(), id)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && user != gatehouse.Key{Issuer: record.Issuer, Subject: record.Subject}:
		return nil, nil
	case err != nil:
		return nil, unavailable(id, err)
	}
	c, _ := decodeContent(&record) // empty if it does not decode
	return c.Data, nil
}

// started ends the sessions that a new one replaces, and reports the new one.
func (m *Manager) started(r *http.Request, latest Session, others []Record, p gatehouse.Principal) error {
	old := m.current(r)
	if old != "" {
		if err := m.store.Delete(r.Context(), old); err != nil {
			return unavailable(old, err)
		}
	}
	others = slices.DeleteFunc(others, func(other Record) bool { return other.ID == old })
	if err := m.evict(r.Context(), others); err != nil {
		return err
	}
	p.Method, p.Credential, p.Claims = Method, latest.ID, gatehouse.Claims{}
	return gatehouse.Report(r.Context(), m.observer, event(EventStarted, latest, p))
}

// evict ends the sessions of a user beyond the maximum, which includes the new one.
func (m *Manager) evict(ctx context.Context, others []Record) error {
	for _, other := range others[min(len(others), m.perUser-1):] { // the most recently used come first
		if err := m.store.Delete(ctx, other.ID); err != nil {
			return unavailable(other.ID, err)
		}
		if err := m.report(ctx, EventEnded, other.Session); err != nil {
			return err
		}
	}
	return nil
}

func checkText(name, value string, limit int) error {
	if !text.IsClean(value, limit) {
		return fmt.Errorf("session: Login.%s: must be at most %d bytes of UTF-8 without control characters", name, limit)
	}
	return nil
}

var errOtherUser = errors.New("session: Renew: the session belongs to another user")

// Renew gives the session of the request a new ID and another principal of the
// same Subject, for example after a step-up authentication (session fixation). Its data
// are kept.
// The old ID becomes invalid, so concurrent requests with it are rejected with
// 401. The absolute timeout does not change.
//
// It must be called before the first byte of the body, with a request that a
// gate has authenticated by a session.
//
// Implements ASVS 5.0 §7.2.4.
func (m *Manager) Renew(w http.ResponseWriter, r *http.Request, p gatehouse.Principal) error {
	old, err := m.sessionOf(r.Context())
	if err != nil {
		return err
	}
	if err := checkPrincipal(p); err != nil {
		return err
	}
	for {
		record, err := m.unclaimed(r.Context(), old)
		if err != nil {
			return storeError(old, err)
		}
		if record.Issuer != p.Issuer || record.Subject != p.Subject {
			return errOtherUser
		}
		kept, err := decodeContent(&record)
		if err != nil {
			return unavailable(old, err)
		}
		kept.setPrincipal(p)
		secret, id := m.newSecret()
		change := Change{ID: id}
		if change.Principal, err = kept.encode(); err != nil {
			return err
		}
		if record.Tokens != "" {
			t, _, err := m.open(&record)
			if err != nil {
				return noTokens(old, err)
			}
			if change.Tokens, err = m.seal(id, t, record.Expires); err != nil {
				return err
			}
		}
		renewed, err := m.store.Swap(r.Context(), old, record.Version, change)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return storeError(old, err)
		}
		if err := m.setCookie(w, secret, kept.Persistent, renewed.Expires.Sub(renewed.AsOf)); err != nil {
			return err
		}
		return m.report(r.Context(), EventRenewed, renewed.Session, slog.String(AttrPrevious, old))
	}
}

// sessionOf returns the ID of the session that a gate has authenticated.
func (m *Manager) sessionOf(ctx context.Context) (string, error) {
	p, ok := gatehouse.FromContext(ctx)
	switch {
	case !ok:
		return "", &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonOutsideGate}
	case p.Method != Method:
		return "", &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: ReasonOtherCredential, Cause: errOtherCredential}
	}
	return p.Credential, nil
}
