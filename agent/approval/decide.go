// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"context"
	"errors"
	"log/slog"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
)

// The causes of refused decisions.
var (
	errNotPerson = errors.New("approval: the decider is not a user who acts in person, or has no tenant")
	errRule      = errors.New("approval: the rule of the approval does not name the decider")
	errRepeated  = errors.New("approval: the person has already decided")
	errEnded     = errors.New("approval: decided, used or expired")
	errReason    = errors.New("approval: reason: at most 2000 bytes of UTF-8")
)

// Decide records the decision of a person on an approval of its tenant. reason is at most
// 2,000 bytes of UTF-8, and may be empty. It returns the approval after the decision,
// which is still pending if more persons must approve.
//
// The error is a [*gatehouse.Error]: [gatehouse.CodeAccessDenied] for a caller who
// may not decide, [CodeNotFound], [CodeEnded] if the approval is not pending or the
// person has decided, [CodeMalformed] for a malformed reason, and
// [gatehouse.CodeTemporarilyUnavailable]. If Observe fails, the decision is kept.
func (s *Approvals) Decide(ctx context.Context, decider gatehouse.Principal, id string, approve bool, reason string) (Approval, error) {
	a, err := s.decide(ctx, decider, id, Decision{Decider: decider.Key(), Approve: approve, Comment: reason})
	event := gatehouse.Event{Type: EventDecided, Level: slog.LevelInfo, Principal: decider, Attrs: []slog.Attr{
		slog.Bool("approve", approve), slog.String("reason_sha256", sum(reason)), slog.String("status", string(a.Status())),
	}}
	if err != nil {
		event.Level, event.Decision = slog.LevelWarn, gatehouse.Denied
		event.Reason, event.Code, event.Status, event.Cause = err.Reason, err.Code.String(), err.Code.Status(), err.Cause
		if event.Status == gatehouse.CodeTemporarilyUnavailable.Status() {
			event.Level, event.Decision = slog.LevelError, gatehouse.Unavailable
		}
		a.ID = id
		_ = s.report(ctx, a, event) // the decision is refused even if the observer fails
		return Approval{}, err
	}
	if err := s.report(ctx, a, event); err != nil {
		return Approval{}, err
	}
	if a.Status() == Pending {
		return a, nil
	}
	return a, s.hook(ctx, "decided", s.config.Decided, a)
}

// decide also returns the approval with an error, if it is known.
func (s *Approvals) decide(ctx context.Context, p gatehouse.Principal, id string, d Decision) (Approval, *gatehouse.Error) {
	refuse := func(code gatehouse.Code, reason gatehouse.Reason, err error) *gatehouse.Error {
		return &gatehouse.Error{Code: code, Reason: reason, Cause: err}
	}
	if len(d.Comment) > maxReason || !utf8.ValidString(d.Comment) {
		return Approval{}, refuse(CodeMalformed, ReasonMalformed, errReason)
	}
	if !isPerson(p) {
		return Approval{}, refuse(gatehouse.CodeAccessDenied, ReasonNotEntitled, errNotPerson)
	}
	a, err := s.find(ctx, p.Tenant, id)
	if err == nil && !filter(p).entitled(a) {
		return a, refuse(gatehouse.CodeAccessDenied, ReasonNotEntitled, errRule)
	}
	decided := false
	if err == nil {
		a, decided, err = s.config.Store.Decide(ctx, p.Tenant, id, d)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return Approval{}, refuse(CodeNotFound, ReasonNotFound, ErrNotFound)
	case err != nil:
		return Approval{}, refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, err)
	case !decided && a.Decided(d.Decider):
		return a, refuse(CodeEnded, ReasonEnded, errRepeated)
	case !decided:
		return a, refuse(CodeEnded, ReasonEnded, errEnded)
	}
	return a, nil
}

// isPerson reports whether p is a user of a tenant who acts in person.
func isPerson(p gatehouse.Principal) bool {
	return p.Kind == gatehouse.KindUser && p.Actors.Len() == 0 && p.Tenant != "" && p.Subject != "" && !p.IsZero()
}

func filter(p gatehouse.Principal) Filter { return Filter{p.Tenant, p.Key(), p.Roles} }

// MayDecide reports whether p may decide on a: p is a user who acts in person, satisfies
// the rule of a, and has not decided. It does not check whether the approval is pending.
func MayDecide(p gatehouse.Principal, a Approval) bool {
	return isPerson(p) && filter(p).Matches(a)
}

// List returns the pending approvals that p may decide on, at most 100. Arguments of more
// than 128 KiB are empty in the list; [Approvals.Find] returns them. The list begins with
// the latest approval of each actor, followed by the second latest of each, and so on, so
// that one agent cannot hide the approvals of another. It returns no approvals for a
// caller who may not decide. The error is a [*gatehouse.Error] of status 503 if the store
// is unavailable.
func (s *Approvals) List(ctx context.Context, p gatehouse.Principal) ([]Approval, error) {
	if !isPerson(p) {
		return nil, nil
	}
	found, err := s.config.Store.List(ctx, filter(p), maxListed, maxListedArguments)
	if err != nil {
		return nil, unavailable(err)
	}
	return found, nil
}
