// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// tell tells the observer of a refusal where no gate does, and returns it, or that
// it could not be recorded.
func (m *Manager) tell(r *http.Request, begun time.Time, err error) error {
	if _, inside := gatehouse.FromContext(r.Context()); err == nil || inside || m.observer == nil {
		return err
	}
	event := gatehouse.Event{
		Decision: gatehouse.Unavailable, Reason: gatehouse.ReasonAuthenticatorFailed,
		Code: gatehouse.CodeTemporarilyUnavailable, Status: http.StatusServiceUnavailable,
		Method: r.Method, Host: r.Host, Path: r.URL.Path, Cause: err, Duration: time.Since(begun),
	}
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		event.Reason, event.Code, event.Status, event.Credential, event.Cause = e.Reason, e.Code, e.Status(), e.Credential, e.Cause
		if event.Status != http.StatusServiceUnavailable {
			event.Decision = gatehouse.Refused
		}
	}
	if failure := m.observer.Observe(r.Context(), event); failure != nil {
		return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonObserverFailed, Cause: failure}
	}
	return err
}
