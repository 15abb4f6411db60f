// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

// Import implements [Store].
func (m *Memory) Import(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	next, err := m.merge(r)
	if err == nil {
		m.notify(r.ID)
	}
	return next, err
}

func (m *Memory) merge(r Record) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	next := r.read(time.Time{})
	old, ok := m.keys.Get(r.ID)
	if !ok {
		err := m.add(&next, now)
		return next.read(now), err
	}
	differs := old.Owner != r.Owner || old.Tenant != r.Tenant || old.Environment != r.Environment
	weakens := !old.Revoked.IsZero() || !old.Suspended.IsZero() && r.Suspended.IsZero() ||
		old.Generation > r.Generation || old.Generation == r.Generation && old.Current != r.Current
	if differs || r.Revoked.IsZero() && weakens {
		return Record{}, ErrConflict
	}
	next = *old
	if r.Generation > old.Generation {
		next.Current, next.Previous, next.Generation = r.Current, r.Previous, r.Generation
		next.Rotated, next.Expires, next.GraceEnds = r.Rotated, r.Expires, r.GraceEnds
	}
	next.Revoked, next.Suspended = orElse(old.Revoked, r.Revoked), orElse(old.Suspended, r.Suspended)
	next.Uses = max(old.Uses, r.Uses)
	if r.LastUsed.After(old.LastUsed) {
		next.LastUsed = r.LastUsed
	}
	m.set(&next)
	return next.read(now), nil
}
