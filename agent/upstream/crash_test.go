// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
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
	if c.left == 0 {
		if c.name == "" {
			c.name = when + " " + op
		}
		return errCrashed
	}
	c.left--
	return nil
}

func (c *crash) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left == 0
}

// process is a view of the provider and the store from one process.
type process struct {
	*provider
	store *store
	crash *crash
}

func (p process) do(op string, f func() error) error {
	if err := p.crash.hook("before", op); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return p.crash.hook("after", op)
}

func (p process) Create(ctx context.Context, id string) (secret gatehouse.Secret, err error) {
	err = p.do("create", func() error { secret, err = p.provider.Create(ctx, id); return err })
	return secret, err
}

func (p process) Probe(ctx context.Context, secret gatehouse.Secret) error {
	return p.do("probe", func() error { return p.provider.Probe(ctx, secret) })
}

func (p process) Revoke(ctx context.Context, id string) error {
	return p.do("revoke", func() error { return p.provider.Revoke(ctx, id) })
}

func (p process) Load(ctx context.Context, name string) (record upstream.Record, err error) {
	if p.crash.ended() {
		return record, errCrashed
	}
	return p.store.Load(ctx, name)
}

func (p process) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	return p.do("swap", func() error { return p.store.Swap(ctx, name, revision, data) })
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
			c, release, err := r.Acquire(ctx)
			if err != nil {
				return
			}
			release()
			noError(t, p.Revoke(ctx, c.ID))
			r.Rejected(ctx, c)
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
					p, s := newProvider(), &store{}
					c := &crash{left: points}
					dying := newRotator(t, process{p, s, c}, process{p, s, c}, rarely)
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
					if scene.want == 1 {
						current, release := acquire(t, survivor)
						release()
						if !p.accepts(current) {
							t.Fatalf("crash %s (operation %d): the current credential is not live", c.name, points)
						}
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
