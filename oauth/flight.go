// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"sync"
)

var errClosed = errors.New("oauth: the client is closed")

// flight makes one call for all who ask while it is under way. The call has a
// context of its own: it does not end with the one who happened to ask first,
// and everyone waits no longer than their own context lets them.
type flight[T any] struct {
	mu   sync.Mutex
	call *call[T]
}

type call[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func (f *flight[T]) do(ctx context.Context, c *Client, work func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	current := f.call
	if current == nil {
		current = &call[T]{done: make(chan struct{})}
		if !c.begin(func(ctx context.Context) {
			current.value, current.err = work(ctx)
			f.mu.Lock()
			f.call = nil
			f.mu.Unlock()
			close(current.done)
		}) {
			f.mu.Unlock()
			return *new(T), errClosed
		}
		f.call = current
	}
	f.mu.Unlock()
	select {
	case <-current.done:
		return current.value, current.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// begin runs work until it ends, the timeout is over or the client is closed,
// which it reports by false if it is so already.
func (c *Client) begin(work func(context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.work.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, 2*c.timeout)
		defer cancel()
		work(ctx)
	})
	return true
}
