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
)

// KeySets says how remote key sets are kept. The zero value is right for nearly
// everyone.
type KeySets struct {
	// FetchTimeout bounds one fetch, discovery included: 5 s by default, at
	// most 30 s.
	FetchTimeout time.Duration

	// MinInterval is the least time between the starts of two fetches: 10 s by
	// default, at least 1 s. A token with an unknown kid causes a fetch, but
	// no more often than this.
	MinInterval time.Duration

	// Refresh is the age at which a set that is in use is fetched again: 5
	// minutes by default, at most 24 h. A withdrawn key stops verifying after
	// at most this time.
	Refresh time.Duration

	// MaxStale is the age from which a set is no longer trusted while its
	// issuer is down: 24 h by default, at most 7 days.
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

// fetchFunc gets the keys of an issuer, and why others were dropped. kid is the
// one that is looked for, if any.
type fetchFunc func(ctx context.Context, kid string) (keys []*key, dropped []error, err error)

// remote keeps the key set of one issuer at hand. At most one fetch is under
// way; it runs in a goroutine of its own, which ends with the fetch, so that no
// request that can be served waits for it and none that gives up ends it for
// the others.
type remote struct {
	issuer   string
	limits   KeySets
	fetch    fetchFunc
	observer gatehouse.Observer

	set atomic.Pointer[keySet]

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	running chan struct{} // closed when the fetch under way has ended
	started time.Time     // of the last fetch
	failure error         // of the last fetch
}

func newRemote(i Issuer, c Config, fetch fetchFunc) *remote {
	r := &remote{issuer: i.URL, limits: c.KeySets, fetch: fetch, observer: c.Observer}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

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

var (
	errNoSet  = errors.New("jwtauth: no key set has been fetched yet")
	errStale  = errors.New("jwtauth: the key set is older than KeySets.MaxStale")
	errClosed = errors.New("jwtauth: closed")
)

func (r *remote) renewed(ctx context.Context, kid string) (*keySet, error) {
	// A fetch that was under way already may have been for another kid. Once it
	// has ended, one for this kid is started if it is not too early for that.
	for range 2 {
		running, ours := r.start(kid)
		if running == nil {
			break
		}
		select {
		case <-running:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if ours {
			break
		}
	}
	if err := r.explain(nil); err != nil {
		return nil, err
	}
	return r.set.Load(), nil
}

// explain returns the failure of the last fetch, with err in front, or err if
// it did not fail.
func (r *remote) explain(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("jwtauth: the last fetch of the key set failed: %w", r.failure))
}

// start returns a channel that is closed when the fetch under way ends. It
// starts one if none is, and then says that it is ours, but returns nil if the
// last began too recently.
func (r *remote) start(kid string) (running <-chan struct{}, ours bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		return r.running, false
	}
	if r.ctx.Err() != nil {
		r.failure = errClosed
		return nil, false
	}
	now := time.Now()
	if now.Sub(r.started) < r.limits.MinInterval {
		return nil, false
	}
	r.started = now
	r.running = make(chan struct{})
	r.work.Go(func() { r.run(kid) })
	return r.running, true
}

func (r *remote) run(kid string) {
	ctx, cancel := context.WithTimeout(r.ctx, r.limits.FetchTimeout)
	defer cancel()
	keys, dropped, err := r.fetch(ctx, kid)
	if err == nil {
		r.set.Store(r.set.Load().succeed(keys))
	}

	r.mu.Lock()
	r.failure = err
	close(r.running)
	r.running = nil
	r.mu.Unlock()

	if err != nil {
		r.report(EventFetchFailed, err)
	}
	for _, err := range dropped {
		r.report(EventKeyDropped, err)
	}
}

// report reports a problem of the key set. Fetches run in the background: there
// is no decision that an error of the observer could change.
func (r *remote) report(t gatehouse.EventType, err error) {
	_ = gatehouse.Report(context.Background(), r.observer, gatehouse.Event{Type: t, Level: slog.LevelWarn, Issuer: r.issuer, Cause: err})
}

// retryAfter is when the next fetch may start.
func (r *remote) retryAfter() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(time.Second, r.limits.MinInterval-time.Since(r.started))
}

func (r *remote) close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.work.Wait()
}
