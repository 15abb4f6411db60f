// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultHold = time.Minute
	minHold     = 10 * time.Millisecond
	maxHold     = 24 * time.Hour

	// retryBusy is the Retry-After of a refusal because of calls in progress.
	retryBusy = 2 * time.Second
)

// Config configures a [Ledger].
type Config struct {
	// Store keeps the counters. Required.
	Store Store

	// Hold is the time after which a hold expires unless it is extended, from 10 ms to
	// 24 h. 1 min if zero.
	Hold time.Duration

	// Nodes is the number of processes that use the store: see [Line.Chunk]. 1 if zero.
	Nodes int

	// AllowUnrecorded is the amount that this process admits for each budget while the
	// store is unavailable. The event [EventUnrecorded] reports each such call. Zero
	// refuses such calls with 503. Every process admits this amount, so in one outage a
	// budget can be exceeded by AllowUnrecorded times the number of processes. The ledger
	// records the calls when the store is available again; if the process ends before,
	// they are lost.
	AllowUnrecorded int64

	// Observer receives the events. Optional. Its errors have no effect on the calls.
	Observer gatehouse.Observer
}

// Ledger divides budgets between calls. It is safe for concurrent use.
//
// Whenever a call is admitted, the spent and held amounts of every budget and window are
// together at most the limit, with any number of processes. A call that uses more than
// its hold can exceed the limit, by at most the difference. For two more cases see
// [Charge.Floor] and [Config.AllowUnrecorded].
type Ledger struct {
	store    Store
	ttl      time.Duration
	nodes    int64
	observer gatehouse.Observer
	outage   outage
	pools    pools
	running  atomic.Int64 // calls of Run
	skew     atomic.Int64 // of the clock of the store, in nanoseconds, by its last response

	mu      sync.Mutex
	pending []func(context.Context) error // changes that the store has not accepted
}

// New returns a ledger, or an error that names every invalid field. It does not call
// the store.
func New(config Config) (*Ledger, error) {
	l := &Ledger{store: config.Store, ttl: config.Hold, nodes: int64(config.Nodes), observer: config.Observer}
	l.outage.allowed = config.AllowUnrecorded
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("budget: Config."+format, args...)) }
	if typednil.Is(l.store) {
		fail("Store: required")
	}
	if l.observer != nil && typednil.Is(l.observer) {
		fail("Observer: is a nil %T", l.observer)
	}
	if l.ttl == 0 {
		l.ttl = defaultHold
	}
	if l.ttl < minHold || l.ttl > maxHold {
		fail("Hold: %v: must be from %v to %v", l.ttl, minHold, maxHold)
	}
	if l.nodes == 0 {
		l.nodes = 1
	}
	if l.nodes < 1 || l.nodes > 1_000_000 {
		fail("Nodes: %d: must be from 1 to 1,000,000", l.nodes)
	}
	if l.outage.allowed < 0 || l.outage.allowed > MaxAmount {
		fail("AllowUnrecorded: %d: must be from 0 to %d", l.outage.allowed, int64(MaxAmount))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// Reserve holds the worst case of a call in all its budgets, or in none of them, and
// returns the hold. Every hold must be settled. If a hold is not settled, for example
// because the process dies, it expires after [Config.Hold], and its budgets are charged
// the Floor.
//
// The id identifies the call within its tenant, and has 1 to 256 bytes. A second Reserve
// with an id and the same charges returns the hold of the first one, with Replayed set. A
// call can have up to 64 charges, all of one tenant. Two charges to the same account,
// unit and window count once, with the smaller limit.
//
// The error is a [*gatehouse.Error]: of [CodeExceeded] or [CodeExhausted] with an
// [*ExceededError] as its Cause; of [CodeReplayed] if the call has ended or had
// other charges; and of status 503 if the store is unavailable.
func (l *Ledger) Reserve(ctx context.Context, id string, charges ...Charge) (*Hold, error) {
	return l.hold(ctx, id, false, charges)
}

// hold implements Reserve. random is true if no other call can have the ID.
func (l *Ledger) hold(ctx context.Context, id string, random bool, charges []Charge) (*Hold, error) {
	p, err := newPlan(charges)
	if err != nil {
		return nil, invalid(err)
	}
	if id == "" || !text.IsClean(id, 256) {
		return nil, invalid(errors.New("budget: the ID of a call must be UTF-8 without control characters, of 1 to 256 bytes"))
	}
	now := time.Now()
	for i := range p.charges {
		if c := &p.charges[i]; c.Amount > c.Line.Max-c.Line.Spare {
			return nil, &gatehouse.Error{
				Code: CodeExceeded, Reason: ReasonTooLarge,
				Cause: &ExceededError{Balance: c.balance(now, Count{}), Amount: c.Amount, Never: true},
			}
		}
	}
	h := &Hold{ID: id, random: random, ledger: l, plan: p}
	if err := l.reserve(ctx, h, now); err != nil {
		return nil, err
	}
	return h, nil
}

// reserve reserves the charges that the pools of this process do not cover.
func (l *Ledger) reserve(ctx context.Context, h *Hold, now time.Time) error {
	parts, err := l.pools.take(ctx, l, h.plan)
	if err != nil {
		return l.failed(ctx, h, err)
	}
	h.parts = parts
	h.deadline = now.Add(l.ttl)
	h.direct = h.plan.without(parts)
	if len(h.direct.charges) == 0 {
		h.balances()
		return nil
	}
	if err := l.reserveDirect(ctx, h, now); err != nil {
		h.release(ctx)
		l.abandon(h, err)
		return l.failed(ctx, h, err)
	}
	h.balances()
	return nil
}

// reserveDirect reserves in the store. The clock of the store selects the window: if the
// clock of this process has selected another one, reserveDirect tries again.
func (l *Ledger) reserveDirect(ctx context.Context, h *Hold, now time.Time) error {
	at := l.clock(now)
	for range 3 {
		h.entries = h.direct.entries(at)
		result, err := l.store.Reserve(ctx, Reservation{Tenant: h.plan.tenant, ID: h.ID, TTL: l.ttl, Entries: h.entries})
		if err != nil {
			return err
		}
		switch result.Outcome {
		case Held:
			h.Replayed, h.at, h.counts = result.Replayed, result.At, result.Counts
			return nil
		case Moved:
			at = result.At
			l.skew.Store(int64(at.Sub(now)))
		case Exceeded:
			return l.exceeded(ctx, &h.direct.charges[result.Entry], result)
		case Settled, Expired, Differs:
			return &gatehouse.Error{Code: CodeReplayed, Reason: ReasonReplayed, Cause: fmt.Errorf("budget: the ID of the call is that of a call that %s", endings[result.Outcome])}
		default:
			return fmt.Errorf("budget: store: outcome %q of Reserve", result.Outcome)
		}
	}
	return errors.New("budget: store: its clock does not advance steadily")
}

// clock returns the time of the store, estimated from its last response.
func (l *Ledger) clock(now time.Time) time.Time { return now.Add(time.Duration(l.skew.Load())) }

var endings = map[Outcome]string{Settled: "has ended", Expired: "has expired", Differs: "has other charges"}

// failed returns the error for a call that was not reserved. It admits the call if
// the store is unavailable and [Config.AllowUnrecorded] covers it.
func (l *Ledger) failed(ctx context.Context, h *Hold, err error) error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	if ctx.Err() == nil && l.admitUnrecorded(ctx, h) {
		return nil
	}
	return unavailable(err)
}

func unavailable(err error) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonUnavailable, Cause: err}
}
