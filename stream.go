// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// recheckEvery is the longest time between two checks of the credential of a stream.
	// The first check is at a random time within recheckEvery, each later one up to
	// recheckSpread early: after a restart clients reopen their streams at the same time,
	// and the checks must not reach the store at the same time. recheckTimeout bounds one
	// check.
	recheckEvery, recheckSpread, recheckTimeout = 15 * time.Second, 3 * time.Second, 10 * time.Second
	// lateEvery is the time between two checks in the minute after the expiry, if the
	// authenticator still accepts the credential: it may use another clock or allow for
	// clock skew.
	lateEvery = time.Second
	// outage is how long a stream continues while the backend is unavailable, as long as
	// package apikey uses a record without its store. Meanwhile the time between two
	// checks is retryEvery plus a random part of it.
	outage, retryEvery = 5 * time.Second, time.Second
)

// EventStreamEnded is the type of the event for a request whose context
// [UntilCredentialEnds] ended because of a check. Reason, Code and Status are those of
// the check, and Duration is the duration of the check. The level is INFO, or ERROR if
// the backend is unavailable.
const EventStreamEnded EventType = "stream_ended"

// ErrCredentialEnded is the [context.Cause] of a context that [UntilCredentialEnds] has
// ended. The cause also wraps the error of the check.
var ErrCredentialEnded = errors.New("gatehouse: the credential of the caller has ended")

// EndAtExpiry returns a handler that cancels the context of a request when the
// credential of its caller ends, see [UntilCredentialEnds]. A gate checks a credential once,
// when the request arrives; put this around handlers of long requests, such as
// server-sent events and WebSockets, and have them watch their context.
func EndAtExpiry(next http.Handler) http.Handler {
	if next == nil {
		panic("gatehouse: EndAtExpiry: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := FromContext(r.Context()); ok && (!p.Expires.IsZero() || admittedBy(r.Context()).rechecks()) {
			ctx, cancel := UntilCredentialEnds(r.Context())
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// UntilCredentialEnds returns a context that ends, at the latest, when the credential of the
// caller in ctx ends, with the cause [ErrCredentialEnded]. Call cancel when the request
// has been served.
//
// If the authenticator declares Reads.Rechecks, it checks the request again at least
// every 15 s and at Principal.Expires, by its own clock and with its allowance for clock
// skew. So the context also ends when the session is ended or reaches its idle timeout,
// the token, key or certificate is revoked, or the agent is decommissioned. It also ends
// when the caller, after [Config.Enrich], has lost a scope or a role, or differs in any
// field other than Scopes, Roles, Claims, AuthTime, Expires and Credential. The policies
// of the route are not called again.
//
// If the authenticator does not declare Reads.Rechecks, the context ends at
// Principal.Expires by the clock of this process.
//
// A check fails if the backend is unavailable or the check takes 10 s. It is then
// repeated every 1 to 2 s. If no check succeeds, the context ends within 5 s of the first
// failure, and at most 1 s after Principal.Expires: at most 30 s after the last
// successful check.
//
// The observer of the gate receives an [EventStreamEnded] if a check ends the context.
func UntilCredentialEnds(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	a := admittedBy(ctx)
	switch {
	case a == nil || a.principal.IsZero():
		return context.WithCancel(ctx)
	case a.rechecks():
	case a.principal.Expires.IsZero():
		return context.WithCancel(ctx)
	default:
		return context.WithDeadlineCause(ctx, a.principal.Expires, ErrCredentialEnded)
	}
	inner, end := context.WithCancelCause(ctx)
	checks, stop := context.WithCancel(context.WithValue(a.Context, recheckKey{}, true))
	w := &watch{admitted: a, request: a.request.WithContext(checks), end: end}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.schedule(a.principal.Expires, recheckEvery)
	return inner, func() {
		stop()
		w.stop()
		end(nil)
	}
}

type recheckKey struct{}

// IsRecheck reports whether ctx, the context of a request, belongs to a later check of a
// request that was accepted: see Reads.Rechecks.
func IsRecheck(ctx context.Context) bool { return ctx.Value(recheckKey{}) != nil }

// rechecks reports whether the authenticator of the caller can check the request again.
func (a *admitted) rechecks() bool { return a.by != nil && a.by.rechecks }

// watch repeats the check of the credential of a request. It uses a timer instead of a
// goroutine, because most requests are short.
type watch struct {
	admitted *admitted
	request  *http.Request
	end      context.CancelCauseFunc

	mu      sync.Mutex // also held during a check
	timer   *time.Timer
	stopped bool
	expires time.Time // of the credential, by the last check
	failing time.Time // the time at which the context ends unless a check succeeds; zero after a success
}

// randomly returns a random duration below d.
func randomly(d time.Duration) time.Duration {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Duration(float64(d) * float64(binary.NativeEndian.Uint32(b[:])) / (1 << 32))
}

// schedule schedules the next check after a success, up to spread earlier than necessary.
func (w *watch) schedule(expires time.Time, spread time.Duration) {
	w.expires, w.failing = expires, time.Time{}
	next := recheckEvery - randomly(spread)
	if !expires.IsZero() {
		switch until := time.Until(expires); {
		case until > 0:
			next = min(next, until)
		case until > -time.Minute:
			next = lateEvery
		}
	}
	w.timer = time.AfterFunc(next, w.again)
}

// retry schedules the check after a failure of the backend, and reports false if the
// context must end. An outage does not prolong a credential beyond its expiry.
func (w *watch) retry() bool {
	now := time.Now()
	if w.failing.IsZero() {
		if w.failing = now.Add(outage); !w.expires.IsZero() && w.expires.Before(w.failing) {
			w.failing = w.expires
		}
	}
	next := retryEvery + randomly(retryEvery)
	if !now.Add(next).Before(w.failing) {
		return false
	}
	w.timer = time.AfterFunc(next, w.again)
	return true
}

func (w *watch) again() {
	if event, ended := w.recheck(); ended {
		// Without the lock, so that an observer that blocks does not delay the request.
		_ = Report(context.WithoutCancel(w.request.Context()), w.admitted.gate.observer, event) // the context ends even if the observer fails
	}
}

// recheck checks the credential again. It returns the event of a check that has ended the
// context.
func (w *watch) recheck() (event Event, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return Event{}, false
	}
	start := time.Now()
	expires, e := w.check()
	switch {
	case e == nil:
		w.schedule(expires, recheckSpread)
		return Event{}, false
	case e.Code.Status() == http.StatusServiceUnavailable && w.request.Context().Err() == nil && w.retry():
		return Event{}, false
	}
	// Create the event before the context ends: afterwards the handler may return at any
	// time. Do not report it if the handler has returned or the client has disconnected.
	event, ended = w.event(e, start), w.request.Context().Err() == nil
	w.end(fmt.Errorf("%w: %w", ErrCredentialEnded, e))
	return event, ended
}

// event returns the event of the end of the context.
func (w *watch) event(e *Error, start time.Time) Event {
	event := refusalEvent(w.request, e, start)
	if event.Decision != Unavailable && e.Level == nil {
		event.Level = slog.LevelInfo // the end of a credential is normal
	}
	p := *w.admitted.principal
	event.Type, event.Decision = EventStreamEnded, ""
	event.Principal, event.Issuer, event.Credential = p, p.Issuer, p.Credential
	return event
}

// check authenticates the request again, and returns when the credential expires.
func (w *watch) check() (expires time.Time, e *Error) {
	by := w.admitted.by
	defer func() {
		if p := recover(); p != nil { // no server recovers in this goroutine
			e = asRefusal(fmt.Errorf("gatehouse: %T or Config.Enrich panicked: %v", by.Authenticator, p))
		}
	}()
	now := time.Now()
	deadline := now.Add(recheckTimeout)
	if !w.failing.IsZero() && w.failing.Before(deadline) {
		deadline = w.failing
	}
	if !w.expires.IsZero() { // an outage does not extend the credential
		latest := now
		if now.Before(w.expires) {
			latest = w.expires
		}
		if latest = latest.Add(lateEvery); latest.Before(deadline) {
			deadline = latest
		}
	}
	ctx, cancel := context.WithDeadline(w.request.Context(), deadline)
	defer cancel()
	r := w.request.WithContext(ctx)
	r.Body = http.NoBody // the handler reads the body
	proof, err := by.Authenticate(r)
	switch {
	case err != nil && asError(err) == nil && errors.Is(err, ErrNoCredentials):
		return time.Time{}, &Error{Code: CodeMissingCredentials, Reason: ReasonNoCredentials}
	case err != nil:
		return time.Time{}, asRefusal(err)
	}
	p := proof.Principal()
	again := *w.admitted
	again.Context, again.principal = ctx, &p
	inner := r.WithContext(&again)
	inner.Header = again.gate.reads.without(r.Header)
	if e := again.gate.complete(inner, &again, proof.Tenants); e != nil {
		return time.Time{}, e
	}
	if cause := again.principal.lacks(w.admitted.principal); cause != "" {
		return time.Time{}, &Error{Code: CodeAccessDenied, Reason: ReasonChanged, Cause: errors.New("gatehouse: " + cause)}
	}
	return again.principal.Expires, nil
}

// lacks returns what p has lost since the caller was admitted, "" for nothing.
func (p Principal) lacks(admitted *Principal) string {
	same := p
	same.Scopes, same.Roles, same.Claims = admitted.Scopes, admitted.Roles, admitted.Claims
	same.AuthTime, same.Expires, same.Credential = admitted.AuthTime, admitted.Expires, admitted.Credential
	if same != *admitted {
		return "the caller differs in more than scopes, roles, claims, times and the credential"
	}
	if !p.Scopes.HasAll(admitted.Scopes) {
		return "the caller has lost a scope"
	}
	for role := range admitted.Roles.All() {
		if !p.Roles.Has(role) {
			return "the caller has lost a role"
		}
	}
	return ""
}

// stop waits for a check in progress, because a check must not use the request after the
// handler has returned.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
