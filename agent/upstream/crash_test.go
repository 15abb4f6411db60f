// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

// crash is a process that ends at one of its operations: from then on none of its
// calls has an effect or returns what it did.
type crash struct {
	mu   sync.Mutex
	left int // operations before the crash
	name string
}

var errCrashed = errors.New("crashed")

func (c *crash) hook(when, op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.left == 0:
		if c.name == "" {
			c.name = when + " " + op
		}
		return errCrashed
	case op != "load":
		c.left--
	}
	return nil
}

func (c *crash) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left == 0
}

// A process ends before or after any call of the store or of the provider, during the
// first creation, a rotation, a replacement or a decommissioning. Another one goes on:
// in the end one credential is live, or none, and no other was left behind.
func TestCrashAtEachStep(t *testing.T) {
	for name, scene := range map[string]struct {
		act  func(ctx context.Context, t *testing.T, p *provider, r *upstream.Rotator)
		want int
	}{
		"first":  {func(context.Context, *testing.T, *provider, *upstream.Rotator) {}, 1},
		"rotate": {func(ctx context.Context, _ *testing.T, _ *provider, r *upstream.Rotator) { _ = r.Rotate(ctx) }, 1},
		"replace": {func(ctx context.Context, t *testing.T, p *provider, r *upstream.Rotator) {
			if c, release, err := r.Acquire(ctx); err == nil {
				release()
				noError(t, p.Revoke(ctx, c.ID))
				r.Rejected(ctx, c)
			}
		}, 1},
		"decommission": {func(ctx context.Context, _ *testing.T, _ *provider, r *upstream.Rotator) {
			_ = r.Rotate(ctx)
			_ = r.Decommission(ctx)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			points := 0
			rarely := func(c *upstream.RotatorConfig) { c.Refresh = 20 * time.Second }
			for ; ; points++ {
				ended := false
				synctest.Test(t, func(t *testing.T) {
					p, s, c := newProvider(), newStore(), &crash{left: points}
					dying := newRotator(t, &provider{hooked{hook: c.hook}, p.vendor}, &store{hooked{hook: c.hook}, s.Memory}, rarely)
					stop := run(t, dying)
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					go func() {
						defer cancel()
						_, release, err := dying.Acquire(ctx)
						if err == nil {
							time.Sleep(30 * time.Second)
							scene.act(ctx, t, p, dying)
							time.Sleep(10 * time.Second)
							release()
						}
					}()
					time.Sleep(time.Minute)
					ended = !c.ended()
					cancel()
					stop()
					survivor := newRotator(t, p, s, rarely)
					run(t, survivor)
					time.Sleep(time.Hour)
					if scene.want == 0 { // it may have ended before it was decommissioned
						noError(t, survivor.Decommission(t.Context()))
						time.Sleep(time.Hour)
					}
					if c, release, err := survivor.Acquire(t.Context()); err == nil {
						if release(); !p.accepts(c) { // a call is answered 401
							survivor.Rejected(t.Context(), c)
							time.Sleep(time.Hour)
						}
					}
					got := p.ids()
					if len(got) != scene.want {
						t.Fatalf("crash %s (operation %d): live credentials = %q, want %d", c.name, points, got, scene.want)
					}
					if scene.want == 1 && !p.accepts(current(t, survivor)) {
						t.Fatalf("crash %s (operation %d): the current credential is not live", c.name, points)
					}
				})
				if ended || t.Failed() {
					break
				}
			}
			if points < 10 {
				t.Errorf("%d operations, want more", points)
			}
		})
	}
}
