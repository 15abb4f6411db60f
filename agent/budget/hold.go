// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Hold is the amount of each budget that a call in progress may use. It is safe for
// concurrent use.
type Hold struct {
	// ID is the ID of the call.
	ID string

	// Replayed is true if an earlier Reserve created this hold: another request with the
	// same ID may be in progress.
	Replayed bool

	// Balances are the budgets after Reserve, in the order of account and window. It is
	// empty if the state is unknown: after a replay, and without the store.
	Balances []Balance

	random  bool // no other call can have the ID
	ledger  *Ledger
	plan    *plan
	parts   []*part // for each charge of plan, its part of a pool; nil if it has none
	direct  *plan   // the charges without a part
	entries []Entry // of direct
	at      time.Time
	counts  []Count

	mu         sync.Mutex
	deadline   time.Time // by the clock of this process, not later than the deadline in the store
	unrecorded bool
	settled    bool
}

func (h *Hold) balances() {
	if len(h.counts) != len(h.direct.charges) {
		return
	}
	h.Balances = make([]Balance, len(h.counts))
	for i := range h.Balances {
		h.Balances[i] = h.direct.charges[i].balance(h.at, h.counts[i])
	}
}

// Deadline returns the time at which the hold expires unless it is extended.
func (h *Hold) Deadline() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deadline
}

// merge returns one amount for each charge of the plan, from the amounts for the charges
// of the call.
func (h *Hold) merge(amounts []int64) ([]int64, error) {
	if len(amounts) != len(h.plan.index) {
		return nil, fmt.Errorf("budget: the call has %d charges and %d amounts", len(h.plan.index), len(amounts))
	}
	merged := make([]int64, len(h.plan.charges))
	for i, amount := range amounts {
		if amount < 0 || amount > MaxAmount {
			return nil, fmt.Errorf("budget: amount %d: must be from 0 to %d", amount, int64(MaxAmount))
		}
		merged[h.plan.index[i]] = max(merged[h.plan.index[i]], amount)
	}
	return merged, nil
}

// Extend sets the deadline of the hold to [Config.Hold] from now, and the amounts of the
// hold to amounts, in the order of the charges. Without amounts it changes only the
// deadline. Unlike Reserve it may use [Line.Spare]. The errors are those of
// [Ledger.Reserve]; after an error the amounts are unchanged, but the deadline may have
// changed.
func (h *Hold) Extend(ctx context.Context, amounts ...int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled {
		return invalid(errors.New("budget: the hold is settled"))
	}
	charges := make([]Charge, len(h.plan.charges))
	copy(charges, h.plan.charges)
	if len(amounts) > 0 {
		merged, err := h.merge(amounts)
		if err != nil {
			return invalid(err)
		}
		for i, amount := range merged {
			charges[i].Amount = amount
			charges[i].Floor = min(charges[i].Floor, amount)
		}
	}
	now := time.Now()
	if err := h.extend(ctx, charges); err != nil {
		if e, ok := errors.AsType[*gatehouse.Error](err); ok {
			return e
		}
		return unavailable(err)
	}
	h.plan.charges = charges
	h.deadline = now.Add(h.ledger.ttl)
	return nil
}

func (h *Hold) extend(ctx context.Context, charges []Charge) error {
	if h.unrecorded {
		return h.ledger.outage.extend(h.plan, charges)
	}
	for i := range charges {
		if part := partOf(h.parts, i); part != nil {
			if err := part.extend(ctx, h.ledger, &charges[i]); err != nil {
				return err
			}
		}
	}
	if len(h.direct.charges) == 0 {
		return nil
	}
	entries := make([]Entry, len(h.entries))
	copy(entries, h.entries)
	for i := range charges {
		n := h.direct.index[i]
		if n < 0 {
			continue
		}
		next := charges[i].entry(h.at)
		entries[n].Amount, entries[n].Floor, entries[n].Limit = next.Amount, next.Floor, charges[i].Line.Max
	}
	result, err := h.ledger.store.Extend(ctx, Reservation{Tenant: h.plan.tenant, ID: h.ID, TTL: h.ledger.ttl, Entries: entries})
	switch {
	case err != nil:
		return err
	case result.Outcome == Exceeded:
		c := h.direct.charges[result.Entry]
		c.Amount, c.Line.Spare = entries[result.Entry].Amount-h.entries[result.Entry].Amount, 0
		return h.ledger.exceeded(ctx, &c, result)
	case result.Outcome != Held:
		return fmt.Errorf("budget: store: outcome %q of Extend", result.Outcome)
	}
	h.entries = entries
	return nil
}

// Settle ends the hold and charges the amounts that the call has used, in the order of
// the charges. Amounts above the hold are charged in full. A second Settle does nothing.
//
// It continues if ctx is canceled, so it can run after the client has disconnected. If
// the store is unavailable, Settle returns an error and [Ledger.Run] retries; until the
// retry succeeds or the hold expires, the whole hold counts.
func (h *Hold) Settle(ctx context.Context, amounts ...int64) error {
	return h.settle(ctx, func() ([]int64, error) { return h.merge(amounts) })
}

// SettleAll charges the whole hold.
func (h *Hold) SettleAll(ctx context.Context) error {
	return h.settle(ctx, func() ([]int64, error) {
		used := make([]int64, len(h.plan.charges))
		for i := range used {
			used[i] = h.plan.charges[i].Amount
		}
		return used, nil
	})
}

// settle settles the hold with the result of amounts. It calls amounts with the lock
// held, because Extend changes the charges.
func (h *Hold) settle(ctx context.Context, amounts func() ([]int64, error)) error {
	h.mu.Lock()
	used, err := amounts()
	settled := h.settled
	h.settled = settled || err == nil // later calls do not change the hold
	h.mu.Unlock()
	if err != nil {
		return invalid(err)
	}
	if settled {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	defer h.overrun(ctx, used) // after the settlement: an observer that blocks must not delay it
	if h.unrecorded {
		h.ledger.recordLater(h.plan, used)
		return nil
	}
	for i := range used {
		if part := partOf(h.parts, i); part != nil {
			part.settle(ctx, h.ledger, used[i])
		}
	}
	if len(h.direct.charges) == 0 {
		return nil
	}
	direct := make([]int64, len(h.direct.charges))
	for i, n := range h.direct.index {
		if n >= 0 {
			direct[n] = used[i]
		}
	}
	settle := func(ctx context.Context) error {
		return h.ledger.settle(ctx, h.plan.tenant, h.ID, h.direct.charges, direct)
	}
	if err := settle(ctx); err != nil {
		h.ledger.later(settle)
		h.ledger.report(ctx, EventUnsettled, slog.LevelError, h.direct.charges[0].balance(time.Now(), Count{}), slog.Int64("used", direct[0]))
		return unavailable(err)
	}
	return nil
}

// overrun reports each charge whose use exceeds the hold.
func (h *Hold) overrun(ctx context.Context, used []int64) {
	for i := range used {
		if c := &h.plan.charges[i]; used[i] > c.Amount {
			h.ledger.report(ctx, EventOverrun, slog.LevelWarn, c.balance(time.Now(), Count{}), slog.Int64("hold", c.Amount), slog.Int64("used", used[i]))
		}
	}
}

// release frees the parts of a call that was not admitted.
func (h *Hold) release(ctx context.Context) {
	for _, part := range h.parts {
		if part != nil {
			part.settle(context.WithoutCancel(ctx), h.ledger, 0)
		}
	}
	h.parts = nil
}
