// SPDX-License-Identifier: Apache-2.0

package tool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// defaultMaxArguments is the limit of a table without approvals.
const defaultMaxArguments = 256 << 10

// ErrUnlisted is the cause of the refusal of a tool that the table does not list.
var ErrUnlisted = errors.New("tool: not listed")

// Call is a call of a tool.
type Call struct {
	Tool      string // the name
	Principal gatehouse.Principal
	Facts     Facts

	// Arguments is a *T of [Args]. Run the tool with this value and never with the text
	// of the request.
	Arguments any

	// Canonical is the canonical JSON of Arguments, RFC 8785.
	Canonical string

	// Approval is the approval that Authorize has claimed for this call, zero for a tool
	// without approval.
	Approval approval.Approval
}

// Authorize decides on a call. If the error is nil, the call is allowed, its approval is
// used and its event is recorded: dispatch the call immediately, and only once. Call
// Authorize immediately before the tool runs, after all steps that may refuse or delay
// the call.
//
// Otherwise the call must not run. The error is a [*gatehouse.Error]:
//
//   - [gatehouse.CodeInsufficientScope] with all scopes of the tool, for a step-up.
//   - [approval.CodeRequired], where errors.As finds an [*approval.RequiredError].
//   - [gatehouse.CodeAccessDenied], with the cause [ErrUnlisted] for a tool that is not
//     in the table; [gatehouse.CodeInvalidToken] for a token that is not bound.
//   - [CodeArguments] for malformed arguments; no approval is requested for them.
//   - [gatehouse.CodeTemporarilyUnavailable] if a backend failed.
//
// The proof is checked before the scopes, and both before the arguments.
func (t *Table) Authorize(ctx context.Context, p gatehouse.Principal, name string, arguments []byte) (*Call, error) {
	start := time.Now()
	call, refusal := t.authorize(ctx, p, name, arguments)
	event := gatehouse.Event{
		Type: EventCall, Decision: gatehouse.Allowed, Level: slog.LevelInfo, Principal: p, Credential: p.Credential, Issuer: p.Issuer,
		Duration: time.Since(start), Attrs: t.attributes(call, name),
	}
	if refusal != nil {
		event.Decision, event.Level = gatehouse.Denied, slog.LevelWarn
		event.Reason, event.Code, event.Status, event.Cause = refusal.Reason, refusal.Code.String(), refusal.Code.Status(), refusal.Cause
		switch {
		case event.Status == http.StatusServiceUnavailable:
			event.Decision, event.Level = gatehouse.Unavailable, slog.LevelError
		case refusal.Level != nil:
			event.Level = refusal.Level.Level()
		}
		_ = gatehouse.Report(ctx, t.observer, event) // the call is refused even if the observer fails
		return nil, refusal
	}
	if err := gatehouse.Report(ctx, t.observer, event); err != nil && !t.tools[name].AllowUnrecorded {
		return nil, err
	}
	return call, nil
}

// authorize decides on a call. With a refusal it returns the fields of the call that are
// known.
func (t *Table) authorize(ctx context.Context, p gatehouse.Principal, name string, arguments []byte) (*Call, *gatehouse.Error) {
	call := &Call{Tool: name, Principal: p}
	e, facts, refusal := t.check(ctx, p, name)
	call.Facts = facts
	if refusal != nil {
		return call, refusal
	}
	var err error
	if call.Arguments, call.Canonical, err = e.Arguments.read(arguments, t.maxArguments()); err != nil {
		return call, refuse(CodeArguments, ReasonArguments, err)
	}
	if e.Tool.Check != nil {
		if err := e.Tool.Check(ctx, call); err != nil {
			return call, denial(err, ReasonConstraint)
		}
	}
	if e.Class.Approval == (approval.Rule{}) {
		return call, nil
	}
	if p.Tenant == "" {
		return call, refuse(gatehouse.CodeAccessDenied, ReasonTenant, errors.New("tool: the caller has no tenant, and only users of its tenant can approve"))
	}
	return call, t.approve(ctx, e, call)
}

// maxArguments limits the arguments in bytes.
func (t *Table) maxArguments() int {
	if t.approvals != nil {
		return t.approvals.MaxArguments()
	}
	return defaultMaxArguments
}

// approve claims the approval of a call, or requests it.
func (t *Table) approve(ctx context.Context, e *entry, call *Call) *gatehouse.Error {
	bound := approval.Call{
		Tenant: call.Principal.Tenant, Subject: call.Facts.Subject, Actor: call.Facts.Actor,
		Tool: e.Name, Version: e.Version, Arguments: call.Canonical,
	}
	claimed, err := t.approvals.Claim(ctx, bound, e.Class.Approval)
	switch {
	case err == nil:
		call.Approval = claimed
		return nil
	case !errors.Is(err, approval.ErrNotFound):
		return denial(err, ReasonUnavailable)
	}
	required, err := t.approvals.Request(ctx, bound, e.Class.Approval)
	if err != nil {
		return denial(err, ReasonUnavailable)
	}
	call.Approval = required
	return t.approvals.Required(required)
}

// Check makes the checks of [Table.Authorize] that do not depend on the arguments: the
// tool is listed, the proof suffices, and no scope is missing. It neither requests nor
// claims an approval, and reports no event. Use it to refuse a call before the arguments
// are read, and call Authorize afterwards.
func (t *Table) Check(ctx context.Context, p gatehouse.Principal, name string) error {
	if _, _, refusal := t.check(ctx, p, name); refusal != nil {
		return refusal
	}
	return nil
}

func (t *Table) check(ctx context.Context, p gatehouse.Principal, name string) (*entry, Facts, *gatehouse.Error) {
	e, facts, refusal := t.possible(ctx, p, name)
	if refusal == nil {
		refusal = e.Proof.bound(p.Binding)
	}
	if refusal == nil && !p.Scopes.HasAll(e.Class.Scopes) {
		refusal = refuse(gatehouse.CodeInsufficientScope, ReasonScope, fmt.Errorf("tool: needs the scopes %q, has %q", e.Class.Scopes.String(), p.Scopes.String()))
		refusal.Scopes = e.Class.Scopes
	}
	return e, facts, refusal
}

// possible refuses a caller that can never call the tool.
func (t *Table) possible(ctx context.Context, p gatehouse.Principal, name string) (*entry, Facts, *gatehouse.Error) {
	e := t.tools[name]
	if e == nil {
		return nil, Facts{}, refuse(gatehouse.CodeAccessDenied, ReasonUnlisted, ErrUnlisted)
	}
	if p.IsZero() {
		return nil, Facts{}, refuse(gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials, errors.New("tool: no caller"))
	}
	facts, err := t.facts(ctx, p)
	if err != nil {
		return nil, Facts{}, denial(err, ReasonFacts)
	}
	facts = facts.complete(p)
	return e, facts, e.Proof.possible(facts)
}

// Visible reports whether the caller can ever call a tool: with its kind of credential,
// with scopes that it has or can get, and attested if the tool requires it. It ignores
// the binding and the approval, which the caller can still get. List only visible tools.
// It returns an error only if Config.Facts reports a failed backend.
func (t *Table) Visible(ctx context.Context, p gatehouse.Principal, name string) (bool, error) {
	e, facts, refusal := t.possible(ctx, p, name)
	switch {
	case refusal != nil && refusal.Code.Status() == http.StatusServiceUnavailable:
		return false, refusal
	case refusal != nil:
		return false, nil
	}
	for scope := range e.Class.Scopes.All() {
		if !p.Scopes.Has(scope) && !facts.Obtainable.Has(scope) {
			return false, nil
		}
	}
	return true, nil
}

// denial converts an error of the application to a refusal, like an error of a policy.
func denial(err error, reason gatehouse.Reason) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok && e != nil {
		return e
	}
	_, network := errors.AsType[net.Error](err)
	if network || errors.Is(err, context.Canceled) {
		return refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, err)
	}
	return refuse(gatehouse.CodeAccessDenied, reason, err)
}

func (t *Table) attributes(c *Call, name string) []slog.Attr {
	attrs := []slog.Attr{slog.String("tool", strings.ToValidUTF8(name[:min(len(name), maxName)], ""))}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	if e := t.tools[name]; e != nil {
		add("class", e.name)
		add("version", e.Version)
	}
	if c.Canonical != "" {
		sum := sha256.Sum256([]byte(c.Canonical))
		add("arguments_sha256", hex.EncodeToString(sum[:]))
	}
	if c.Facts.Subject != (gatehouse.Key{}) {
		add("subject", c.Facts.Subject.String())
		add("actor", c.Facts.Actor.String())
	}
	add("tenant", c.Principal.Tenant)
	add("approval", c.Approval.ID)
	return attrs
}
