// SPDX-License-Identifier: Apache-2.0

package flight_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/flight"
)

func TestDoSharesOneCallPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		var calls atomic.Int64
		results := make(chan int, 20)
		for n := range 20 {
			key := []string{"a", "b"}[n%2]
			go func() {
				value, err := g.Do(t.Context(), key, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					return int(calls.Add(1)), nil
				})
				if err != nil {
					t.Errorf("Do error = %v, want nil", err)
				}
				results <- value
			}()
		}
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if calls.Load() != 2 || len(results) != 20 {
			t.Errorf("Do made %d calls for %d callers, want 2 for 20", calls.Load(), len(results))
		}
		if value, err := g.Do(t.Context(), "a", func(context.Context) (int, error) { return 7, nil }); value != 7 || err != nil {
			t.Errorf("Do after the call = %d, %v, want 7, nil", value, err)
		}
	})
}

// A caller who has waited for a call gets a new one next, and not the same again.
func TestEndedCallIsNotShared(t *testing.T) {
	var g flight.Group[string, int]
	for want := range 20000 {
		got, err := g.Do(t.Context(), "a", func(context.Context) (int, error) { return want, nil })
		if got != want || err != nil {
			t.Fatalf("Do = %d, %v, want %d, nil", got, err, want)
		}
	}
}

func TestCallOutlivesFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		work := func(ctx context.Context) (int, error) {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(time.Minute):
				return 7, nil
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.Do(ctx, "a", work); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do(ended context) error = %v, want %v", err, context.DeadlineExceeded)
		}
		call := g.Running("a")
		if call == nil {
			t.Fatal("Running(a) = nil, want the call that outlives its first caller")
		}
		if value, err := call.Wait(t.Context()); value != 7 || err != nil {
			t.Errorf("Wait = %d, %v, want 7, nil", value, err)
		}
		if g.Running("a") != nil {
			t.Error("Running(a) after the call is not nil")
		}
		// A result that is there is returned whatever has become of the context.
		if value, err := call.Wait(ctx); value != 7 || err != nil {
			t.Errorf("Wait(ended context) after the call = %d, %v, want 7, nil", value, err)
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := flight.Group[string, int]{Timeout: time.Minute, MaxCalls: 1, MaxWaiters: 2}
		work := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		call, started, err := g.Start("a", work)
		if !started || err != nil {
			t.Fatalf("Start(a) = %t, %v, want true, nil", started, err)
		}
		if again, started, err := g.Start("a", work); again != call || started || err != nil {
			t.Errorf("Start(a) while it runs = same call %t, %t, %v, want true, false, nil", again == call, started, err)
		}
		if _, _, err := g.Start("b", work); !errors.Is(err, flight.ErrBusy) {
			t.Errorf("Start(b) error = %v, want %v", err, flight.ErrBusy)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 { // a waiter that gives up makes place for another
			if _, err := call.Wait(canceled); !errors.Is(err, context.Canceled) {
				t.Errorf("Wait(canceled context) error = %v, want %v", err, context.Canceled)
			}
		}
		results := make(chan error, 2)
		wait := func(ctx context.Context) { _, err := call.Wait(ctx); results <- err }
		leaving, leave := context.WithCancel(t.Context())
		go wait(t.Context())
		go wait(leaving)
		synctest.Wait()
		if _, err := call.Wait(t.Context()); !errors.Is(err, flight.ErrBusy) {
			t.Errorf("third Wait error = %v, want %v", err, flight.ErrBusy)
		}
		leave()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("Wait error = %v, want %v", err, context.Canceled)
		}
		go wait(t.Context()) // has the place of the one that left: the refused one has none
		begun := time.Now()
		for range 2 {
			if err := <-results; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Wait error = %v, want %v", err, context.DeadlineExceeded)
			}
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("the call ended after %v, want %v", took, time.Minute)
		}
		synctest.Wait()
		if _, started, err := g.Start("b", work); !started || err != nil {
			t.Errorf("Start(b) after the call = %t, %v, want true, nil", started, err)
		}
		g.Close()
	})
}

func TestCallWithoutResultIsError(t *testing.T) {
	for name, test := range map[string]struct {
		work func()
		want string
	}{
		"panic":  {func() { panic("broken") }, "flight: the call ended without a result: broken"},
		"Goexit": {runtime.Goexit, "flight: the call ended without a result"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g flight.Group[string, int]
				if _, err := g.Do(t.Context(), "a", func(context.Context) (int, error) { test.work(); return 1, nil }); err == nil || !strings.HasPrefix(err.Error(), test.want) {
					t.Errorf("Do error = %v, want %s", err, test.want)
				}
				if value, err := g.Do(t.Context(), "a", func(context.Context) (int, error) { return 7, nil }); value != 7 || err != nil {
					t.Errorf("next Do = %d, %v, want 7, nil", value, err)
				}
				g.Close()
			})
		})
	}
}

func TestCloseCancelsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		returned := false
		call, _, _ := g.Start("a", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			returned = true
			return 0, ctx.Err()
		})
		g.Close()
		if !returned {
			t.Error("Close returned before the call")
		}
		if _, err := call.Wait(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait error = %v, want %v", err, context.Canceled)
		}
		if _, err := g.Do(t.Context(), "a", nil); !errors.Is(err, flight.ErrClosed) {
			t.Errorf("Do after Close error = %v, want %v", err, flight.ErrClosed)
		}
		new(flight.Group[string, int]).Close()          // without a call
		few := flight.Group[string, int]{MaxWaiters: 1} // as many calls as keys
		for _, key := range []string{"a", "b"} {
			if _, started, err := few.Start(key, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil }); !started || err != nil {
				t.Errorf("Start(%s) without MaxCalls = %t, %v, want true, nil", key, started, err)
			}
		}
		few.Close()
	})
}
