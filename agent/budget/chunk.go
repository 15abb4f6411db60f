// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"
)

// pools are the chunks that this process has reserved in the store. It divides them
// between its calls.
type pools struct {
	mu     sync.Mutex
	byName map[poolKey]*pool
}

// poolKey is a counter and the limit of a line. Calls with different limits do not share
// chunks, because the store compares each with its own limit.
type poolKey struct {
	tenant, account, window string
	start                   time.Time
	max                     int64
}

// pool holds the chunks of one counter. A call takes the turn while it calls the store,
// so that it fetches a chunk for all waiting calls.
type pool struct {
	turn   chan struct{} // holds one element while a call has its turn
	charge Charge
	chunks []*chunk // the last one is in use; the others are settled when their calls end
	gone   bool     // no longer in the map
	events []func() // reports to make after the turn, so that an observer does not prolong it
}

// lock waits for the turn until ctx is done.
func (s *pool) lock(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *pool) unlock() {
	events := s.events
	s.events = nil
	<-s.turn
	for _, report := range events {
		report()
	}
}

// chunk is one hold in the store. It expires after its parts.
type chunk struct {
	pool     *pool
	id       string
	entry    Entry
	deadline time.Time
	used     int64 // by calls that have ended
	taken    int64 // by calls in progress
	calls    int
	touched  time.Time
}

// part is the amount that a call holds of a chunk.
type part struct {
	chunk  *chunk
	amount int64
}

func partOf(parts []*part, i int) *part {
	if parts == nil {
		return nil
	}
	return parts[i]
}

func (c *chunk) idle() int64 { return max(c.entry.Amount-c.used-c.taken, 0) }

// chunkHolds is the lifetime of a chunk, as a multiple of Config.Hold.
const chunkHolds = 3

// take takes a part of a chunk for each charge with chunks. It returns nil if there are
// none.
func (s *pools) take(ctx context.Context, l *Ledger, p *plan) ([]*part, error) {
	var parts []*part
	for i := range p.charges {
		c := &p.charges[i]
		if c.Line.Chunk < c.Amount || c.Amount == 0 || l.running.Load() == 0 {
			continue
		}
		if parts == nil {
			parts = make([]*part, len(p.charges))
		}
		var err error
		for parts[i] == nil && err == nil {
			parts[i], err = s.pool(l, c, p.tenant).take(ctx, l, c)
		}
		if err != nil {
			(&Hold{ledger: l, parts: parts}).release(ctx)
			return nil, err
		}
	}
	return parts, nil
}

// pool returns the pool of a charge in the current window.
func (s *pools) pool(l *Ledger, c *Charge, tenant string) *pool {
	e := c.entry(l.clock(time.Now()))
	key := poolKey{tenant, e.Account, e.Window, e.Start, e.Limit}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = make(map[poolKey]*pool)
	}
	held := s.byName[key]
	if held == nil {
		held = &pool{turn: make(chan struct{}, 1), charge: *c}
		s.byName[key] = held
	}
	return held
}

// take takes a part of the current chunk, or of a new one. It returns nil if the pool is
// no longer in the map.
func (s *pool) take(ctx context.Context, l *Ledger, c *Charge) (*part, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	if s.gone {
		return nil, nil //nolint:nilnil // see above
	}
	now := time.Now()
	if n := len(s.chunks); n > 0 {
		last := s.chunks[n-1]
		if last.idle() >= c.Amount && last.deadline.Sub(now) >= l.ttl && last.entry.Next.After(l.clock(now)) {
			return last.part(c.Amount, now), nil
		}
	}
	s.drain(ctx, l, false)
	next, err := s.fetch(ctx, l, c, now)
	if err != nil {
		return nil, err
	}
	s.chunks = append(s.chunks, next)
	return next.part(c.Amount, now), nil
}

func (c *chunk) part(amount int64, now time.Time) *part {
	c.taken += amount
	c.calls++
	c.touched = now
	return &part{c, amount}
}

// fetch reserves a new chunk, so that the unused rest of all chunks is Line.Chunk. Near
// the limit it reserves less, so that other nodes can also use the rest of the budget.
func (s *pool) fetch(ctx context.Context, l *Ledger, c *Charge, now time.Time) (*chunk, error) {
	want := min(c.Line.Chunk, (c.Line.Max-c.Line.Spare)/(2*l.nodes))
	for _, old := range s.chunks {
		want -= old.idle()
	}
	at := l.clock(now)
	for range 4 {
		whole := *c
		whole.Amount, whole.Floor = max(want, c.Amount), 0
		next := &chunk{pool: s, id: "chunk-" + rand.Text(), entry: whole.entry(at), deadline: now.Add(chunkHolds * l.ttl)}
		result, err := l.store.Reserve(ctx, Reservation{
			Tenant: c.Line.Account.Tenant, ID: next.id, TTL: chunkHolds * l.ttl, Entries: []Entry{next.entry},
		})
		switch {
		case err != nil:
			return nil, err
		case result.Outcome == Held:
			return next, nil
		case result.Outcome == Moved:
			at = result.At
			l.skew.Store(int64(result.At.Sub(now)))
		case result.Outcome == Exceeded && whole.Amount > c.Amount && len(result.Counts) == 1:
			left := next.entry.Limit - result.Counts[0].Spent - result.Counts[0].Held
			want = min(left/(2*l.nodes), want/2)
		case result.Outcome == Exceeded:
			return nil, l.exceeded(ctx, c, result)
		default:
			return nil, fmt.Errorf("budget: store: outcome %q of Reserve", result.Outcome)
		}
	}
	return nil, fmt.Errorf("budget: store: no chunk of %s", c.Line.account())
}

// extend extends a part, and its chunk if the chunk would expire first.
func (p *part) extend(ctx context.Context, l *Ledger, c *Charge) error {
	s := p.chunk.pool
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	now := time.Now()
	more := c.Amount - p.amount
	if p.chunk.idle() < more || p.chunk.deadline.Sub(now) < l.ttl {
		entry := p.chunk.entry
		entry.Amount += max(more-p.chunk.idle(), 0)
		entry.Floor, entry.Limit = entry.Amount, c.Line.Max
		result, err := l.store.Extend(ctx, Reservation{
			Tenant: c.Line.Account.Tenant, ID: p.chunk.id, TTL: chunkHolds * l.ttl, Entries: []Entry{entry},
		})
		switch {
		case err != nil:
			return err
		case result.Outcome == Exceeded:
			short := *c
			short.Amount, short.Line.Spare = more, 0
			return l.exceeded(ctx, &short, result)
		case result.Outcome != Held:
			return fmt.Errorf("budget: store: outcome %q of Extend", result.Outcome)
		}
		p.chunk.entry, p.chunk.deadline = entry, now.Add(chunkHolds*l.ttl)
	}
	p.chunk.taken += more
	p.amount = c.Amount
	return nil
}

// settle ends a part and adds used to the use of its chunk.
func (p *part) settle(ctx context.Context, l *Ledger, used int64) {
	s := p.chunk.pool
	ctx = context.WithoutCancel(ctx)
	_ = s.lock(ctx) // s.lock cannot fail: this context is never done
	defer s.unlock()
	p.chunk.taken -= p.amount
	p.chunk.used += used
	p.chunk.calls--
	if p.chunk.calls == 0 {
		s.drain(ctx, l, l.running.Load() > 0)
	}
}

// drain settles the chunks without calls in progress, except the one in use if it stays.
func (s *pool) drain(ctx context.Context, l *Ledger, stays bool) {
	kept := s.chunks[:0]
	for i, c := range s.chunks {
		if c.calls > 0 || stays && i == len(s.chunks)-1 {
			kept = append(kept, c)
			continue
		}
		tenant, charges, used := s.charge.Line.Account.Tenant, []Charge{s.charge}, []int64{c.used}
		end := context.WithoutCancel(ctx)
		result, err := l.charge(end, tenant, c.id, used)
		if err != nil {
			l.later(func(ctx context.Context) error { return l.settle(ctx, tenant, c.id, charges, used) })
			continue
		}
		s.events = append(s.events, func() { l.thresholds(end, charges, used, result) })
	}
	clear(s.chunks[len(kept):])
	s.chunks = kept
}

// idle settles the chunks that no call has used for a while, and those that would expire
// before a new call ends. If all is true, it settles all chunks. It removes pools
// without chunks.
func (s *pools) idle(ctx context.Context, l *Ledger, all bool) {
	s.mu.Lock()
	var every []*pool
	for _, held := range s.byName {
		every = append(every, held)
	}
	s.mu.Unlock()
	now := time.Now()
	for _, held := range every {
		if held.lock(ctx) != nil {
			return
		}
		if n := len(held.chunks); n > 0 {
			last := held.chunks[n-1]
			stays := !all && now.Sub(last.touched) < l.ttl/2 && last.deadline.Sub(now) >= l.ttl && last.entry.Next.After(l.clock(now))
			held.drain(ctx, l, stays)
		}
		held.unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, held := range s.byName {
		select {
		case held.turn <- struct{}{}:
			if len(held.chunks) == 0 {
				held.gone = true
				delete(s.byName, key)
			}
			held.unlock()
		default:
		}
	}
}
