// SPDX-License-Identifier: Apache-2.0

// Package batch implements group commit: calls that arrive while an engine works are
// sent to it together.
package batch

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Call is a call of an engine. Send sets Result or Err.
type Call[Q, R any] struct {
	Query  Q
	Result R
	Err    error

	ctx  context.Context //nolint:containedctx // of the caller that waits
	done chan struct{}   // closed after Send
}

// Queue sends calls to an engine. A call is sent at once and alone if none is in
// progress: without concurrency a Queue adds nothing. Otherwise it waits until the batch
// in progress has ended, and is sent with all others that wait, at most Limit, in the order
// in which they came.
//
// If the context of a caller ends, its wait ends. A call that was not sent by then is
// never sent; a call that was sent with others may be executed.
//
// Set the fields before the first use and do not copy a Queue after it. It is safe for
// concurrent use, and has no goroutines while no call is in progress.
type Queue[Q, R any] struct {
	// Send executes calls in their order. It limits its own duration: the context of a
	// batch never ends, and a single call has the context of its caller. If Send
	// panics, each call of a batch returns an error; a single call panics.
	Send func(ctx context.Context, calls []*Call[Q, R])

	Limit int         // calls in a batch, or their weight with Weigh
	Weigh func(Q) int // what a call counts, 1 if nil; a call above Limit is sent alone

	mu      sync.Mutex
	busy    bool // a batch is in progress
	waiting []*Call[Q, R]
}

// Do executes a call. If ctx is already done, it does nothing and returns an error.
func (q *Queue[Q, R]) Do(ctx context.Context, query Q) (R, error) {
	c := &Call[Q, R]{Query: query, ctx: ctx}
	if err := ctx.Err(); err != nil {
		return c.Result, err
	}
	q.mu.Lock()
	if !q.busy {
		q.busy = true
		q.mu.Unlock()
		defer q.proceed() // also after a panic
		q.Send(ctx, []*Call[Q, R]{c})
		return c.Result, c.Err
	}
	c.done = make(chan struct{})
	q.waiting = append(q.waiting, c)
	q.mu.Unlock()
	select {
	case <-c.done:
		return c.Result, c.Err
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		if i := slices.Index(q.waiting, c); i >= 0 {
			q.waiting = slices.Delete(q.waiting, i, i+1)
		}
		return *new(R), ctx.Err()
	}
}

// proceed sends the calls that wait after a batch has ended.
func (q *Queue[Q, R]) proceed() {
	if calls := q.next(); len(calls) > 0 {
		go func() {
			defer q.proceed()
			q.send(calls)
		}()
	}
}

// next takes the next batch. If there is none, the queue is idle.
func (q *Queue[Q, R]) next() []*Call[Q, R] {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, weight := 0, 0
	for ; n < len(q.waiting); n++ {
		if weight += q.weight(q.waiting[n]); weight > q.Limit && n > 0 {
			break
		}
	}
	if n == 0 {
		q.busy = false
		return nil
	}
	calls := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return calls
}

func (q *Queue[Q, R]) weight(c *Call[Q, R]) int {
	if q.Weigh == nil {
		return 1
	}
	return q.Weigh(c.Query)
}

func (q *Queue[Q, R]) send(calls []*Call[Q, R]) {
	returned := false
	defer func() {
		cause := recover()
		for _, c := range calls {
			if !returned { // after a panic, or runtime.Goexit, whose cause is nil
				c.Err = fmt.Errorf("batch: panic: %v", cause)
			}
			close(c.done)
		}
	}()
	ctx := context.Background()
	if len(calls) == 1 {
		ctx = calls[0].ctx
	}
	q.Send(ctx, calls)
	returned = true
}
