// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/flight"
)

// KeySets configures how often key sets are fetched and how long they are used. The zero
// value suits most issuers.
//
// A key that the issuer removes from its set verifies for at most Refresh + FetchTimeout,
// 5 minutes and 5 seconds by default, in busy and idle processes alike, even if the new
// set has no usable key. While the set cannot be fetched, or is not a JWK Set, the old
// set is used for up to MaxStale.
//
// At most 1,000 requests wait for the key set of one issuer; others get 503.
type KeySets struct {
	// FetchTimeout is the timeout of one fetch, including discovery: 5 s by
	// default, from 10 ms to 30 s.
	FetchTimeout time.Duration

	// MinInterval is the shortest time between the starts of two fetches: 10 s by
	// default, from 1 s to 1 h and at most Refresh. A token with an unknown kid and valid
	// claims causes a fetch, but not before MinInterval has passed; until then the
	// response is 503 with Retry-After. The interval doubles with each failed fetch, up
	// to 1 minute, or Refresh if it is shorter.
	MinInterval time.Duration

	// Refresh is the age at which a set that is in use is fetched again, in the
	// background: 5 minutes by default, from 1 s to 24 h. From the age Refresh +
	// FetchTimeout on, requests wait for the fetch.
	Refresh time.Duration

	// MaxStale is the age up to which a set is used while its issuer is
	// unavailable: 24 h by default, from 1 minute to 7 days.
	MaxStale time.Duration
}

func (k *KeySets) check(field string) error {
	var errs []error
	bound := func(name string, value *time.Duration, otherwise, least, most time.Duration) {
		if *value == 0 {
			*value = otherwise
		}
		if *value < least || *value > most {
			errs = append(errs, fmt.Errorf("%sKeySets.%s: got %v, want %v to %v", field, name, *value, least, most))
		}
	}
	const day = 24 * time.Hour
	bound("FetchTimeout", &k.FetchTimeout, 5*time.Second, 10*time.Millisecond, 30*time.Second)
	bound("Refresh", &k.Refresh, 5*time.Minute, time.Second, day)
	bound("MinInterval", &k.MinInterval, min(10*time.Second, k.Refresh), time.Second, min(time.Hour, k.Refresh))
	bound("MaxStale", &k.MaxStale, day, time.Minute, 7*day)
	return errors.Join(errs...)
}

const (
	maxBackoff = time.Minute // between two fetches after failures
	maxWaiting = 1000        // requests that wait for one fetch
)

// fetchFunc fetches the keys of an issuer, and returns an error for each key that it
// dropped. A non-nil err means that it did not get a key set; a set without keys is no
// error.
type fetchFunc func(context.Context) (keys []*key, dropped []error, err error)

// remote is the source of a key set that is fetched. At most one fetch runs at a time, in
// the background: the end of one request does not cancel the fetch for the others.
type remote struct {
	limits KeySets
	slack  time.Duration // how late a fetch may be before requests wait for it
	fetch  fetchFunc
	events *keyEvents

	latest  atomic.Pointer[fetched] // nil before the first set
	fetches flight.Group[struct{}, struct{}]

	mu       sync.Mutex
	earliest time.Time // when the next fetch may begin
	failures int       // consecutive failed fetches
	failure  error     // of the last fetch
	// ended counts the fetches since the start, failed those that failed.
	ended, failed uint64
}

// fetched is a set and the time at which the next fetch should begin.
type fetched struct {
	set *keySet
	due time.Time
}

func newRemote(i Issuer, c Config, fetch fetchFunc) *remote {
	r := &remote{limits: c.KeySets, slack: c.KeySets.FetchTimeout, fetch: fetch, events: newKeyEvents(i, c)}
	r.fetches.Timeout, r.fetches.MaxWaiters = c.KeySets.FetchTimeout, maxWaiting
	return r
}

var (
	errNoSet   = errors.New("jwtauth: key set: not yet fetched")
	errDue     = errors.New("jwtauth: key set: must be fetched again")
	errStale   = errors.New("jwtauth: key set: older than KeySets.MaxStale")
	errNoKey   = errors.New("jwtauth: key set: has no key for Issuer.Algorithms")
	errPending = errors.New("jwtauth: key set: has no key with the kid and alg of the token, and was fetched less than KeySets.MinInterval ago")
	errClosed  = errors.New("jwtauth: the authenticator or verifier is closed")
	errAborted = errors.New("the fetch ended without a result")
)

// current returns the set without waiting. When a fetch is due, it starts one and returns
// the old set (stale-while-revalidate). If the fetch is late by more than slack, because
// the process was idle, it returns errDue.
func (r *remote) current(now time.Time) (*keySet, error) {
	if f := r.latest.Load(); f != nil && !now.Before(f.due) {
		_, _, _ = r.start(false)
	}
	return r.known(now)
}

func (r *remote) known(now time.Time) (*keySet, error) {
	f := r.latest.Load()
	switch {
	case f == nil:
		return nil, errNoSet
	case !now.Before(f.due.Add(r.slack)):
		return nil, errDue
	}
	return r.usable(f.set, now)
}

// usable returns the set unless it is too old or has no key.
func (r *remote) usable(set *keySet, now time.Time) (*keySet, error) {
	switch {
	case now.Sub(set.fetched) > r.limits.MaxStale:
		return nil, r.explain(errStale)
	case len(set.keys) == 0:
		return nil, errNoKey
	}
	return set, nil
}

// awaited waits for the fetch, and returns the new set or, if the fetch failed, the
// old one.
func (r *remote) awaited(ctx context.Context, now time.Time) (*keySet, error) {
	call, _, err := r.start(false)
	if err == nil && call != nil {
		_, err = call.Wait(ctx)
	}
	if err != nil {
		return nil, err
	}
	f := r.latest.Load()
	if f == nil {
		return nil, r.explain(errNoSet)
	}
	return r.usable(f.set, now)
}

func (r *remote) newer(ctx context.Context, now time.Time, _ string) (*keySet, error) {
	return r.since(ctx, now, false)
}

// since returns a set whose fetch began at now or later. It starts the fetch, if
// necessary after the running one, unless MinInterval forbids it. If force is true, it
// starts a fetch in any case.
func (r *remote) since(ctx context.Context, now time.Time, force bool) (*keySet, error) {
	for {
		if f := r.latest.Load(); f != nil && !f.set.fetched.Before(now) && !force {
			return r.usable(f.set, now)
		}
		call, started, err := r.start(force)
		switch {
		case err != nil:
			return nil, err
		case call == nil:
			return nil, r.explain(errPending)
		}
		if _, err := call.Wait(ctx); err != nil {
			return nil, err
		}
		force = force && !started
	}
}

// explain returns the failure of the last fetch, or err if it did not fail.
func (r *remote) explain(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		return err
	}
	if errors.Is(err, errPending) { // the kid may be in the set that could not be fetched
		err = nil
	}
	return errors.Join(err, fmt.Errorf("jwtauth: the last fetch of the key set failed: %w", r.failure))
}

// start returns the running fetch. If there is none, it starts one and returns true, or
// returns nil if it is too early and force is false.
func (r *remote) start(force bool) (call *flight.Call[struct{}], started bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if call := r.fetches.Running(struct{}{}); call != nil {
		return call, false, nil
	}
	now := time.Now()
	if now.Before(r.earliest) && !force {
		return nil, false, nil
	}
	call, started, err = r.fetches.Start(struct{}{}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.run(ctx, now)
	})
	if err != nil {
		return nil, false, errClosed
	}
	r.earliest = now.Add(r.limits.MinInterval)
	return call, started, nil
}

func (r *remote) run(ctx context.Context, begun time.Time) error {
	var keys []*key
	var dropped []error
	err := errAborted
	defer func() { r.finish(begun, keys, dropped, err) }() // also if fetch panics
	keys, dropped, err = r.fetch(ctx)
	return nil
}

// finish records the result of a fetch. The age of a set counts from the beginning of its
// fetch, because a key may be withdrawn while the response is on its way.
func (r *remote) finish(begun time.Time, keys []*key, dropped []error, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = err
	r.ended++
	last := r.latest.Load()
	if err != nil {
		r.failures++
		r.failed++
		r.earliest = begun.Add(r.backoff(err))
		if last != nil {
			due := last.set.fetched.Add(r.limits.Refresh)
			if due.Before(r.earliest) {
				due = r.earliest
			}
			r.latest.Store(&fetched{last.set, due})
		}
		r.events.report(EventFetchFailed, err)
		return
	}
	r.failures = 0
	var old *keySet
	if last != nil {
		old = last.set
	}
	set := old.succeed(keys, begun)
	r.latest.Store(&fetched{set, begun.Add(r.limits.Refresh)})
	for _, err := range dropped {
		r.events.report(EventKeyDropped, err)
	}
	r.events.withdrawn(old, set)
}

// backoff returns the time between the starts of the failed fetch and of the next.
func (r *remote) backoff(err error) time.Duration {
	most := max(r.limits.MinInterval, min(maxBackoff, r.limits.Refresh))
	interval := r.limits.MinInterval
	for n := 1; n < r.failures && interval < most; n++ {
		interval *= 2
	}
	if status, ok := errors.AsType[*fetch.StatusError](err); ok {
		interval = max(interval, status.RetryAfter)
	}
	return min(interval, most)
}

// retryAfter returns the time until the next fetch may start.
func (r *remote) retryAfter() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(time.Second, time.Until(r.earliest))
}

func (r *remote) close() {
	r.fetches.Close()
	r.events.close()
}
