// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

// outages is a store that can be down.
type outages struct {
	budget.Store
	down  atomic.Bool
	lossy atomic.Bool // Reserve is done, and its answer is lost
	calls atomic.Int64
	swept atomic.Int64
}

func (o *outages) Sweep(ctx context.Context, limit int) (int, error) {
	o.swept.Add(1)
	return o.Store.Sweep(ctx, limit)
}

var errDown = errors.New("connection refused")

func (o *outages) err() error {
	o.calls.Add(1)
	if o.down.Load() {
		return errDown
	}
	return nil
}

func (o *outages) Reserve(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	if err := o.err(); err != nil {
		return budget.Result{}, err
	}
	result, err := o.Store.Reserve(ctx, r)
	if o.lossy.Load() {
		return budget.Result{}, errDown
	}
	return result, err
}

func (o *outages) Extend(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	if err := o.err(); err != nil {
		return budget.Result{}, err
	}
	return o.Store.Extend(ctx, r)
}

func (o *outages) Settle(ctx context.Context, tenant, id string, amounts []int64) (budget.Result, error) {
	if err := o.err(); err != nil {
		return budget.Result{}, err
	}
	return o.Store.Settle(ctx, tenant, id, amounts)
}

func (o *outages) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	if err := o.err(); err != nil {
		return nil, time.Time{}, err
	}
	return o.Store.Read(ctx, tenant, account, window, since)
}

func (o *outages) List(ctx context.Context, tenant string, limit int) ([]budget.Counter, time.Time, error) {
	if err := o.err(); err != nil {
		return nil, time.Time{}, err
	}
	return o.Store.List(ctx, tenant, limit)
}

// events records the types of events.
type events struct {
	mu  sync.Mutex
	all []gatehouse.Event
}

func (e *events) Observe(_ context.Context, event gatehouse.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	return nil
}

func (e *events) types() (types []gatehouse.EventType) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		types = append(types, event.Type)
	}
	return types
}

// run runs the ledger until the end of the test.
func run(t *testing.T, l *budget.Ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	synctest.Wait()
}

func TestUnavailableStoreIs503(t *testing.T) {
	store := &outages{Store: budget.NewMemory(0)}
	l := newLedger(t, budget.Config{Store: store})
	line := keyLine(100)
	store.down.Store(true)
	_, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 1})
	if e, _ := refusal(t, err); e.Code.Status() != 503 || e.Reason != budget.ReasonUnavailable || !errors.Is(e, errDown) {
		t.Errorf("Reserve without the store = %v", e)
	}
	_, err = l.Usage(t.Context(), line)
	if e, _ := refusal(t, err); e.Code.Status() != 503 {
		t.Errorf("Usage without the store = %v", e)
	}
	_, err = l.Tenant(t.Context(), "acme")
	if e, _ := refusal(t, err); e.Code.Status() != 503 {
		t.Errorf("Tenant without the store = %v", e)
	}
}

// A call is admitted without the store up to the configured amount, is reported, and
// is recorded when the store is available again.
func TestUnrecordedCallsAreBoundedAndRecordedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, observer := &outages{Store: budget.NewMemory(0)}, &events{}
		l := newLedger(t, budget.Config{Store: store, AllowUnrecorded: 50, Observer: observer})
		run(t, l)
		line := keyLine(100)
		store.down.Store(true)
		h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 30})
		if err != nil {
			t.Fatalf("Reserve within AllowUnrecorded: %v", err)
		}
		if err := h.Extend(t.Context(), 51); err == nil {
			t.Error("Extend above AllowUnrecorded: no error")
		}
		if err := h.Extend(t.Context(), 40); err != nil {
			t.Errorf("Extend within AllowUnrecorded: %v", err)
		}
		if _, err := l.Reserve(t.Context(), "2", budget.Charge{Line: line, Amount: 11}); err == nil {
			t.Error("Reserve above AllowUnrecorded: no error")
		}
		if err := h.Settle(t.Context(), 25); err != nil {
			t.Fatal(err)
		}
		h, err = l.Reserve(t.Context(), "3", budget.Charge{Line: line, Amount: 25})
		if err != nil {
			t.Fatalf("Reserve of the rest of AllowUnrecorded: %v", err)
		}
		if err := h.Settle(t.Context(), 24); err != nil {
			t.Fatal(err)
		}
		// What was used is recorded also if it does not fit any more.
		if _, err := newLedger(t, budget.Config{Store: store.Store, Hold: 24 * time.Hour}).Reserve(t.Context(), "other", budget.Charge{Line: line, Amount: 90}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // the windows may have changed
		store.down.Store(false)
		time.Sleep(2 * time.Second)
		if got, want := state(t, l, line), [2]int64{49, 90}; got != want {
			t.Errorf("after the outage: spent, held = %v, want %v", got, want)
		}
		if got, want := observer.types(), []gatehouse.EventType{budget.EventUnrecorded, budget.EventUnrecorded}; !slices.Equal(got, want) {
			t.Errorf("events = %v, want %v", got, want)
		}
		store.down.Store(true)
		if _, err = l.Reserve(t.Context(), "4", budget.Charge{Line: line, Amount: 50}); err != nil {
			t.Errorf("Reserve in the next outage: %v", err)
		}
	})
}

func TestUnrecordedCallsStayBelowTheLimitOfTheBudget(t *testing.T) {
	store := &outages{Store: budget.NewMemory(0)}
	l := newLedger(t, budget.Config{Store: store, AllowUnrecorded: 1000})
	store.down.Store(true)
	for id, want := range map[string]bool{"1": true, "2": false} {
		if id == "2" {
			continue
		}
		if _, err := l.Reserve(t.Context(), id, budget.Charge{Line: keyLine(100), Amount: 60}); (err == nil) != want {
			t.Errorf("Reserve(%s) = %v", id, err)
		}
	}
	if _, err := l.Reserve(t.Context(), "2", budget.Charge{Line: keyLine(100), Amount: 60}); err == nil {
		t.Error("Reserve above the limit of the budget: no error")
	}
}

// A caller that has hung up is not an unavailable store.
func TestCanceledCallsAreNotAdmittedUnrecorded(t *testing.T) {
	store := &outages{Store: budget.NewMemory(0)}
	l := newLedger(t, budget.Config{Store: store, AllowUnrecorded: 1000})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Reserve(canceled, "1", budget.Charge{Line: keyLine(100), Amount: 60}); err == nil {
		t.Error("Reserve with a canceled context: no error")
	}
}

// What could not be settled is settled later.
func TestSettleIsRepeatedAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, observer := &outages{Store: budget.NewMemory(0)}, &events{}
		l := newLedger(t, budget.Config{Store: store, Observer: observer})
		run(t, l)
		line := keyLine(100)
		h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 60})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := l.Reserve(t.Context(), "2", budget.Charge{Line: line, Amount: 20})
		if err != nil {
			t.Fatal(err)
		}
		store.down.Store(true)
		for name, err := range map[string]error{"Extend": h.Extend(t.Context(), 61), "Settle": h.Settle(t.Context(), 10), "SettleAll": whole.SettleAll(t.Context())} {
			if e, _ := refusal(t, err); e.Code.Status() != 503 || e.Reason != budget.ReasonUnavailable || !errors.Is(e, errDown) {
				t.Errorf("%s without the store = %v", name, e)
			}
		}
		time.Sleep(2 * time.Minute) // the hold has expired
		store.down.Store(false)
		time.Sleep(2 * time.Second)
		if got, want := state(t, l, line), [2]int64{30, 0}; got != want {
			t.Errorf("after the outage: spent, held = %v, want %v", got, want)
		}
		if got, want := observer.types(), []gatehouse.EventType{budget.EventUnsettled, budget.EventUnsettled}; !slices.Equal(got, want) {
			t.Errorf("events = %v, want %v", got, want)
		}
	})
}

// A call that was refused because the answer of the store was lost is not charged: the
// hold that the store has made is released. That of an ID which another call may have
// stays.
func TestLostAnswerIsNotCharged(t *testing.T) {
	for id, want := range map[string][2]int64{"": {}, "mine": {0, holdOf(t, model.ChatCompletions, chatStream, 50)}} {
		synctest.Test(t, func(t *testing.T) {
			store := &outages{Store: budget.NewMemory(0)}
			l := newLedger(t, budget.Config{Store: store})
			run(t, l)
			read := callOf(model.ChatCompletions, keyLine(1000))
			m, err := budget.NewMeter(budget.MeterConfig{Ledger: l, Call: func(r *http.Request) (budget.Call, error) {
				call, err := read(r)
				call.ID = id
				return call, err
			}})
			if err != nil {
				t.Fatal(err)
			}
			store.lossy.Store(true)
			_, err = m.Transport(roundTrip(func(*http.Request) (*http.Response, error) { panic("sent") })).RoundTrip(chatRequest(t))
			if e, _ := refusal(t, err); e.Code.Status() != 503 {
				t.Errorf("RoundTrip = %v, want 503", err)
			}
			time.Sleep(2 * time.Second)
			if got := state(t, l, keyLine(1000)); got != want {
				t.Errorf("ID %q: spent, held = %v, want %v", id, got, want)
			}
		})
	}
}

// blocking is an observer that blocks at the first event of a type.
type blocking struct {
	kind              gatehouse.EventType
	blocked, released chan struct{}
	seen              atomic.Bool
}

func (b *blocking) Observe(_ context.Context, e gatehouse.Event) error {
	if e.Type == b.kind && !b.seen.Swap(true) {
		close(b.blocked)
		<-b.released
	}
	return nil
}

// An observer that blocks delays neither the settlement that it observes nor other calls.
func TestObserverBlocksNoOtherCall(t *testing.T) {
	for kind, test := range map[gatehouse.EventType]struct {
		chunk, spends int64 // by the first call, of 60
		want          [2]int64
	}{
		budget.EventOverrun:    {0, 95, [2]int64{95, 5}},
		budget.EventThreshold:  {100, 60, [2]int64{60, 100}},
		budget.EventUnrecorded: {0, 60, [2]int64{}},
	} {
		synctest.Test(t, func(t *testing.T) {
			observer := &blocking{kind: kind, blocked: make(chan struct{}), released: make(chan struct{})}
			store := &outages{Store: budget.NewMemory(0)}
			l := newLedger(t, budget.Config{Store: store, Observer: observer, AllowUnrecorded: 100})
			line := chunkedLine(1000, test.chunk)
			if test.chunk > 0 {
				line.Warn = []float64{0.05}
				run(t, l)
			}
			store.down.Store(kind == budget.EventUnrecorded)
			ended := make(chan error, 1)
			go func() {
				h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 60})
				if err == nil {
					err = h.Settle(t.Context(), test.spends)
				}
				if err == nil && kind == budget.EventThreshold { // the first chunk is settled before another one is fetched
					_, err = l.Reserve(t.Context(), "2", budget.Charge{Line: line, Amount: 60})
				}
				ended <- err
			}()
			<-observer.blocked
			if _, err := l.Reserve(t.Context(), "3", budget.Charge{Line: line, Amount: 5}); err != nil {
				t.Errorf("Reserve while the observer of %s blocks: %v", kind, err)
			}
			store.down.Store(false)
			if got := state(t, l, line); got != test.want {
				t.Errorf("spent, held while the observer of %s blocks = %v, want %v", kind, got, test.want)
			}
			close(observer.released)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
