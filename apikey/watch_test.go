// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// Watch invalidates what other processes change, and everything when it connects.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newKeys(t, withCache(5*time.Second))
		there := onStoreOf(t, here, 5*time.Second)
		if err := here.Watch(t.Context()); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("Watch without Config.Watcher: error = %v, want one of the configuration", err)
		}
		key, text := here.create(t, request())
		missed, missedText := here.create(t, request())
		there.wantReason(t, text, "")
		there.wantReason(t, missedText, "")
		must(here.Revoke(t.Context(), missed.ID))(t)
		there.wantReason(t, missedText, "")

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- there.Watch(ctx) }()
		synctest.Wait()
		there.wantReason(t, missedText, apikey.ReasonRevoked)
		there.wantReason(t, text, "")
		must(here.Revoke(t.Context(), key.ID))(t)
		there.wantReason(t, text, apikey.ReasonRevoked)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch error = %v, want %v", err, context.Canceled)
		}
		there.wantEvents(t) // the end is no failure
	})
}

// breaking is a watcher whose attempts to listen take no time. It listens in those
// where listens is true.
type breaking struct {
	listens []bool
	at      []time.Duration // of each attempt
	start   time.Time
	cancel  context.CancelFunc // after the last
}

var errBroken = errors.New("connection reset")

func (b *breaking) Watch(ctx context.Context, changed func(string)) error {
	n := len(b.at)
	b.at = append(b.at, time.Since(b.start))
	if n >= len(b.listens) {
		b.cancel()
		return ctx.Err()
	}
	if b.listens[n] {
		changed("")
	}
	return errBroken
}

// Watch listens again when the Watcher breaks, and reports the beginning and the end of
// each outage once, also if the observer fails.
func TestWatchReportsOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &breaking{listens: []bool{false, false, true, true, false, false, false, false, false, false, false}, start: time.Now(), cancel: cancel}
		var events []gatehouse.EventType
		keys := newKeys(t, func(c *apikey.Config) {
			c.CacheTTL, c.Watcher = time.Second, w
			c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
				if failed := e.Type == apikey.EventWatchFailed; failed != errors.Is(e.Cause, errBroken) || e.Issuer != issuer {
					t.Errorf("%s of %s: cause = %v, want %v for a failure", e.Type, e.Issuer, e.Cause, errBroken)
				}
				events = append(events, e.Type)
				return errors.New("the observer fails")
			})
		})
		events = nil
		if err := keys.Watch(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch() = %v, want %v", err, context.Canceled)
		}
		want := []gatehouse.EventType{
			apikey.EventWatchFailed, apikey.EventWatchRestored, apikey.EventWatchFailed, apikey.EventWatchRestored, apikey.EventWatchFailed,
		}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		const ms = time.Millisecond
		pauses := []time.Duration{50 * ms, 100 * ms, 50 * ms, 50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 2000 * ms, 2000 * ms}
		var got []time.Duration
		for i, at := range w.at[1:] {
			got = append(got, at-w.at[i])
		}
		if diff := cmp.Diff(pauses, got); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 75*time.Millisecond) // in a pause
		defer cancel()
		w.at, w.listens = nil, make([]bool, 9)
		if err := keys.Watch(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch() = %v, want %v", err, context.DeadlineExceeded)
		}
	})
}
