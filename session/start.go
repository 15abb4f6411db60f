// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Login is what a session begins with.
type Login struct {
	// Principal is who has logged in. Subject and Issuer are required, at most
	// 512 bytes each; Method, Credential and Expires are the session's own; Kind
	// is a user's if empty. All of it, as JSON, may have 16 KB.
	Principal gatehouse.Principal

	// Tokens are those of the authorization server, to be kept. Optional.
	Tokens Tokens

	// SID is what the issuer calls its own session, for a logout that comes from
	// there: at most 512 bytes without control characters. Optional.
	SID string

	// Label is what to call the session in a list, such as "Firefox on Linux": at
	// most 200 bytes without control characters. Optional.
	Label string
}

// maxLabel bounds a Label, in bytes.
const maxLabel = 200

// Start begins a session: for whoever has just logged in, and in no other case.
// It must be called before the first byte of the body.
//
// The id is always a new one, and a session that the browser had before is
// ended, so that nobody can choose the session that somebody else logs in to.
//
//	ASVS 5.0, 7.2.4: "the application generates a new session token on user
//	authentication, including re-authentication, and terminates the current
//	session token".
//
// The error is a [*gatehouse.Error] of 403 if the page of another site has caused
// the request, and of 503 if the store cannot be reached. Every other one is a
// mistake of the program, in what it has put into l. Nobody is logged in then.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request, l Login) error {
	begun := time.Now()
	return m.tell(r, begun, m.start(w, r, l))
}

func (m *Manager) start(w http.ResponseWriter, r *http.Request, l Login) error {
	if err := m.sites.Check(r); err != nil {
		return err
	}
	if err := errors.Join(checkPrincipal(l.Principal), checkText("SID", l.SID, maxName), checkText("Label", l.Label, maxLabel)); err != nil {
		return err
	}
	secret, id := m.newSecret()
	principal, err := encodePrincipal(l.Principal)
	if err != nil {
		return err
	}
	tokens, err := m.seal(id, l.Tokens)
	if err != nil {
		return err
	}
	record, err := m.store.Create(r.Context(), Record{
		Session: Session{
			ID: id, Issuer: l.Principal.Issuer, Subject: l.Principal.Subject, SID: l.SID, Label: l.Label, Idle: m.idle,
		},
		Principal: principal, Tokens: tokens,
	}, m.absolute)
	if err != nil {
		return unavailable(id, err)
	}
	if err := m.makeWay(r, &record); err != nil {
		_ = m.store.Delete(context.WithoutCancel(r.Context()), id) // nobody has its secret
		return err
	}
	return m.cookie.Set(w, secret)
}

// makeWay ends the session that the browser had before the latest one, and those
// of the person that are too many with it, and says that the latest has begun.
func (m *Manager) makeWay(r *http.Request, latest *Record) error {
	if old := m.current(r); old != "" {
		if err := m.store.Delete(r.Context(), old); err != nil {
			return unavailable(old, err)
		}
	}
	if err := m.endOldest(r.Context(), latest); err != nil {
		return err
	}
	return m.emit(r.Context(), Event{Type: EventStarted, Session: latest.Session})
}

// endOldest ends those sessions of the person that are too many with a new one.
func (m *Manager) endOldest(ctx context.Context, latest *Record) error {
	others, err := m.store.List(ctx, Selector{Issuer: latest.Issuer, Subject: latest.Subject, Except: latest.ID}, maxListed)
	if err != nil {
		return unavailable("", err)
	}
	for _, other := range others[min(len(others), m.most-1):] { // those seen last come first
		if err := m.store.Delete(ctx, other.ID); err != nil {
			return unavailable(other.ID, err)
		}
		if err := m.emit(ctx, Event{Type: EventEnded, Session: other.Session}); err != nil {
			return err
		}
	}
	return nil
}

func checkText(name, text string, limit int) error {
	if !isText(text, limit) {
		return fmt.Errorf("session: Login.%s: must be at most %d bytes of UTF-8 without control characters", name, limit)
	}
	return nil
}

var errOther = errors.New("session: the session is of somebody else")

// Renew gives the session of the request another id and another principal of
// the same Subject: where somebody gets more rights, say, by showing once more
// who they are. The old id is good no more from then on, so requests of the same
// page that are under way with it are refused with 401. The deadline stays.
//
// It must be called before the first byte of the body, and only for requests
// that a gate has let in with a session.
func (m *Manager) Renew(w http.ResponseWriter, r *http.Request, p gatehouse.Principal) error {
	old, err := m.of(r.Context())
	if err != nil {
		return err
	}
	if err := checkPrincipal(p); err != nil {
		return err
	}
	principal, err := encodePrincipal(p)
	if err != nil {
		return err
	}
	for {
		record, err := m.free(r.Context(), old)
		if err != nil {
			return refusal(old, err)
		}
		if record.Issuer != p.Issuer || record.Subject != p.Subject {
			return errOther
		}
		secret, id := m.newSecret()
		change := Change{ID: id, Principal: principal}
		if record.Tokens != "" {
			t, _, err := m.open(&record)
			if err != nil {
				return invite(unopened(old, err), m.login)
			}
			if change.Tokens, err = m.seal(id, t); err != nil {
				return err
			}
		}
		renewed, err := m.store.Swap(r.Context(), old, record.Version, change)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return refusal(old, err)
		}
		if err := m.cookie.Set(w, secret); err != nil {
			return err
		}
		return m.emit(r.Context(), Event{Type: EventRenewed, Session: renewed.Session, Previous: old})
	}
}

// of returns the id of the session with which a gate has let the request in.
func (m *Manager) of(ctx context.Context) (string, error) {
	p, ok := gatehouse.FromContext(ctx)
	switch {
	case !ok:
		return "", &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonOutsideGate}
	case p.Method != gatehouse.MethodSession:
		return "", &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonPolicy, Cause: errNoSession}
	}
	return p.Credential, nil
}

var errNoSession = errors.New("session: the caller has no session, but another credential")

// free returns the record of a session once nobody is renewing its tokens.
func (m *Manager) free(ctx context.Context, id string) (Record, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		record, err := m.store.Get(ctx, id)
		if !record.Claimed.After(record.AsOf) { // nor is one that is not there
			return record, err
		}
		if err := wait(ctx, min(pause, record.Claimed.Sub(record.AsOf))); err != nil {
			return Record{}, err
		}
	}
}

// How long to wait between looks at a session that another process is renewing.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
