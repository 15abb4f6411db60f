// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

const defaultMemoryHolds = 100_000

// Memory is a [Store] for one process. Its counters are lost when the process ends, and
// with several processes each has its own budgets. Use it for tests and development. It
// is safe for concurrent use.
//
// The size of Memory is bounded: if it is full, calls return an error, and the response
// is 503.
type Memory struct {
	mu     sync.Mutex
	holds  expiring.Map[holdKey, struct{}, *hold]
	series expiring.Map[seriesKey, string, *series]
}

var _ Store = (*Memory)(nil)

type holdKey struct{ tenant, id string }

// hold is a hold. Its Outcome is its state.
type hold struct {
	Result
	entries []Entry
	due     time.Time // when the hold expires or is removed
}

type seriesKey struct{ tenant, account, window string }

// series are the counters of an account and window, in the order of their start.
type series struct {
	tenant   string
	keep     time.Time
	counters []Counter
}

// NewMemory returns an empty store of at most limit holds and as many accounts,
// 100,000 if limit is not positive.
func NewMemory(limit int) *Memory {
	if limit <= 0 {
		limit = defaultMemoryHolds
	}
	m := &Memory{}
	m.holds.Limit, m.series.Limit = limit, limit
	m.holds.Expires = func(h **hold) time.Time { return (*h).due }
	m.series.Expires = func(s **series) time.Time { return (*s).keep }
	m.series.Group = func(s **series) string { return (*s).tenant }
	return m
}

// lock locks the store and expires all holds that are due.
func (m *Memory) lock(ctx context.Context) (now time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return now, err
	}
	m.mu.Lock()
	now = expiring.Now()
	m.sweep(now, -1)
	return now, nil
}

// sweep expires up to limit due holds, all if limit is negative.
func (m *Memory) sweep(now time.Time, limit int) (expired int) {
	for {
		key, h, ok := m.holds.First()
		if !ok || h.due.After(now) || expired == limit {
			return expired
		}
		if h.Outcome != Held {
			m.holds.Delete(key)
			continue
		}
		charged := make([]int64, len(h.entries))
		for i, e := range h.entries {
			charged[i] = e.Floor
			m.move(key.tenant, &e, charged[i], -e.Amount, false)
		}
		m.end(key, h, Expired, charged, now)
		expired++
	}
}

// end ends a hold.
func (m *Memory) end(key holdKey, h *hold, state Outcome, charged []int64, now time.Time) {
	ended := *h
	ended.Outcome, ended.Deadline, ended.Charged, ended.due = state, time.Time{}, charged, now.Add(Retention)
	m.holds.Cache(key, &ended)
}

// move changes the counter of an entry, and creates it if it is missing. If latest is
// true, the counter takes Max and End from the entry. It returns the new values.
func (m *Memory) move(tenant string, e *Entry, spent, held int64, latest bool) Count {
	key := seriesKey{tenant, e.Account, e.Window}
	s, ok := m.series.Get(key)
	if !ok {
		s = &series{tenant: tenant}
	}
	at, found := slices.BinarySearchFunc(s.counters, e.Start, func(c Counter, start time.Time) int { return c.Start.Compare(start) })
	if !found {
		s.counters = slices.Insert(s.counters, at, Counter{Account: e.Account, Window: e.Window, Start: e.Start, End: e.End})
	}
	c := &s.counters[at]
	if latest {
		c.Max, c.End = e.Max, e.End
	}
	c.Spent = min(max(c.Spent+spent, 0), MaxAmount)
	c.Held += held
	count := c.Count
	if keep := c.End.Add(CounterRetention); !ok || keep.After(s.keep) {
		s.keep = keep
		m.series.Cache(key, s) // there is capacity: see full
	}
	return count
}

// count returns the sum of all counters that count for an entry.
func (m *Memory) count(tenant string, e *Entry) (sum Count) {
	s, _ := m.series.Get(seriesKey{tenant, e.Account, e.Window})
	if s == nil {
		return sum
	}
	for _, c := range s.counters {
		if c.Start.Equal(e.Start) || e.Since.Before(e.Start) && !c.Start.Before(e.Since) {
			sum.Spent += c.Spent
			sum.Held += c.Held
		}
	}
	return sum
}

// Reserve implements [Store].
func (m *Memory) Reserve(ctx context.Context, r Reservation) (Result, error) {
	now, err := m.lock(ctx)
	if err != nil {
		return Result{}, err
	}
	defer m.mu.Unlock()
	key := holdKey{r.Tenant, r.ID}
	if h, ok := m.holds.Get(key); ok {
		if !slices.EqualFunc(h.entries, r.Entries, func(a, b Entry) bool { return same(&a, &b) && a.Amount == b.Amount }) {
			return Result{Outcome: Differs, Replayed: true, At: now}, nil
		}
		return h.answer(now, true), nil
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		if now.Before(e.Start) || !now.Before(e.Next) {
			return Result{Outcome: Moved, At: now}, nil
		}
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		if c := m.count(r.Tenant, e); e.Amount > 0 && c.Spent+c.Held+e.Amount > e.Limit {
			return Result{Outcome: Exceeded, Entry: i, At: now, Counts: []Count{c}}, nil
		}
	}
	if err := m.full(r, now); err != nil {
		return Result{}, err
	}
	h := &hold{Result: Result{Outcome: Held, Deadline: now.Add(r.TTL)}, entries: slices.Clone(r.Entries)}
	h.due = h.Deadline
	m.holds.Cache(key, h)
	result := h.answer(now, false)
	for i := range r.Entries {
		m.move(r.Tenant, &r.Entries[i], 0, r.Entries[i].Amount, true)
		result.Counts = append(result.Counts, m.count(r.Tenant, &r.Entries[i]))
	}
	return result, nil
}

// full returns an error if there is no capacity for a reservation. A hold that has not
// ended is never evicted.
func (m *Memory) full(r Reservation, now time.Time) error {
	if m.holds.Len() >= m.holds.Limit {
		return expiring.ErrFull
	}
	for key, s, ok := m.series.First(); ok && !s.keep.After(now); key, s, ok = m.series.First() {
		m.series.Delete(key)
	}
	accounts := m.series.Len()
	for _, e := range r.Entries {
		if s, ok := m.series.Get(seriesKey{r.Tenant, e.Account, e.Window}); ok {
			s.counters = slices.DeleteFunc(s.counters, func(c Counter) bool { return !c.End.Add(CounterRetention).After(now) })
		} else {
			accounts++
		}
	}
	if accounts > m.series.Limit {
		return expiring.ErrFull
	}
	return nil
}

// same reports whether two entries belong to the same counter.
func same(a, b *Entry) bool {
	return a.Account == b.Account && a.Window == b.Window && a.Start.Equal(b.Start)
}

// answer returns the state of a hold.
func (h *hold) answer(now time.Time, replayed bool) Result {
	r := h.Result
	r.At, r.Replayed, r.Charged = now, replayed, slices.Clone(h.Charged)
	return r
}

// Extend implements [Store].
func (m *Memory) Extend(ctx context.Context, r Reservation) (Result, error) {
	now, err := m.lock(ctx)
	if err != nil {
		return Result{}, err
	}
	defer m.mu.Unlock()
	key := holdKey{r.Tenant, r.ID}
	h, ok := m.holds.Get(key)
	switch {
	case !ok:
		return Result{Outcome: Absent, At: now}, nil
	case !slices.EqualFunc(h.entries, r.Entries, func(a, b Entry) bool { return same(&a, &b) }):
		return Result{Outcome: Differs, At: now}, nil
	case h.Outcome != Held:
		return h.answer(now, false), nil
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		more := e.Amount - h.entries[i].Amount
		if c := m.count(r.Tenant, e); more > 0 && c.Spent+c.Held+more > e.Limit {
			return Result{Outcome: Exceeded, Entry: i, At: now, Counts: []Count{c}}, nil
		}
	}
	next := &hold{Result: Result{Outcome: Held, Deadline: now.Add(r.TTL)}, entries: slices.Clone(r.Entries)}
	next.due = next.Deadline
	m.holds.Cache(key, next)
	result := next.answer(now, false)
	for i := range r.Entries {
		m.move(r.Tenant, &r.Entries[i], 0, r.Entries[i].Amount-h.entries[i].Amount, true)
		result.Counts = append(result.Counts, m.count(r.Tenant, &r.Entries[i]))
	}
	return result, nil
}

// Settle implements [Store].
func (m *Memory) Settle(ctx context.Context, tenant, id string, amounts []int64) (Result, error) {
	now, err := m.lock(ctx)
	if err != nil {
		return Result{}, err
	}
	defer m.mu.Unlock()
	key := holdKey{tenant, id}
	h, ok := m.holds.Get(key)
	switch {
	case !ok:
		return Result{Outcome: Absent, At: now}, nil
	case len(amounts) != len(h.entries):
		return Result{Outcome: Differs, At: now}, nil
	case h.Outcome == Settled:
		return h.answer(now, true), nil
	}
	result := Result{Outcome: Settled, At: now, Charged: slices.Clone(amounts)}
	for i := range h.entries {
		e := &h.entries[i]
		spent, held := amounts[i], -e.Amount
		if h.Outcome == Expired {
			spent, held = spent-h.Charged[i], 0
		}
		result.Counts = append(result.Counts, m.move(tenant, e, spent, held, false))
	}
	m.end(key, h, Settled, slices.Clone(amounts), now)
	return result, nil
}
