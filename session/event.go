// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"

	"github.com/gatehouse-go/gatehouse"
)

// EventType is what has become of a session.
type EventType string

// The types of events.
const (
	// EventStarted: somebody has logged in.
	EventStarted EventType = "started"
	// EventRenewed: the session has a new id.
	EventRenewed EventType = "renewed"
	// EventEnded: one session was ended before its time.
	EventEnded EventType = "ended"
	// EventEndedAll: all sessions that a Selector says were ended, Count of them.
	EventEndedAll EventType = "ended_all"
	// EventRefreshed: the tokens were renewed.
	EventRefreshed EventType = "refreshed"
	// EventSignedOut: the authorization server does not renew the tokens any
	// more, which has ended the session. Its refresh token may have been stolen.
	EventSignedOut EventType = "signed_out"
	// EventRefreshLost: the tokens were renewed and the store did not take them,
	// so the person will have to log in again.
	EventRefreshLost EventType = "refresh_lost"
)

// Event is something that has happened to a session. Nothing in it is secret.
type Event struct {
	Type EventType

	// Session is which one, after the change; zero for EventEndedAll.
	Session Session

	// Previous is the ID that the session had before EventRenewed.
	Previous string

	// Selector and Count are those of EventEndedAll.
	Selector Selector
	Count    int
}

func (m *Manager) emit(ctx context.Context, e Event) error {
	if m.events == nil {
		return nil
	}
	if err := m.events(ctx, e); err != nil {
		return &gatehouse.Error{
			Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonObserverFailed, Credential: e.Session.ID, Cause: err,
		}
	}
	return nil
}
