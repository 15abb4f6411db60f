// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// The events of sessions. Credential is the ID of the session, Issuer and
// [AttrSubject] are those of its user, and Principal is the caller that the
// context carries: see [gatehouse.FromContext].
const (
	// EventStarted: a session started. Principal is the new one, without Claims.
	EventStarted gatehouse.EventType = "session_started"
	// EventRenewed: the session has a new ID and a new cookie. It has
	// [AttrPrevious].
	EventRenewed gatehouse.EventType = "session_renewed"
	// EventEnded: one session was ended before it expired.
	EventEnded gatehouse.EventType = "session_ended"
	// EventEndedAll: all sessions of a user, or with one sid, were ended. It has
	// [AttrCount], and [AttrSID] if only sessions with that sid were ended. There
	// is no Credential.
	EventEndedAll gatehouse.EventType = "session_ended_all"
	// EventRefreshed: the tokens were refreshed.
	EventRefreshed gatehouse.EventType = "session_refreshed"
	// EventSignedOut: the authorization server rejected the refresh token, which
	// ended the session. The refresh token may have been stolen and used.
	EventSignedOut gatehouse.EventType = "session_signed_out"
	// EventRefreshLost: the tokens were refreshed, and the store failed to save them,
	// or the session ended in the meantime. It has [AttrRevoked]; if that is false,
	// the new refresh token is still valid, and Cause says why.
	EventRefreshLost gatehouse.EventType = "session_refresh_lost"
)

// The attributes of events.
const (
	AttrSubject  = "session_subject"  // the user of the session
	AttrPrevious = "session_previous" // the ID before EventRenewed
	AttrSID      = "session_sid"      // see Session.SID
	AttrCount    = "session_count"    // the number of sessions that ended
	AttrRevoked  = "session_revoked"  // whether the lost tokens were revoked
)

// report reports an event of a session, even if the client has disconnected: the change
// is made.
func (m *Manager) report(ctx context.Context, t gatehouse.EventType, s Session, attrs ...slog.Attr) error {
	if m.observer == nil {
		return nil
	}
	caller, _ := gatehouse.FromContext(ctx)
	return gatehouse.Report(context.WithoutCancel(ctx), m.observer, event(t, s, caller, attrs...))
}

func event(t gatehouse.EventType, s Session, caller gatehouse.Principal, attrs ...slog.Attr) gatehouse.Event {
	e := gatehouse.Event{
		Type: t, Level: slog.LevelInfo, Principal: caller, Issuer: s.Issuer, Credential: s.ID,
		Attrs: append([]slog.Attr{slog.String(AttrSubject, s.Subject)}, attrs...),
	}
	if t == EventSignedOut || t == EventRefreshLost {
		e.Level = slog.LevelWarn
	}
	return e
}

// reportFailure reports the event of a failure and returns the failure, or the
// error of the observer.
func (m *Manager) reportFailure(ctx context.Context, t gatehouse.EventType, s Session, failure error) error {
	if err := m.report(ctx, t, s); err != nil {
		return err
	}
	return failure
}

// record reports a rejected request, unless the request has passed a gate, which
// reports it itself. It returns err, or the error of the observer.
func (m *Manager) record(r *http.Request, begun time.Time, err error) error {
	if _, inside := gatehouse.FromContext(r.Context()); err == nil || inside {
		return err
	}
	if failure := gatehouse.Report(r.Context(), m.observer, gatehouse.NewEvent(r, err, begun)); failure != nil {
		return failure
	}
	return err
}
