// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Event is a security event: a decision on a request, or a change of a key, a
// session, a token family or a key set. It contains no secrets. Other packages
// extend it with types, reasons and attributes.
type Event struct {
	// Type is the type of the event: [EventDecision], or a value that another
	// package declares.
	Type EventType

	// Level is the log level of the event.
	Level slog.Level

	// Decision is the outcome for the request, "" if the event is not about a
	// decision.
	Decision Decision

	// Reason is the reason of the refusal, "" if the request was not refused.
	Reason Reason
	// Code and Status are the error code and HTTP status of the response, zero if
	// the request was not refused.
	Code   string
	Status int

	// Principal is the caller, zero if unknown.
	Principal Principal
	// Issuer is the configured issuer of the credential, "" if unknown.
	Issuer string
	// Credential is the public identifier of the credential that the event is
	// about, "" if unknown.
	Credential string

	// Method, Host and Path are those of the request, without its query. They are
	// client-supplied and untrusted. Path is empty if the URL contains a credential,
	// because the path may contain it.
	Method, Host, Path string
	// Route is the pattern of the route that matched, "" if unknown.
	Route string

	// Cause is the underlying error, nil if there is none.
	Cause error

	// Duration is the duration of the decision.
	Duration time.Duration

	// Attrs are additional attributes. The package of the event type declares their
	// keys. An observer that keeps Attrs after it returns must clone the slice.
	Attrs []slog.Attr
}

// EventType is a type of [Event]. Packages declare theirs as constants with the
// package as prefix.
type EventType string

// EventDecision is the type of a decision on a request.
const EventDecision EventType = "decision"

// Decision is the outcome for one request.
type Decision string

// The decisions.
const (
	// Allowed: the caller is authenticated and every policy allows the request.
	Allowed Decision = "allowed"
	// Anonymous: a request without credentials reaches an optional route.
	Anonymous Decision = "anonymous"
	// Rejected: the credentials are missing or invalid.
	Rejected Decision = "rejected"
	// Denied: the caller is authenticated and a policy denies access.
	Denied Decision = "denied"
	// Unavailable: a backend failed, so there is no decision.
	Unavailable Decision = "unavailable"
)

// NewEvent returns the event for a request that a handler outside the gate
// refuses. start is the time at which the decision began. An err that is not an
// [*Error] is treated as a backend failure.
func NewEvent(r *http.Request, err error, start time.Time) Event {
	return refusalEvent(r, asRefusal(err), start)
}

func refusalEvent(r *http.Request, e *Error, start time.Time) Event {
	event := requestEvent(r, start)
	event.Decision, event.Level = Rejected, slog.LevelWarn
	event.Reason, event.Code, event.Status = e.Reason, e.Code.String(), e.Code.Status()
	event.Issuer, event.Credential, event.Cause = e.Issuer, e.Credential, e.Cause
	switch {
	case event.Status == http.StatusServiceUnavailable:
		event.Decision, event.Level = Unavailable, slog.LevelError
	case e.Reason == ReasonNoCredentials:
		event.Level = slog.LevelInfo // crawlers cause many, which must not hide the other warnings
	case e.Reason == ReasonCredentialInURL:
		event.Path = ""
	}
	switch {
	case event.Decision == Unavailable && errors.Is(r.Context().Err(), context.Canceled):
		event.Level = slog.LevelInfo // the client disconnected: the backend may work
	case e.Level != nil:
		event.Level = e.Level.Level()
	}
	return event
}

// requestEvent returns the event of an accepted request.
func requestEvent(r *http.Request, start time.Time) Event {
	return Event{
		Type: EventDecision, Level: slog.LevelDebug, Decision: Allowed,
		Method: r.Method, Host: r.Host, Path: r.URL.Path, Route: r.Pattern, Duration: time.Since(start),
	}
}

// Observer receives every event once. The gate calls it before it writes the
// response; other packages call it after a change.
//
// If Observe returns an error for a decision, the request is refused with 503, so that a
// request that the audit log cannot record is not served. If it returns an error for a
// change of a key or a session, the change is kept and the method that made the change
// returns the error, unless the documentation of the method says otherwise. If the
// failures of an observer must not affect requests, Observe must return nil.
//
// Observe must be safe for concurrent use and should return within milliseconds:
// the request waits for it.
type Observer interface {
	Observe(ctx context.Context, e Event) error
}

// ObserverFunc is a function that is an [Observer].
type ObserverFunc func(context.Context, Event) error

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) error { return f(ctx, e) }

// Observers returns an observer that passes each event to all observers, even
// if one returns an error or panics, and joins their errors. It panics if an observer is
// nil.
func Observers(observers ...Observer) Observer {
	observers = slices.Clone(observers)
	if slices.ContainsFunc(observers, func(o Observer) bool { return typednil.Is(o) }) {
		panic("gatehouse: Observers: nil observer")
	}
	return ObserverFunc(func(ctx context.Context, e Event) error {
		var errs []error
		for _, o := range observers {
			errs = append(errs, observe(ctx, o, e))
		}
		return errors.Join(errs...)
	})
}

// observe passes e to o. It turns a panic into an error: outside a request no server
// recovers.
func observe(ctx context.Context, o Observer, e Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%T panicked: %v", o, p)
		}
	}()
	return o.Observe(ctx, e)
}

// Report passes e to o, which may be nil. If o returns an error or panics, Report returns
// an [*Error] of [CodeTemporarilyUnavailable] and [ReasonObserverFailed] with
// the credential of the event.
func Report(ctx context.Context, o Observer, e Event) error {
	if o == nil {
		return nil
	}
	if err := observe(ctx, o, e); err != nil {
		return &Error{
			Code: CodeTemporarilyUnavailable, Reason: ReasonObserverFailed, Credential: e.Credential,
			Cause: fmt.Errorf("gatehouse: observer: %w", err),
		}
	}
	return nil
}

// Log returns an observer that writes each event to logger, at the level of the
// event. It never returns an error.
//
// Client-supplied text, such as the path, is truncated to 128 bytes; the
// handlers of log/slog quote it. A cause is truncated to 1,024 bytes.
//
// Log panics if logger is nil.
//
// Implements RFC 9700 §4.9.3.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		panic("gatehouse: Log: nil logger")
	}
	return ObserverFunc(func(ctx context.Context, e Event) error {
		if !logger.Enabled(ctx, e.Level) {
			return nil
		}
		attrs := make([]slog.Attr, 0, 18+len(e.Attrs))
		text := func(key, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(key, cut(value, 128)))
			}
		}
		text("reason", string(e.Reason))
		text("error", e.Code)
		if e.Status != 0 {
			attrs = append(attrs, slog.Int("status", e.Status))
		}
		text("method", e.Method)
		text("host", e.Host)
		text("path", e.Path)
		text("route", e.Route)
		text("issuer", e.Issuer)
		text("subject", e.Principal.Subject)
		text("tenant", e.Principal.Tenant)
		text("client", e.Principal.Client)
		text("proof", string(e.Principal.Method))
		text("binding", string(e.Principal.Binding))
		text("credential", e.Credential)
		attrs = append(attrs, e.Attrs...)
		if e.Cause != nil {
			attrs = append(attrs, slog.String("cause", cut(e.Cause.Error(), 1024)))
		}
		if e.Duration != 0 {
			attrs = append(attrs, slog.Duration("duration", e.Duration))
		}
		message := string(e.Type)
		if e.Type == EventDecision {
			message = string(e.Decision)
		}
		logger.LogAttrs(ctx, e.Level, "gatehouse: "+message, attrs...)
		return nil
	})
}

func cut(s string, most int) string { return s[:min(len(s), most)] }
