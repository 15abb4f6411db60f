// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/flight"
)

// KeySets configures how often remote key sets are fetched and how long they
// are used. The defaults of the zero value are suitable for most issuers.
type KeySets struct {
	// FetchTimeout is the timeout of one fetch, including discovery: 5 s by
	// default, from 10 ms to 30 s.
	FetchTimeout time.Duration

	// MinInterval is the shortest time between the starts of two fetches: 10 s
	// by default, from 1 s to 1 h. A token with an unknown kid causes a fetch,
	// but not more often than this.
	MinInterval time.Duration

	// Refresh is the age at which a set that is in use is fetched again: 5 minutes
	// by default, from 1 s to 24 h. A key that the issuer removes is used for at
	// most this time.
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
	bound("MinInterval", &k.MinInterval, 10*time.Second, time.Second, time.Hour)
	bound("Refresh", &k.Refresh, 5*time.Minute, time.Second, day)
	bound("MaxStale", &k.MaxStale, day, time.Minute, 7*day)
	return errors.Join(errs...)
}

// fetchFunc fetches the keys of an issuer, and returns why it dropped others. kid
// is the missing one, "" for none in particular.
type fetchFunc func(ctx context.Context, kid string) (keys []*key, dropped []error, err error)

// remote is the source of a key set that is fetched. At most one fetch runs at a
// time, in the background: a request with a usable set never waits for it, and a
// request that ends does not cancel it for the others.
type remote struct {
	issuer   string
	limits   KeySets
	fetch    fetchFunc
	observer gatehouse.Observer

	set     atomic.Pointer[keySet]
	fetches flight.Group[struct{}, struct{}]

	mu      sync.Mutex
	started time.Time // when the last fetch began
	failure error     // of the last fetch
}

func newRemote(i Issuer, c Config, fetch fetchFunc) *remote {
	r := &remote{issuer: i.URL, limits: c.KeySets, fetch: fetch, observer: c.Observer}
	r.fetches.Timeout = c.KeySets.FetchTimeout
	return r
}

var (
	errNoSet  = errors.New("jwtauth: key set: not yet fetched")
	errStale  = errors.New("jwtauth: key set: older than KeySets.MaxStale")
	errClosed = errors.New("jwtauth: the authenticator or verifier is closed")
)

// current returns the set without waiting. It is stale-while-revalidate: past
// KeySets.Refresh it starts a fetch and returns the old set.
func (r *remote) current(now time.Time) (*keySet, error) {
	set := r.set.Load()
	if set == nil {
		return nil, errNoSet
	}
	age := now.Sub(set.fetched)
	if age >= r.limits.Refresh {
		r.start("")
	}
	if age > r.limits.MaxStale {
		return nil, r.explain(errStale)
	}
	return set, nil
}

func (r *remote) renewed(ctx context.Context, kid string) (*keySet, error) {
	// A fetch that was running before may have been for another kid. After it, a
	// fetch for this kid starts unless MinInterval forbids it.
	for range 2 {
		call, started := r.start(kid)
		if call == nil {
			break
		}
		if _, err := call.Wait(ctx); err != nil {
			return nil, err
		}
		if started {
			break
		}
	}
	if err := r.explain(nil); err != nil {
		return nil, err
	}
	if set := r.set.Load(); set != nil {
		return set, nil
	}
	return nil, errNoSet
}

// explain returns the failure of the last fetch, with err in front, or err if it
// did not fail.
func (r *remote) explain(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("jwtauth: the last fetch of the key set failed: %w", r.failure))
}

// start returns the running fetch. If there is none, it starts one and reports
// that it did, or returns nil if the last one began less than MinInterval ago.
func (r *remote) start(kid string) (call *flight.Call[struct{}], started bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if call := r.fetches.Running(struct{}{}); call != nil {
		return call, false
	}
	now := time.Now()
	if now.Sub(r.started) < r.limits.MinInterval {
		return nil, false
	}
	call, started, err := r.fetches.Start(struct{}{}, func(ctx context.Context) (struct{}, error) {
		r.run(ctx, kid)
		return struct{}{}, nil
	})
	if err != nil {
		r.failure = errClosed
		return nil, false
	}
	r.started = now
	return call, started
}

func (r *remote) run(ctx context.Context, kid string) {
	keys, dropped, err := r.fetch(ctx, kid)
	if err == nil {
		r.set.Store(r.set.Load().succeed(keys))
	}
	r.mu.Lock()
	r.failure = err
	r.mu.Unlock()
	if err != nil {
		r.report(EventFetchFailed, err)
	}
	for _, err := range dropped {
		r.report(EventKeyDropped, err)
	}
}

// report reports a problem of the key set. No decision depends on it, so an error
// of the observer has no effect.
func (r *remote) report(t gatehouse.EventType, err error) {
	_ = gatehouse.Report(context.Background(), r.observer, gatehouse.Event{Type: t, Level: slog.LevelWarn, Issuer: r.issuer, Cause: err})
}

// retryAfter returns the time until the next fetch may start.
func (r *remote) retryAfter() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(time.Second, r.limits.MinInterval-time.Since(r.started))
}

func (r *remote) close() { r.fetches.Close() }
