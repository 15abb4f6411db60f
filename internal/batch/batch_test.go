// SPDX-License-Identifier: Apache-2.0

package batch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/internal/batch"
)

// engine needs a second for each batch, and records them.
type engine struct {
	mu      sync.Mutex
	batches [][]int
}

func (e *engine) send(ctx context.Context, calls []*batch.Call[int, string]) {
	var queries []int
	for _, c := range calls {
		queries = append(queries, c.Query)
	}
	e.mu.Lock()
	e.batches = append(e.batches, queries)
	e.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	for _, c := range calls {
		if c.Err = ctx.Err(); c.Query < 0 {
			c.Err = errors.New("negative")
		}
		c.Result = fmt.Sprint("result of ", c.Query)
	}
}

// start makes calls one after the other, each as soon as the one before waits. The
// contexts of those that are named in impatient end before a batch does, the last one first.
func start(t *testing.T, q *batch.Queue[int, string], queries []int, impatient ...int) (results map[int]string, wait func()) {
	t.Helper()
	results = make(map[int]string)
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, query := range queries {
		ctx := t.Context()
		for _, other := range impatient {
			if query == other {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Duration(10-query)*time.Millisecond)
				t.Cleanup(cancel)
			}
		}
		group.Go(func() {
			result, err := q.Do(ctx, query)
			if err != nil {
				result = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			results[query] = result
		})
		synctest.Wait()
	}
	return results, group.Wait
}

func TestBatches(t *testing.T) {
	const late = "context deadline exceeded"
	for _, test := range []struct {
		name               string
		limit              int
		queries, impatient []int
		batches            [][]int
		seconds            int
		failed             map[int]string
	}{
		{"a call alone is sent at once", 9, []int{1}, nil, [][]int{{1}}, 1, nil},
		{"calls that wait are sent together", 9, []int{1, 2, 3, 4}, nil, [][]int{{1}, {2, 3, 4}}, 2, nil},
		{"the limit", 2, []int{1, 2, 3, 4}, nil, [][]int{{1}, {2, 3}, {4}}, 3, nil},
		{"the error of a call", 9, []int{1, -2, 3}, nil, [][]int{{1}, {-2, 3}}, 2, map[int]string{-2: "negative"}},
		{"a context ends the first call", 9, []int{1, 2, 3}, []int{1}, [][]int{{1}, {2, 3}}, 1, map[int]string{1: late}},
		{"a context ends before the call is sent", 9, []int{1, 2, 3}, []int{2}, [][]int{{1}, {3}}, 2, map[int]string{2: late}},
		{"all contexts end", 9, []int{1, 2, 3}, []int{1, 2, 3}, [][]int{{1}}, 0, map[int]string{1: late, 2: late, 3: late}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &engine{}
				q := &batch.Queue[int, string]{Send: e.send, Limit: test.limit}
				began := time.Now()
				results, wait := start(t, q, test.queries, test.impatient...)
				wait()
				synctest.Wait()
				if diff := cmp.Diff(test.batches, e.batches); diff != "" {
					t.Errorf("batches (-want +got):\n%s", diff)
				}
				if got := int(time.Since(began) / time.Second); got != test.seconds {
					t.Errorf("the calls took %d s, want %d", got, test.seconds)
				}
				for _, query := range test.queries {
					want, failed := test.failed[query]
					if !failed {
						want = fmt.Sprint("result of ", query)
					}
					if results[query] != want {
						t.Errorf("Do(%d) = %q, want %q", query, results[query], want)
					}
				}
			})
		})
	}
}

// TestContextOfBatch: the context of one caller does not end the calls that are sent
// with its own.
func TestContextOfBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		q := &batch.Queue[int, string]{Send: e.send, Limit: 9}
		first, waitFirst := start(t, q, []int{1})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		result := make(chan error, 1)
		go func() {
			_, err := q.Do(ctx, 2)
			result <- err
		}()
		synctest.Wait()
		others, waitOthers := start(t, q, []int{3})
		waitFirst()
		if err := <-result; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do(context that ends) error = %v, want %v", err, context.DeadlineExceeded)
		}
		waitOthers()
		if first[1] != "result of 1" || others[3] != "result of 3" {
			t.Errorf("the other calls = %q, %q, want their results", first[1], others[3])
		}
		if _, err := q.Do(ctx, 4); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do(ended context) error = %v, want %v", err, context.DeadlineExceeded)
		}
		if diff := cmp.Diff([][]int{{1}, {2, 3}}, e.batches); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

// TestContextOfOneCall: a call that has waited and is sent alone has the context of its
// caller, who gets no result after its end.
func TestContextOfOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &batch.Queue[int, string]{Limit: 9, Send: func(ctx context.Context, calls []*batch.Call[int, string]) {
			calls[0].Result = "not complete"
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			time.Sleep(time.Millisecond) // the engine stops a little later
		}}
		_, wait := start(t, q, []int{1})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if got, err := q.Do(ctx, 2); got != "" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do(context that ends) = %q, %v, want no result, %v", got, err, context.DeadlineExceeded)
		}
		if _, err := q.Do(ctx, 4); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do(ended context) error = %v, want %v", err, context.DeadlineExceeded)
		}
		began := time.Now()
		if _, err := q.Do(t.Context(), 3); err != nil || time.Since(began) != 1002*time.Millisecond {
			t.Errorf("Do after the end of the one before: error = %v after %v, want nil after 1.002s", err, time.Since(began))
		}
		wait()
	})
}

// TestWeigh: a batch has at most the weight of the limit, or one call.
func TestWeigh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		q := &batch.Queue[int, string]{Send: e.send, Limit: 10, Weigh: func(query int) int { return query }}
		_, wait := start(t, q, []int{1, 4, 6, 7, 20, 3, 8, 2, 21, 0})
		wait()
		if diff := cmp.Diff([][]int{{1}, {4, 6}, {7}, {20}, {3}, {8, 2}, {21}, {0}}, e.batches); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

// TestGoexit: a Send that ends its goroutine, as t.FailNow does, ends no other call.
func TestGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &batch.Queue[int, string]{Limit: 9, Send: func(_ context.Context, calls []*batch.Call[int, string]) {
			time.Sleep(time.Second)
			if calls[0].Query == 2 {
				runtime.Goexit()
			}
		}}
		results, wait := start(t, q, []int{1, 2, 3})
		wait()
		if results[1] != "" || results[2] == "" || results[3] == "" {
			t.Errorf("results = %v, want errors of the calls 2 and 3 only", results)
		}
		if _, err := q.Do(t.Context(), 4); err != nil {
			t.Errorf("Do afterwards: error = %v", err)
		}
	})
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &batch.Queue[int, string]{Limit: 9, Send: func(_ context.Context, calls []*batch.Call[int, string]) {
			time.Sleep(time.Second)
			if calls[0].Query != 4 {
				panic("broken")
			}
		}}
		recovered := make(chan any)
		go func() {
			defer func() { recovered <- recover() }()
			_, _ = q.Do(t.Context(), 1)
		}()
		synctest.Wait()
		results, wait := start(t, q, []int{2, 3})
		if cause := <-recovered; cause != "broken" {
			t.Errorf("the caller of the first call recovers %v, want its panic", cause)
		}
		wait()
		for query, result := range results {
			if !strings.Contains(result, "panic: broken") {
				t.Errorf("Do(%d) = %q, want the panic as an error", query, result)
			}
		}
		if _, err := q.Do(t.Context(), 4); err != nil {
			t.Errorf("Do after panics: error = %v", err)
		}
	})
}
