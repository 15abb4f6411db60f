// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	// maxPending limits the changes that wait for the store.
	maxPending = 10_000
	// maxAbandoned limits the changes that wait for the store for a release to be added.
	maxAbandoned = 1_000
	// maxUnrecorded limits the accounts with calls that were admitted without the store.
	maxUnrecorded = 10_000

	sweepInterval = time.Second
	sweepLimit    = 1_000
)

// outage records the amounts that this process has admitted while the store was
// unavailable.
type outage struct {
	allowed int64

	mu   sync.Mutex
	used map[seriesKey]int64
}

// admitUnrecorded admits a call without the store, within [Config.AllowUnrecorded].
func (l *Ledger) admitUnrecorded(ctx context.Context, h *Hold) bool {
	o := &l.outage
	if o.allowed == 0 || l.waits(maxPending) {
		return false
	}
	left, ok := o.admit(h.plan)
	if !ok {
		return false
	}
	h.unrecorded, h.deadline = true, time.Now().Add(l.ttl)
	c := &h.plan.charges[0]
	l.report(ctx, EventUnrecorded, slog.LevelError, c.balance(time.Now(), Count{}), slog.Int64("hold", c.Amount), slog.Int64("left", left))
	return true
}

// admit admits a call, and returns the rest of the allowed amount.
func (o *outage) admit(p *plan) (left int64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.used)+len(p.charges) > maxUnrecorded {
		return 0, false
	}
	left = o.allowed
	for i := range p.charges {
		c := &p.charges[i]
		after := o.used[c.series()] + c.Amount
		if after > min(o.allowed, c.Line.Max) {
			return 0, false
		}
		left = min(left, o.allowed-after)
	}
	if o.used == nil {
		o.used = make(map[seriesKey]int64)
	}
	for i := range p.charges {
		o.used[p.charges[i].series()] += p.charges[i].Amount
	}
	return left, true
}

func (c *Charge) series() seriesKey {
	return seriesKey{c.Line.Account.Tenant, c.Line.account(), c.Line.Window.String()}
}

// extend extends a call that was admitted without the store.
func (o *outage) extend(p *plan, charges []Charge) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range charges {
		if o.used[charges[i].series()]+charges[i].Amount-p.charges[i].Amount > o.allowed {
			return errors.New("budget: the store is unavailable, and Config.AllowUnrecorded is used up")
		}
	}
	for i := range charges {
		o.used[charges[i].series()] += charges[i].Amount - p.charges[i].Amount
	}
	return nil
}

// recordLater charges a call that was admitted without the store. The charge is made when
// the store is available again, in the windows of that time.
func (l *Ledger) recordLater(p *plan, used []int64) {
	l.outage.mu.Lock()
	for i := range used {
		l.outage.used[p.charges[i].series()] += used[i] - p.charges[i].Amount
	}
	l.outage.mu.Unlock()
	id := "unrecorded-" + rand.Text()
	rest := &plan{tenant: p.tenant}
	for _, c := range p.charges {
		c.Amount, c.Floor = 0, 0
		rest.charges = append(rest.charges, c)
	}
	l.later(func(ctx context.Context) error {
		h := &Hold{ID: id, ledger: l, plan: rest, direct: rest}
		err := l.reserveDirect(ctx, h, time.Now())
		if e, ok := errors.AsType[*gatehouse.Error](err); err != nil && (!ok || e.Code != CodeReplayed) {
			return err // Replayed: an earlier attempt reached the store
		}
		if err := l.settle(ctx, p.tenant, id, rest.charges, used); err != nil {
			return err
		}
		l.outage.mu.Lock()
		defer l.outage.mu.Unlock()
		for i := range used {
			key := p.charges[i].series()
			if l.outage.used[key] -= used[i]; l.outage.used[key] <= 0 {
				delete(l.outage.used, key)
			}
		}
		return nil
	})
}

// later queues a change that the store has not accepted, for Run.
func (l *Ledger) later(change func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) < maxPending {
		l.pending = append(l.pending, change)
	}
}

// waits reports whether at least n changes wait for the store.
func (l *Ledger) waits(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) >= n
}

// abandon queues the release of a hold that the store may have recorded although it
// returned an error: the call was refused, or is recorded with another ID. It does
// nothing if the ID is not random, because the hold may be that of another call.
func (l *Ledger) abandon(h *Hold, err error) {
	if _, refused := errors.AsType[*gatehouse.Error](err); refused || !h.random || l.waits(maxAbandoned) {
		return
	}
	tenant, id, charges := h.plan.tenant, h.ID, h.direct.charges
	l.later(func(ctx context.Context) error {
		return l.settle(ctx, tenant, id, charges, make([]int64, len(charges)))
	})
}

// retry makes the queued changes until one fails. It moves that one to the end, so that a
// change that always fails does not block the others.
func (l *Ledger) retry(ctx context.Context) error {
	for {
		l.mu.Lock()
		if len(l.pending) == 0 {
			l.mu.Unlock()
			return nil
		}
		change := l.pending[0]
		l.mu.Unlock()
		err := change(ctx)
		l.mu.Lock()
		l.pending = l.pending[1:]
		if err != nil {
			l.pending = append(l.pending, change)
		}
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// Run expires holds whose deadline has passed, settles the calls that were not settled
// while the store was unavailable, and renews the chunks of [Line.Chunk], until ctx is
// canceled. Then it settles the chunks of this process and returns nil. Call it once in
// each process, and wait for it before the process ends.
//
// Without Run, budgets are still not exceeded: a hold whose deadline has passed never
// counts as held.
func (l *Ledger) Run(ctx context.Context) error {
	l.running.Add(1)
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.pools.idle(ctx, l, false)
			_ = l.retry(ctx) // the next call retries what remains
			_, _ = l.store.Sweep(ctx, sweepLimit)
		case <-ctx.Done():
			l.running.Add(-1)
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			l.pools.idle(end, l, true)
			return l.retry(end)
		}
	}
}
