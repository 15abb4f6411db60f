// SPDX-License-Identifier: Apache-2.0

package session

import (
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
	if failure := m.observer.Observe(r.Context(), gatehouse.NewEvent(r, err, begun)); failure != nil {
		return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonObserverFailed, Cause: failure}
	}
	return err
}
