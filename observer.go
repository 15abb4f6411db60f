// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// Observer is told of every decision, once, before the response is written.
//
// An error from it turns the decision into a refusal with 503, so that an audit
// which must not lose anything can hold up what it could not record. An
// observer that only watches returns nil.
//
// Observe must be safe for concurrent use and must not keep the request
// waiting for long.
type Observer interface {
	Observe(ctx context.Context, e Event) error
}

// ObserverFunc is a function that is an [Observer].
type ObserverFunc func(context.Context, Event) error

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) error { return f(ctx, e) }

// Observers makes one observer of several. All are told, whatever the others
// say; their errors are joined. It panics if one is nil.
func Observers(observers ...Observer) Observer {
	observers = slices.Clone(observers)
	if slices.Contains(observers, nil) {
		panic("gatehouse: Observers: nil observer")
	}
	return ObserverFunc(func(ctx context.Context, e Event) error {
		var errs []error
		for _, o := range observers {
			errs = append(errs, o.Observe(ctx, e))
		}
		return errors.Join(errs...)
	})
}

// Event is one decision. Nothing in it is secret.
type Event struct {
	Decision Decision

	// Reason is why the request was not let through, "" if it was.
	Reason Reason
	// Code and Status are what the caller is told, zero if it was let through.
	Code   Code
	Status int

	// Principal is who is calling, zero if that is not settled.
	Principal Principal
	// Issuer is the configured issuer of the credential, "" if not known.
	Issuer string
	// Credential is the public identifier of the credential, "" if not known.
	Credential string

	// Method, Host and Path are those of the request, without its query. They
	// are the caller's words. Path is empty where a credential stands in the
	// URL, since it may be a part of it.
	Method, Host, Path string

	// Cause is the error behind the decision, nil if there is none.
	Cause error

	// Duration is the time that it took to decide.
	Duration time.Duration
}

// Decision is the outcome for one request.
type Decision string

// The decisions: at the gate a request is allowed or refused, behind it a
// policy denies; unavailable is when it cannot be told.
const (
	Allowed     Decision = "allowed"
	Refused     Decision = "refused"
	Denied      Decision = "denied"
	Unavailable Decision = "unavailable"
)

// NewEvent returns the event of a refusal that was begun to be decided at start,
// for those who refuse outside of every gate. An error that is no [*Error] means
// that it cannot be told.
func NewEvent(r *http.Request, err error, start time.Time) Event {
	e := unavailable(err)
	event := Event{
		Decision:   Refused,
		Reason:     e.Reason,
		Code:       e.told(),
		Status:     e.Status(),
		Issuer:     e.Issuer,
		Credential: e.Credential,
		Method:     r.Method,
		Host:       r.Host,
		Path:       r.URL.Path,
		Cause:      e.Cause,
		Duration:   time.Since(start),
	}
	if event.Status == http.StatusServiceUnavailable {
		event.Decision = Unavailable
	}
	if e.Reason == ReasonCredentialInURL {
		event.Path = ""
	}
	return event
}
