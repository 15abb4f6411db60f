// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// RequiredError means that a call needs an approval. It is the cause of a
// [*gatehouse.Error] with [CodeRequired].
type RequiredError struct {
	Approval Approval // pending, or denied
	URL      string   // where people decide on it
}

// Error names the approval.
func (e *RequiredError) Error() string {
	return "approval: " + string(e.Approval.Status()) + ": " + e.Approval.ID
}

// Required returns the refusal of a call that needs the approval a. Its challenge has
// the parameters approval, url and expires.
func (s *Approvals) Required(a Approval) *gatehouse.Error {
	reason := ReasonRequired
	if a.Status() == Denied {
		reason = ReasonDenied
	}
	required := &RequiredError{a, s.URL(a.ID)}
	return &gatehouse.Error{Code: CodeRequired, Reason: reason, Cause: required, Level: slog.LevelInfo, Params: []gatehouse.Param{
		{Name: "approval", Value: a.ID}, {Name: "url", Value: required.URL}, {Name: "expires", Value: a.Expires.Format(time.RFC3339)},
	}}
}

// Request returns the approval of a call, and requests one if there is none. A second
// request of the same call, on any server, returns the same approval until it is used or
// expires. A denied approval is also returned until it expires, unless
// Config.AllowAskingAgain is set.
//
// The errors are a [*gatehouse.Error] with [CodeTooMany], with
// [gatehouse.CodeInvalidRequest] for a call that cannot be approved, or with
// [gatehouse.CodeTemporarilyUnavailable]. An invalid rule is a defect of the program
// and has the latter code too.
func (s *Approvals) Request(ctx context.Context, c Call, r Rule) (Approval, error) {
	if err := c.check(s.config.MaxArguments); err != nil {
		return Approval{}, &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: ReasonCall, Cause: err}
	}
	if err := r.Check(); err != nil {
		return Approval{}, unavailable(err)
	}
	id := "apr_" + strings.ToLower(rand.Text())
	a, added, err := s.config.Store.Request(ctx, Approval{ID: id, Call: c, Rule: r}, Limits{s.config.Lifetime, s.config.MaxPending, s.config.MaxPendingBytes}, s.config.AllowAskingAgain)
	switch {
	case errors.Is(err, ErrTooMany):
		return Approval{}, &gatehouse.Error{Code: CodeTooMany, Reason: ReasonTooMany, RetryAfter: time.Minute, Cause: err}
	case err != nil:
		return Approval{}, unavailable(err)
	case a.Call != c:
		return Approval{}, unavailable(errors.New("approval: the store returned an approval of another call"))
	case !added:
		return a, nil
	}
	if err := s.report(ctx, a, gatehouse.Event{Type: EventRequested, Level: slog.LevelInfo}); err != nil {
		return Approval{}, err
	}
	return a, s.hook(ctx, "requested", s.config.Requested, a)
}

// Claim uses the approval of a call. Call it immediately before the call is dispatched,
// with the arguments that will run. Of any number of claims exactly one returns nil. If
// the process ends between the claim and the dispatch, the approval is used: the call
// needs another one.
//
// The rule must be that of the request. The error is [ErrNotFound] if the call has no
// approval that can be used, and otherwise a [*gatehouse.Error] with
// [gatehouse.CodeTemporarilyUnavailable]; the approval may then be used. After an error
// the call must not be dispatched.
func (s *Approvals) Claim(ctx context.Context, c Call, r Rule) (Approval, error) {
	if err := c.check(s.config.MaxArguments); err != nil {
		return Approval{}, ErrNotFound // the approval was never requested
	}
	digest := Approval{Call: c, Rule: r}.Digest()
	a, err := s.config.Store.Claim(ctx, c.Tenant, digest)
	switch {
	case errors.Is(err, ErrNotFound):
		return Approval{}, ErrNotFound
	case err != nil:
		return Approval{}, unavailable(err)
	case a.Call != c || a.Digest() != digest || a.Status() != Used:
		return Approval{}, unavailable(errors.New("approval: the store claimed another approval"))
	}
	if err := s.report(ctx, a, gatehouse.Event{Type: EventClaimed, Level: slog.LevelInfo}); err != nil {
		return Approval{}, err
	}
	return a, nil
}

// Find returns an approval of a tenant. The error is [ErrNotFound], or a
// [*gatehouse.Error] of status 503 if the store is unavailable.
func (s *Approvals) Find(ctx context.Context, tenant, id string) (Approval, error) {
	a, err := s.find(ctx, tenant, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = unavailable(err)
	}
	return a, err
}

// find is Find with the error of the store.
func (s *Approvals) find(ctx context.Context, tenant, id string) (Approval, error) {
	if tenant == "" || len(id) > maxText {
		return Approval{}, ErrNotFound
	}
	return s.config.Store.Find(ctx, tenant, id)
}

// Wait returns an approval of a tenant as soon as it is not pending. It reads the store
// every second until ctx is done, and then returns the error of ctx. Because an approval
// expires, Wait returns even without a deadline. Other errors are those of Find.
func (s *Approvals) Wait(ctx context.Context, tenant, id string) (Approval, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		a, err := s.Find(ctx, tenant, id)
		if err != nil || a.Status() != Pending {
			return a, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Approval{}, ctx.Err()
		}
	}
}

func unavailable(err error) error {
	return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonUnavailable, Cause: err}
}

// report reports an event about an approval.
func (s *Approvals) report(ctx context.Context, a Approval, e gatehouse.Event) error {
	e.Attrs = append([]slog.Attr{
		slog.String("approval", a.ID),
		slog.String("tool", a.Tool),
		slog.String("arguments_sha256", sum(a.Arguments)),
		slog.String("subject", a.Subject.String()),
		slog.String("actor", a.Actor.String()),
		slog.String("tenant", a.Tenant),
	}, e.Attrs...)
	// Report the change even if the client has disconnected.
	return gatehouse.Report(context.WithoutCancel(ctx), s.config.Observer, e)
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// hook calls a function of the application. It only reports the error of that function.
func (s *Approvals) hook(ctx context.Context, name string, f func(context.Context, Approval) error, a Approval) error {
	if f == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	err := f(bounded, a)
	if err == nil {
		return nil
	}
	return s.report(ctx, a, gatehouse.Event{
		Type: EventHookFailed, Level: slog.LevelError, Cause: fmt.Errorf("approval: hook: %w", err), Attrs: []slog.Attr{slog.String("hook", name)},
	})
}
