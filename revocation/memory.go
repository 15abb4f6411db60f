// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

const defaultMemoryTargets = 100_000

// Memory is a [Store] for one process. Its revocations are lost when the process
// ends: revoked tokens that have not expired are accepted again. It uses the
// clock of the process. It is safe for concurrent use.
//
// Memory is bounded. If it is full of revocations that have not expired, the next
// one revokes every token issued up to that time, of all subjects: clients with a
// refresh token get new access tokens, other users have to log in again.
type Memory struct {
	mu      sync.RWMutex
	records expiring.Map[Target, struct{}, record]
	all     record // applies to every subject
}

type record struct{ revoked, expires time.Time }

var _ Store = (*Memory)(nil)

// NewMemory returns a store of at most maxTargets revocations, 100,000 if
// maxTargets is not positive.
func NewMemory(maxTargets int) *Memory {
	if maxTargets <= 0 {
		maxTargets = defaultMemoryTargets
	}
	return &Memory{records: expiring.Map[Target, struct{}, record]{
		Limit:   maxTargets,
		Expires: func(r *record) time.Time { return r.expires },
	}}
}

// Revoke implements [Store].
func (m *Memory) Revoke(ctx context.Context, target Target, lifetime time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	r, _ := m.records.Get(target)
	if m.records.Put(target, r.renew(now, lifetime), now) != nil { // full
		m.all = m.all.renew(now, lifetime)
	}
	return nil
}

func (r record) renew(now time.Time, lifetime time.Duration) record {
	r.revoked = now
	if expires := now.Add(lifetime); expires.After(r.expires) {
		r.expires = expires
	}
	return r
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, targets []Target) ([]time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := expiring.Now()
	times := make([]time.Time, len(targets))
	for i, target := range targets {
		if r, _ := m.records.Get(target); r.expires.After(now) {
			times[i] = r.revoked
		}
		if target.Kind == Subject && m.all.expires.After(now) && m.all.revoked.After(times[i]) {
			times[i] = m.all.revoked
		}
	}
	return times, nil
}
