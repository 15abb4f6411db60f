// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// recheckEvery is the time between two checks of the credential of a stream, and
	// recheckTimeout bounds one check.
	recheckEvery, recheckTimeout = 15 * time.Second, 10 * time.Second
	// lateEvery is the time between two checks in the minute after the expiry by the
	// clock of this process: the authenticator uses another clock, or allows for skew.
	lateEvery = time.Second
)

// ErrCredentialEnded is the cause of the end of a context of [UntilCredentialEnds], with the
// error of the check.
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
// If the authenticator declares Reads.Rechecks, it decides, by its own clock and with
// its allowance for clock skew: it checks the request again every 15 s, and at
// Principal.Expires. So the context also ends when the session ends or idles out, the
// token, key or certificate is revoked, the agent is decommissioned, or the backend is
// unavailable. Any other credential ends at Principal.Expires by the clock of this
// process. The policies of the route are not called again.
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
	w := &watch{by: a.by, request: a.request.WithContext(checks), caller: a.principal.Key(), end: end}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.schedule(a.principal.Expires)
	return inner, func() {
		stop()
		w.stop()
		end(nil)
	}
}

type recheckKey struct{}

// IsRecheck reports whether an authenticator is called again for a request that it has
// accepted: see Reads.Rechecks. ctx is that of the request.
func IsRecheck(ctx context.Context) bool { return ctx.Value(recheckKey{}) != nil }

// rechecks reports whether the authenticator of the caller can check the request again.
func (a *admitted) rechecks() bool { return a.by != nil && a.by.rechecks }

// watch checks the credential of a request again. It has a timer instead of a goroutine,
// because most requests are short.
type watch struct {
	by      *checked
	request *http.Request
	caller  Key
	end     context.CancelCauseFunc

	mu      sync.Mutex // also held during a check
	timer   *time.Timer
	stopped bool
}

func (w *watch) schedule(expires time.Time) {
	next := recheckEvery
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

func (w *watch) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	expires, err := w.check()
	if err != nil {
		w.end(fmt.Errorf("%w: %w", ErrCredentialEnded, err))
		return
	}
	w.schedule(expires)
}

// check authenticates the request again, and returns when the credential expires.
func (w *watch) check() (expires time.Time, err error) {
	defer func() {
		if p := recover(); p != nil { // no server recovers in this goroutine
			err = fmt.Errorf("gatehouse: %T panicked: %v", w.by.Authenticator, p)
		}
	}()
	ctx, cancel := context.WithTimeout(w.request.Context(), recheckTimeout)
	defer cancel()
	proof, err := w.by.Authenticate(w.request.WithContext(ctx))
	switch {
	case err != nil:
		return time.Time{}, err
	case proof.principal == nil || proof.principal.Key() != w.caller:
		return time.Time{}, errors.New("gatehouse: the request has another caller now")
	}
	return proof.principal.Expires, nil
}

// stop waits for a check in progress: the request must not be used when it is served.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
