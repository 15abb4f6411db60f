// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

const defaultMemoryFamilies = 100_000

// MemoryFamilies is a [FamilyStore] for a single process: what it holds is gone
// when the process ends, and everybody has to log in again. Its clock is that of
// the process. It is safe for concurrent use.
type MemoryFamilies struct {
	max     int
	mu      sync.Mutex
	records map[string]*FamilyRecord
}

var _ FamilyStore = (*MemoryFamilies)(nil)

// NewMemoryFamilies makes a store for at most maxFamilies families, 100,000 if
// it is zero or less. Where it is full, Create makes room by forgetting those
// whose time is over, and fails if there are none.
func NewMemoryFamilies(maxFamilies int) *MemoryFamilies {
	if maxFamilies <= 0 {
		maxFamilies = defaultMemoryFamilies
	}
	return &MemoryFamilies{max: maxFamilies, records: make(map[string]*FamilyRecord)}
}

// Create implements [FamilyStore].
func (m *MemoryFamilies) Create(ctx context.Context, r FamilyRecord, lifetime time.Duration) (FamilyRecord, error) {
	if err := ctx.Err(); err != nil {
		return FamilyRecord{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.records[r.ID]; taken {
		return FamilyRecord{}, errors.New("jwtauth: the id of the family is taken")
	}
	now := storeNow()
	if len(m.records) >= m.max {
		maps.DeleteFunc(m.records, func(_ string, r *FamilyRecord) bool { return !r.Expires.After(now) })
	}
	if len(m.records) >= m.max {
		return FamilyRecord{}, errors.New("jwtauth: the memory store of families is full")
	}
	r = FamilyRecord{
		Family: Family{
			ID: r.ID, Grant: r.Grant, Created: now, Expires: now.Add(lifetime.Truncate(time.Microsecond)), Generation: 1,
		},
		Key: r.Key, Current: r.Current,
	}
	if !r.AuthTime.IsZero() {
		r.AuthTime = time.UnixMicro(r.AuthTime.UnixMicro()).UTC()
	}
	m.records[r.ID] = &r
	return r.read(now), nil
}

// Find implements [FamilyStore].
func (m *MemoryFamilies) Find(ctx context.Context, id string) (FamilyRecord, error) {
	return m.change(ctx, id, func(*FamilyRecord, time.Time) error { return nil })
}

// Rotate implements [FamilyStore].
func (m *MemoryFamilies) Rotate(ctx context.Context, id string, p Presentation) (FamilyRecord, FamilyOutcome, error) {
	var outcome FamilyOutcome
	record, err := m.change(ctx, id, func(r *FamilyRecord, now time.Time) error {
		if r.Key != p.Key {
			return ErrFamilyNotFound
		}
		outcome = r.rotate(p, now)
		return nil
	})
	return record, outcome, err
}

func (r *FamilyRecord) rotate(p Presentation, now time.Time) FamilyOutcome {
	switch {
	case r.over(now):
		return FamilyOver
	case r.Client != p.Client:
	case r.Current == p.Secret:
		r.Previous, r.Current = r.Current, p.Next
		r.Successor = bytes.Clone(p.Successor)
		r.Rotated = now
		r.GraceEnds = now.Add(p.Grace.Truncate(time.Microsecond))
		if r.Expires.Before(r.GraceEnds) {
			r.GraceEnds = r.Expires
		}
		r.Generation++
		return FamilyRotated
	case r.Previous == p.Secret && r.GraceEnds.After(now):
		return FamilyReplayed
	}
	r.end(now)
	return FamilyReused
}

// End implements [FamilyStore].
func (m *MemoryFamilies) End(ctx context.Context, id string) (FamilyRecord, error) {
	return m.change(ctx, id, func(r *FamilyRecord, now time.Time) error {
		if r.Ended.IsZero() {
			r.end(now)
		}
		return nil
	})
}

// EndAll implements [FamilyStore].
func (m *MemoryFamilies) EndAll(ctx context.Context, f FamilyFilter, limit int) ([]FamilyRecord, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := storeNow()
	var ended []FamilyRecord
	for _, r := range m.records {
		if len(ended) == limit {
			break
		}
		if !r.over(now) && f.match(&r.Grant) {
			r.end(now)
			ended = append(ended, r.read(now))
		}
	}
	return ended, nil
}

// change lets f change the record of id.
func (m *MemoryFamilies) change(ctx context.Context, id string, f func(r *FamilyRecord, now time.Time) error) (FamilyRecord, error) {
	if err := ctx.Err(); err != nil {
		return FamilyRecord{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	if !ok {
		return FamilyRecord{}, ErrFamilyNotFound
	}
	now := storeNow()
	if err := f(r, now); err != nil {
		return FamilyRecord{}, err
	}
	return r.read(now), nil
}

func (r *FamilyRecord) over(now time.Time) bool { return !r.Ended.IsZero() || !r.Expires.After(now) }

func (r *FamilyRecord) end(now time.Time) { r.Ended, r.Successor = now, nil }

func (f FamilyFilter) match(g *Grant) bool {
	return f != FamilyFilter{} && (f.Subject == "" || f.Subject == g.Subject) && (f.Client == "" || f.Client == g.Client)
}

// read returns a copy of r that shares nothing with it.
func (r *FamilyRecord) read(now time.Time) FamilyRecord {
	c := *r
	c.Successor = bytes.Clone(r.Successor)
	c.AsOf = now
	return c
}

// storeNow is the clock of the process, in the resolution that stores keep.
func storeNow() time.Time { return time.UnixMicro(time.Now().UnixMicro()).UTC() }
