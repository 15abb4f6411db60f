// SPDX-License-Identifier: Apache-2.0

// Package flight implements single flight: callers that need the same result at
// the same time share one call.
package flight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultWaiters is the limit of callers that wait for one call.
const DefaultWaiters = 10_000

var (
	// ErrClosed means that the group is closed.
	ErrClosed = errors.New("flight: the group is closed")
	// ErrBusy means that the limit of concurrent calls or of waiting callers is reached.
	ErrBusy = errors.New("flight: too many calls or waiting callers")
)

// Group runs at most one call for each key at a time. Set the fields before the
// first use and do not copy a Group after it. A Group is safe for concurrent use.
//
// A call runs in its own goroutine. Its context carries no values and ends at Timeout or
// with Close, never with the context of the caller that started it. A panic of the call,
// or [runtime.Goexit], becomes an error of its callers.
type Group[K comparable, V any] struct {
	// Timeout bounds each call. Zero means no limit.
	Timeout time.Duration

	// MaxCalls limits the concurrent calls. Zero means no limit, for groups with
	// a fixed set of keys.
	MaxCalls int

	// MaxWaiters limits the callers that wait for one call, [DefaultWaiters] if
	// it is zero.
	MaxWaiters int

	mu     sync.Mutex
	calls  map[K]*Call[V]
	ctx    context.Context // made with the first call, ends with Close
	cancel context.CancelFunc
	closed bool
	work   sync.WaitGroup
}

// Call is a call that may still be running.
type Call[V any] struct {
	done    chan struct{}
	waiters atomic.Int64
	limit   int64 // of waiters
	value   V
	err     error
}

// Do returns the result of the running call for key, or of work if there is none. If ctx
// ends before the call, Do returns the error of ctx; the call continues for other
// callers.
func (g *Group[K, V]) Do(ctx context.Context, key K, work func(context.Context) (V, error)) (V, error) {
	call, _, err := g.Start(key, work)
	if err != nil {
		return *new(V), err
	}
	return call.Wait(ctx)
}

// Start returns the running call for key, or starts one, and reports whether it started
// one. It does not wait.
func (g *Group[K, V]) Start(key K, work func(context.Context) (V, error)) (call *Call[V], started bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if call := g.calls[key]; call != nil {
		return call, false, nil
	}
	switch {
	case g.closed:
		return nil, false, ErrClosed
	case g.MaxCalls > 0 && len(g.calls) >= g.MaxCalls:
		return nil, false, ErrBusy
	}
	if g.calls == nil {
		g.calls = make(map[K]*Call[V])
		g.ctx, g.cancel = context.WithCancel(context.Background())
	}
	call = &Call[V]{done: make(chan struct{}), limit: int64(g.MaxWaiters)}
	if call.limit <= 0 {
		call.limit = DefaultWaiters
	}
	g.calls[key] = call
	g.work.Go(func() {
		defer func() { // also after Goexit
			g.mu.Lock()
			delete(g.calls, key)
			g.mu.Unlock()
			close(call.done)
		}()
		call.run(g.ctx, g.Timeout, work)
	})
	return call, true, nil
}

// Running returns the running call for key, nil if there is none.
func (g *Group[K, V]) Running(key K) *Call[V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[key]
}

// Close cancels the running calls and waits until they have returned. Later calls fail
// with [ErrClosed].
func (g *Group[K, V]) Close() {
	g.mu.Lock()
	g.closed = true
	if g.cancel != nil {
		g.cancel()
	}
	g.mu.Unlock()
	g.work.Wait()
}

// run sets the result. It does not pass a panic on: that would end the program.
func (c *Call[V]) run(ctx context.Context, timeout time.Duration, work func(context.Context) (V, error)) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	returned := false
	defer func() {
		if !returned {
			c.err = fmt.Errorf("flight: the call ended without a result: %v", recover())
		}
	}()
	c.value, c.err = work(ctx)
	returned = true
}

// Wait returns the result of the call, or the error of ctx if ctx ends first. All callers
// get the same value, so it must not contain memory that a caller can change. It returns
// [ErrBusy] if too many callers wait already.
func (c *Call[V]) Wait(ctx context.Context) (V, error) {
	select {
	case <-c.done: // also where the limit is reached: nothing to wait for
		return c.value, c.err
	default:
	}
	defer c.waiters.Add(-1)
	if c.waiters.Add(1) > c.limit {
		return *new(V), ErrBusy
	}
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		return *new(V), ctx.Err()
	}
}
