// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"maps"
	"sync"
	"time"
)

const defaultMemoryRevocations = 100_000

// MemoryRevocations is a [RevocationStore] for a single process: what it holds
// is gone when the process ends, and tokens that it has revoked are good again.
// Its clock is that of the process. It is safe for concurrent use.
//
// It is bounded. Where it is full of revocations that still count, another one
// takes all with it: every subject counts as revoked up to now, and so is every
// token that was issued until then. Its clients refresh theirs, and whoever had
// none to refresh has to log in again.
type MemoryRevocations struct {
	max     int
	mu      sync.RWMutex
	entries map[Revocation]memoryRevocation
	all     memoryRevocation // of every subject
}

type memoryRevocation struct{ at, ends time.Time }

var _ RevocationStore = (*MemoryRevocations)(nil)

// NewMemoryRevocations makes a store for at most maxRevocations revocations,
// 100,000 if it is zero or less.
func NewMemoryRevocations(maxRevocations int) *MemoryRevocations {
	if maxRevocations <= 0 {
		maxRevocations = defaultMemoryRevocations
	}
	return &MemoryRevocations{max: maxRevocations, entries: make(map[Revocation]memoryRevocation)}
}

// Revoke implements [RevocationStore].
func (m *MemoryRevocations) Revoke(ctx context.Context, r Revocation, lifetime time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := storeNow()
	_, known := m.entries[r]
	if !known && len(m.entries) >= m.max {
		maps.DeleteFunc(m.entries, func(_ Revocation, e memoryRevocation) bool { return !e.ends.After(now) })
	}
	if !known && len(m.entries) >= m.max {
		m.all = m.all.renew(now, lifetime)
		return nil
	}
	m.entries[r] = m.entries[r].renew(now, lifetime)
	return nil
}

func (e memoryRevocation) renew(now time.Time, lifetime time.Duration) memoryRevocation {
	e.at = now
	if ends := now.Add(lifetime); ends.After(e.ends) {
		e.ends = ends
	}
	return e
}

// Find implements [RevocationStore].
func (m *MemoryRevocations) Find(ctx context.Context, rs []Revocation) ([]time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := storeNow()
	times := make([]time.Time, len(rs))
	for i, r := range rs {
		if e := m.entries[r]; e.ends.After(now) {
			times[i] = e.at
		}
		if r.Kind == RevokedSubject && m.all.ends.After(now) && m.all.at.After(times[i]) {
			times[i] = m.all.at
		}
	}
	return times, nil
}
