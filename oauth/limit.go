// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// The limits of a client protect the authorization server, because anonymous callers of
// the application cause most requests.
const (
	// firstPause is the pause after a failed request. Each further failure doubles
	// it, up to maxPause.
	firstPause = time.Second
	maxPause   = time.Minute

	// maxRequests bounds the concurrent requests to one endpoint, and maxWaiting the
	// callers that wait for one of them to end.
	maxRequests = 32
	maxWaiting  = 1000

	// loginRate bounds the pushed authorization requests and the redeemed codes per
	// second: a burst of 100, then one every 10 ms.
	loginRate = 100
)

// postponed is the error of a request that was not sent.
type postponed struct {
	endpoint string
	why      string
	wait     time.Duration
}

func (e *postponed) Error() string {
	return fmt.Sprintf("oauth: %s endpoint: request not sent: %s; retry after %v", e.endpoint, e.why, e.wait.Round(time.Millisecond))
}

func (e *postponed) Unwrap() error { return ErrUnavailable }

// RetryAfter returns the wait before a retry after an error that wraps [ErrUnavailable],
// zero if err does not contain one.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*postponed](err); ok {
		return e.wait
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// backoff is the pause after failures: 1 s after the first one, twice as long after
// each further one, at most a minute. The owner holds a lock.
type backoff struct {
	pause       time.Duration
	from, until time.Time
	cause       error // of the last failure
}

// check returns the error for a request during a pause.
func (b *backoff) check(endpoint string, now time.Time) error {
	if left := b.until.Sub(now); left > 0 {
		return &postponed{endpoint, fmt.Sprintf("the previous one failed: %v", b.cause), left}
	}
	return nil
}

// failed begins the next pause, which is at least Retry-After, up to a minute. A request
// that began before the last failure belongs to the same outage and does not count again.
func (b *backoff) failed(begun, now time.Time, cause error, asked time.Duration) {
	if begun.Before(b.from) {
		return
	}
	b.pause = min(max(2*b.pause, firstPause, asked), maxPause)
	b.from, b.until, b.cause = now, now.Add(b.pause), cause
}

// limiter bounds the requests to one endpoint.
type limiter struct {
	endpoint string
	rate     int // per second, 0 for no limit

	slots chan struct{}

	mu      sync.Mutex
	backoff backoff
	waiting int
	full    time.Time // when the whole burst is available again
}

func newLimiter(endpoint string, rate int) *limiter {
	return &limiter{endpoint: endpoint, rate: rate, slots: make(chan struct{}, maxRequests)}
}

// do sends a request within the limits. A nil limiter has no limits.
func (l *limiter) do(ctx context.Context, request func() error) error {
	if l == nil {
		return request()
	}
	if err := l.enter(); err != nil {
		return err
	}
	var err error
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		err = fmt.Errorf("oauth: %s endpoint: %w: %w", l.endpoint, ErrUnavailable, ctx.Err())
	}
	l.mu.Lock()
	l.waiting--
	begun := time.Now()
	if err == nil {
		err = l.backoff.check(l.endpoint, begun) // a pause may have begun in the meantime
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	err = request()
	if errors.Is(ctx.Err(), context.Canceled) {
		return err // not a failure of the server
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch _, answered := errors.AsType[*Error](err); {
	case err != nil && isOutage(err):
		l.backoff.failed(begun, time.Now(), err, RetryAfter(err))
	case err == nil || answered:
		l.backoff = backoff{}
	default: // nothing was sent: the code was used before
	}
	return err
}

// enter checks the limits without waiting.
func (l *limiter) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if err := l.backoff.check(l.endpoint, now); err != nil {
		return err
	}
	if l.waiting >= maxWaiting {
		return l.postpone("too many requests wait", firstPause)
	}
	if l.rate > 0 {
		// The generic cell rate algorithm: each request costs 1/rate s of a second.
		if l.full.Before(now) {
			l.full = now
		}
		next := l.full.Add(time.Second / time.Duration(l.rate))
		if wait := next.Sub(now) - time.Second; wait > 0 {
			return l.postpone("too many requests in a second", wait)
		}
		l.full = next
	}
	l.waiting++
	return nil
}

func (l *limiter) postpone(why string, wait time.Duration) error {
	return &postponed{l.endpoint, why, wait}
}

// isOutage reports whether a request failed for a reason that affects every request to
// this endpoint. Most requests contain values from a caller: a code, a token, acr_values.
// A server may respond to a forged value with a server error, and one caller must not be
// able to stop the requests of others.
func isOutage(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return errors.Is(err, ErrUnavailable)
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Code == "invalid_client" || e.Code == "unauthorized_client"
}
