// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

const defaultMemoryApprovals = 1000

// Memory is a [Store] for one process. Its approvals are lost when the process
// ends. It uses the clock of the process. It is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	records expiring.Map[string, Digest, Approval]
}

var _ Store = (*Memory)(nil)

// NewMemory returns a store of at most maxApprovals approvals, 1,000 if it is not
// positive. If it is full of approvals that have not expired, Request returns an error.
// It uses at most maxApprovals times Config.MaxArguments of memory.
func NewMemory(maxApprovals int) *Memory {
	if maxApprovals <= 0 {
		maxApprovals = defaultMemoryApprovals
	}
	return &Memory{records: expiring.Map[string, Digest, Approval]{
		Limit:   maxApprovals,
		Expires: func(a *Approval) time.Time { return a.Expires },
		Group:   func(a *Approval) Digest { return a.Digest() },
		Clone:   func(a Approval) Approval { a.Decisions = slices.Clone(a.Decisions); return a },
	}}
}

// Request implements [Store].
func (m *Memory) Request(ctx context.Context, a Approval, limits Limits, again bool) (Approval, bool, error) {
	if err := ctx.Err(); err != nil {
		return Approval{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	for _, status := range []Status{Pending, Approved, Denied} {
		for old := range at(m.records.InGroup(a.Digest(), nil), now) {
			if old.Status() == status && old.Expires.After(now) && (status != Denied || !again) {
				return old, false, nil
			}
		}
	}
	pending, size := 1, len(a.Arguments)
	for old := range at(m.records.All(func(old *Approval) bool { return old.Tenant == a.Tenant && old.Actor == a.Actor }), now) {
		if old.Status() == Pending {
			pending++
			size += len(old.Arguments)
		}
	}
	if pending > limits.Pending || size > limits.Bytes {
		return Approval{}, false, ErrTooMany
	}
	if _, ok := m.records.Get(a.ID); ok {
		return Approval{}, false, errors.New("approval: memory store: ID already exists")
	}
	a = Approval{ID: a.ID, Call: a.Call, Rule: a.Rule, Created: now, Expires: now.Add(limits.Lifetime.Truncate(time.Microsecond)), AsOf: now}
	if err := m.records.Put(a.ID, a, now); err != nil {
		return Approval{}, false, fmt.Errorf("approval: memory store: %w", err)
	}
	return a, true, nil
}

// at yields the approvals of a map as of the time now.
func at(records iter.Seq2[string, Approval], now time.Time) iter.Seq[Approval] {
	return func(yield func(Approval) bool) {
		for _, a := range records {
			if a.AsOf = now; !yield(a) {
				return
			}
		}
	}
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, tenant, id string) (Approval, error) {
	if err := ctx.Err(); err != nil {
		return Approval{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(tenant, id)
}

func (m *Memory) find(tenant, id string) (Approval, error) {
	a, ok := m.records.Get(id)
	if !ok || a.Tenant != tenant {
		return Approval{}, ErrNotFound
	}
	a.AsOf = expiring.Now()
	return a, nil
}

// Decide implements [Store].
func (m *Memory) Decide(ctx context.Context, tenant, id string, d Decision) (Approval, bool, error) {
	if err := ctx.Err(); err != nil {
		return Approval{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.find(tenant, id)
	if a.Status() != Pending || a.Decided(d.Decider) { // the zero approval is expired
		return a, false, err
	}
	d.Time = a.AsOf
	a.Decisions = append(a.Decisions, d)
	m.records.Cache(id, a)
	return a, true, nil
}

// Claim implements [Store].
func (m *Memory) Claim(ctx context.Context, tenant string, digest Digest) (Approval, error) {
	if err := ctx.Err(); err != nil {
		return Approval{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	for a := range at(m.records.InGroup(digest, nil), now) {
		if a.Tenant == tenant && a.Status() == Approved {
			a.Used = now
			m.records.Cache(a.ID, a)
			return a, nil
		}
	}
	return Approval{}, ErrNotFound
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, f Filter, limit, maxBytes int) ([]Approval, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Approval
	for a := range at(m.records.All(func(a *Approval) bool { return f.Matches(*a) }), expiring.Now()) {
		if a.Status() == Pending {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b Approval) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	of := make(map[gatehouse.Key]int) // approvals of an actor
	turns := make(map[string]int, len(found))
	for _, a := range found {
		turns[a.ID] = of[a.Actor]
		of[a.Actor]++
	}
	slices.SortStableFunc(found, func(a, b Approval) int { return cmp.Compare(turns[a.ID], turns[b.ID]) })
	found = found[:min(len(found), max(limit, 0))]
	for i := range found {
		if len(found[i].Arguments) > maxBytes {
			found[i].Arguments = ""
		}
	}
	return found, nil
}
