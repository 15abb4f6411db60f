// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"errors"
	"log/slog"
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

// store is a store in memory that counts its calls, can be down, and can answer otherwise
// than it should.
type store struct {
	budget.Store
	down         atomic.Bool
	calls, swept atomic.Int64
	before       func()                                 // called before each call if it is set
	ahead        time.Duration                          // the clock of Read and List
	more         []budget.Counter                       // of Read and List
	reserve      func(budget.Reservation) budget.Result // answers Reserve if it is set
	mu           sync.Mutex
	reserved     []budget.Reservation // by Reserve and Extend
	faults       []string             // of the next calls: "Reserve fails", "Reserve is lost" after it is done, or of Settle
}

var errDown = errors.New("connection refused")

func newStore() *store { return &store{Store: budget.NewMemory(0)} }

// call counts a call, and returns an error if the store is down.
func (s *store) call(r ...budget.Reservation) error {
	if s.before != nil {
		s.before()
	}
	s.calls.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved = append(s.reserved, r...)
	if s.down.Load() {
		return errDown
	}
	return nil
}

// next sets the faults of the next calls.
func (s *store) next(faults ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
}

// fault reports whether a fault is the next one.
func (s *store) fault(fault string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := len(s.faults) > 0 && s.faults[0] == fault
	if is {
		s.faults = s.faults[1:]
	}
	return is
}

func (s *store) Reserve(ctx context.Context, r budget.Reservation) (result budget.Result, err error) {
	if err := s.call(r); err != nil || s.fault("Reserve fails") {
		return result, errDown
	}
	if s.reserve != nil {
		return s.reserve(r), nil
	}
	if result, err = s.Store.Reserve(ctx, r); s.fault("Reserve is lost") {
		return budget.Result{}, errDown
	}
	return result, err
}

func (s *store) Extend(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	if err := s.call(r); err != nil {
		return budget.Result{}, err
	}
	return s.Store.Extend(ctx, r)
}

func (s *store) Settle(ctx context.Context, tenant, id string, amounts []int64) (result budget.Result, err error) {
	if err := s.call(); err != nil || s.fault("Settle fails") {
		return result, errDown
	}
	if s.fault("Settle differs") {
		return budget.Result{Outcome: budget.Differs}, nil
	}
	if result, err = s.Store.Settle(ctx, tenant, id, amounts); s.fault("Settle is lost") {
		return budget.Result{}, errDown
	}
	return result, err
}

func (s *store) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	if err := s.call(); err != nil {
		return nil, time.Time{}, err
	}
	counters, now, err := s.Store.Read(ctx, tenant, account, window, since)
	return append(counters, s.more...), now.Add(s.ahead), err
}

func (s *store) List(ctx context.Context, tenant string, limit int) ([]budget.Counter, time.Time, error) {
	if err := s.call(); err != nil {
		return nil, time.Time{}, err
	}
	counters, now, err := s.Store.List(ctx, tenant, limit)
	return append(counters, s.more...), now.Add(s.ahead), err
}

func (s *store) Sweep(ctx context.Context, limit int) (int, error) {
	s.swept.Add(1)
	return s.Store.Sweep(ctx, limit)
}

// events records events.
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

// run runs the ledger until stop is called or the test ends.
func run(t *testing.T, l *budget.Ledger) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	t.Cleanup(stop)
	synctest.Wait()
	return stop
}

// A call is admitted without the store up to the configured amount, is reported, and
// is recorded when the store is available again.
func TestUnrecordedCallsAreBoundedAndRecordedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, observer := newStore(), &events{}
		l := newLedger(t, budget.Config{Store: store, AllowUnrecorded: 50, Observer: observer})
		run(t, l)
		line := keyLine(100)
		_, err := l.Reserve(t.Context(), "0", charge(tenantLine(9), 10))
		refused(t, "Reserve above a limit while the store is available", err, 403, budget.ReasonTooLarge)
		reserve(t, l, "full", charge(tenantLine(9), 9))
		_, err = l.Reserve(t.Context(), "0", charge(tenantLine(9), 1))
		refused(t, "Reserve without capacity while the store is available", err, 429, budget.ReasonBusy)
		store.down.Store(true)
		h := reserve(t, l, "1", charge(line, 30))
		if got, want := observer.all[0].Attrs[7:], []slog.Attr{slog.Int64("hold", 30), slog.Int64("left", 20)}; !slices.EqualFunc(got, want, slog.Attr.Equal) {
			t.Errorf("attributes of the event = %v, want %v", got, want)
		}
		if left := time.Until(h.Deadline()); left != time.Minute {
			t.Errorf("the hold expires after %v, want 1m", left)
		}
		refused(t, "Extend above AllowUnrecorded", h.Extend(t.Context(), 51), 503, budget.ReasonUnavailable)
		noError(t, h.Extend(t.Context(), 40))
		_, err = l.Reserve(t.Context(), "2", charge(line, 11))
		refused(t, "Reserve above AllowUnrecorded", err, 503, budget.ReasonUnavailable)
		noError(t, h.Settle(t.Context(), 25))
		noError(t, reserve(t, l, "3", charge(line, 25)).Settle(t.Context(), 24)) // the rest of AllowUnrecorded
		// What was used is recorded also if it does not fit any more.
		reserve(t, newLedger(t, budget.Config{Store: store.Store, Hold: 24 * time.Hour}), "other", charge(line, 90))
		time.Sleep(time.Hour) // the windows may have changed
		store.next("Reserve fails", "Reserve is lost", "Settle fails", "Settle differs", "Settle is lost")
		store.down.Store(false)
		time.Sleep(10 * time.Second)
		expect(t, "after the outage", l, line, 49, 90)
		if got, want := observer.types(), []gatehouse.EventType{budget.EventUnrecorded, budget.EventUnrecorded}; !slices.Equal(got, want) {
			t.Errorf("events = %v, want %v", got, want)
		}
		store.down.Store(true)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.Reserve(canceled, "4", charge(line, 1)) // a caller that has hung up is not an unavailable store
		refused(t, "Reserve with a canceled context", err, 503, budget.ReasonUnavailable)
		reserve(t, l, "5", charge(line, 50))
		other := keyLine(100)
		other.Account.Tenant = "other"
		reserve(t, l, "of another tenant", charge(other, 50))
		small := chunkedLine(20, 20)
		noError(t, reserve(t, l, "6", charge(small, 15)).Extend(t.Context(), 16))
		_, err = l.Reserve(t.Context(), "7", charge(small, 15))
		refused(t, "Reserve above the limit of the budget", err, 503, budget.ReasonUnavailable)
	})
}

// A call of several budgets is admitted without the store if all of them allow it, and
// counts in all of them or, if it is refused, in none.
func TestUnrecordedCallsOfSeveralBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, observer := newStore(), &events{}
		l := newLedger(t, budget.Config{Store: store, AllowUnrecorded: 50, Observer: observer})
		run(t, l)
		lines := []budget.Line{keyLine(100), tenantLine(100), tenantLine(100)} // in the order of the plan
		lines[2].Account.Per = "user"
		charges := func(amounts ...int64) (all []budget.Charge) {
			for i, amount := range amounts {
				all = append(all, budget.Charge{Line: lines[i], Amount: amount, Floor: 1})
			}
			return all
		}
		store.down.Store(true)
		h := reserve(t, l, "1", charges(30, 40, 35)...)
		if got, want := observer.all[0].Attrs[8], slog.Int64("left", 10); !got.Equal(want) {
			t.Errorf("attribute of the event = %v, want %v", got, want)
		}
		_, err := l.Reserve(t.Context(), "2", charges(1, 1, 16)...)
		refused(t, "Reserve above AllowUnrecorded of the last budget", err, 503, budget.ReasonUnavailable)
		refused(t, "Extend above AllowUnrecorded of the last budget", h.Extend(t.Context(), 31, 41, 51), 503, budget.ReasonUnavailable)
		noError(t, h.Extend(t.Context(), 50, 50, 50))
		for i := range lines {
			_, err := l.Reserve(t.Context(), "3", charges(1, 1, 1)[i])
			refused(t, "Reserve of one more of "+lines[i].Account.Per, err, 503, budget.ReasonUnavailable)
		}
		noError(t, h.Settle(t.Context(), 20, 30, 40))
		noError(t, reserve(t, l, "4", charges(30, 20, 10)...).Settle(t.Context(), 3, 2, 1))
		store.down.Store(false)
		time.Sleep(2 * time.Second)
		for i, spent := range []int64{23, 32, 41} {
			expect(t, "after the outage", l, lines[i], spent, 0)
			if e := store.reserved[len(store.reserved)-1].Entries[i]; e.Amount != 0 || e.Floor != 0 { // the limit may be reached
				t.Errorf("the call is recorded with the amount %d and the floor %d, want 0", e.Amount, e.Floor)
			}
		}
		store.down.Store(true)
		reserve(t, l, "5", charges(50, 50, 50)...)
	})
}

// What could not be settled is settled later.
func TestSettleIsRepeatedAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, observer := newStore(), &events{}
		l := newLedger(t, budget.Config{Store: store, Observer: observer})
		run(t, l)
		line := keyLine(100)
		chunked := chunkedLine(1000, 100)
		chunked.Account.Per = "a" // the first in the order of the plan
		h, whole, part := reserve(t, l, "1", charge(chunked, 7), charge(line, 60)), reserve(t, l, "2", charge(line, 20)), reserve(t, l, "part", charge(chunked, 100))
		store.down.Store(true)
		_, reserved := l.Reserve(t.Context(), "3", charge(line, 0))
		_, chunk := l.Reserve(t.Context(), "4", charge(chunked, 1))
		_, usage := l.Usage(t.Context(), line)
		_, tenant := l.Tenant(t.Context(), "acme")
		for name, err := range map[string]error{
			"Reserve": reserved, "Reserve of a chunk": chunk, "Extend of a chunk": part.Extend(t.Context(), 101), "Usage": usage, "Tenant": tenant,
			"Extend": h.Extend(t.Context(), 7, 61), "Settle": h.Settle(t.Context(), 5, 10), "SettleAll": whole.SettleAll(t.Context()),
		} {
			if refused(t, name+" without the store", err, 503, budget.ReasonUnavailable); !errors.Is(err, errDown) {
				t.Errorf("%s without the store = %v, want %v", name, err, errDown)
			}
		}
		time.Sleep(2 * time.Minute) // the hold has expired
		store.down.Store(false)
		time.Sleep(2 * time.Second)
		expect(t, "after the outage", l, line, 30, 0)
		if got, want := observer.types(), []gatehouse.EventType{budget.EventUnsettled, budget.EventUnsettled}; !slices.Equal(got, want) {
			t.Errorf("events = %v, want %v", got, want)
		}
		if got := observer.all[0].Attrs; got[0].Value.String() != "key" || got[7].Value.Int64() != 10 {
			t.Errorf("attributes of the event = %v, want those of the key, of which 10 were used", got)
		}
	})
}

// A call that was refused because the answer of the store was lost is not charged: the
// hold that the store has made is released. That of an ID which another call may have
// stays.
func TestLostAnswerIsNotCharged(t *testing.T) {
	for id, held := range map[string]int64{"": 0, "mine": holdOf(t, model.ChatCompletions, chatStream, 50)} {
		synctest.Test(t, func(t *testing.T) {
			store := newStore()
			l := newLedger(t, budget.Config{Store: store})
			run(t, l)
			chunked := chunkedLine(100_000, 1000)
			reserve(t, l, "chunk", charge(chunked, 1)) // the call takes a part of it
			m := newMeter(t, l, model.ChatCompletions, func(c *budget.Call) { c.ID, c.Lines = id, append(c.Lines, chunked) })
			store.next("Reserve is lost", "Settle fails")
			_, err := m.Transport(roundTrip(func(*http.Request) (*http.Response, error) { panic("sent") })).RoundTrip(chatRequest(t))
			refused(t, "RoundTrip", err, 503, budget.ReasonUnavailable)
			time.Sleep(3 * time.Second)
			expect(t, "with the ID "+id, l, keyLine(1000), 0, held)
		})
	}
}

// An observer that blocks delays neither the settlement that it observes nor other calls.
func TestObserverBlocksNoOtherCall(t *testing.T) {
	for kind, test := range map[gatehouse.EventType]struct {
		chunk, spends int64 // by the first call, of 60
		spent, held   int64
		events        int64
	}{
		budget.EventOverrun:    {0, 95, 95, 5, 1},
		budget.EventThreshold:  {100, 60, 60, 100, 1},
		budget.EventUnrecorded: {0, 60, 0, 0, 2},
		budget.EventUnsettled:  {0, 60, 60, 5, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var seen atomic.Int64
			blocked, released := make(chan struct{}), make(chan struct{})
			observer := gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
				if e.Type == kind && seen.Add(1) == 1 {
					close(blocked)
					<-released
				}
				return nil
			})
			store := newStore()
			l := newLedger(t, budget.Config{Store: store, Observer: observer, AllowUnrecorded: 100})
			line := chunkedLine(1000, test.chunk)
			if test.chunk > 0 {
				line.Warn = []float64{0.05}
			}
			if kind != budget.EventUnrecorded {
				run(t, l)
			}
			store.down.Store(kind == budget.EventUnrecorded)
			ended := make(chan error, 1)
			go func() {
				h, err := l.Reserve(t.Context(), "1", charge(line, 60))
				store.down.Store(kind == budget.EventUnrecorded || kind == budget.EventUnsettled)
				if err == nil {
					err = h.Settle(t.Context(), test.spends)
				}
				if kind == budget.EventUnsettled {
					err = nil // Run settles it
				}
				if err == nil && kind == budget.EventThreshold { // the first chunk is settled before another one is fetched
					_, err = l.Reserve(t.Context(), "2", charge(line, 60))
				}
				ended <- err
			}()
			<-blocked
			store.down.Store(kind == budget.EventUnrecorded)
			reserve(t, l, "3", charge(line, 5))
			store.down.Store(false)
			if kind == budget.EventUnsettled {
				time.Sleep(2 * time.Second)
			}
			expect(t, "while the observer of "+string(kind)+" blocks", l, line, test.spent, test.held)
			close(released)
			noError(t, <-ended)
			if n := seen.Load(); n != test.events {
				t.Errorf("%d events %s, want %d", n, kind, test.events)
			}
		})
	}
}
