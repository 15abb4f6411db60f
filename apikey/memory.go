// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

const defaultMemoryKeys = 100_000

// Memory is a [Store] and a [Watcher] for a single process. It loses its keys
// when the process exits. Its clock is that of the process. It is safe for
// concurrent use.
type Memory struct {
	mu      sync.RWMutex
	keys    expiring.Map[string, struct{}, *Record]   // records are replaced, not changed
	revoked expiring.Map[string, struct{}, time.Time] // when each revoked key was revoked

	watching sync.Mutex
	watchers map[*func(string)]struct{}
}

// NewMemory returns a store for at most maxKeys keys, 100,000 if it is zero or
// less. When it is full, Create replaces an expired or revoked key, which stays
// invalid, and returns an error if there is none.
func NewMemory(maxKeys int) *Memory {
	if maxKeys <= 0 {
		maxKeys = defaultMemoryKeys
	}
	return &Memory{
		keys: expiring.Map[string, struct{}, *Record]{
			Limit: maxKeys, Expires: func(r **Record) time.Time { return (*r).Expires },
		},
		revoked: expiring.Map[string, struct{}, time.Time]{
			Limit: maxKeys, Expires: func(t *time.Time) time.Time { return *t },
		},
		watchers: make(map[*func(string)]struct{}),
	}
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.keys.Get(r.ID); taken {
		return Record{}, fmt.Errorf("apikey: memory store: ID %q exists", r.ID)
	}
	now, lifetime := expiring.Now(), r.Lifetime.Truncate(time.Microsecond)
	record := &Record{
		Key: Key{
			ID: r.ID, Owner: r.Owner, Tenant: r.Tenant, Environment: r.Environment, Scopes: r.Scopes,
			Networks: slices.Clone(r.Networks), Metadata: r.Metadata, Lifetime: lifetime,
			Created: now, Rotated: now, Expires: now.Add(lifetime), Generation: 1,
		},
		Current: r.Current,
	}
	if err := m.add(record, now); err != nil {
		return Record{}, err
	}
	return record.read(now), nil
}

// sweepBatch is the number of records that Create removes.
const sweepBatch = 10

// add adds a record and removes those that are kept long enough.
func (m *Memory) add(record *Record, now time.Time) error {
	for range sweepBatch {
		id, r, ok := m.keys.First()
		if !ok || !r.Expires.Add(Retention).Before(now) {
			break
		}
		m.remove(id)
	}
	if m.keys.Len() >= m.keys.Limit {
		id, r, _ := m.keys.First()
		if r.Expires.After(now) {
			var ok bool
			if id, _, ok = m.revoked.First(); !ok {
				return fmt.Errorf("apikey: memory store: full with %d keys that are valid", m.keys.Limit)
			}
		}
		m.remove(id)
	}
	m.set(record)
	return nil
}

// set stores a record.
func (m *Memory) set(r *Record) {
	m.keys.Cache(r.ID, r)
	if !r.Revoked.IsZero() {
		m.revoked.Cache(r.ID, r.Revoked)
	}
}

func (m *Memory) remove(id string) {
	m.keys.Delete(id)
	m.revoked.Delete(id)
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.keys.Get(id)
	switch {
	case !ok:
		return ErrNotFound
	case r.Revoked.IsZero() && r.Expires.After(expiring.Now()):
		return ErrConflict
	}
	m.remove(id)
	return nil
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.RLock()
	r, ok := m.keys.Get(id)
	m.mu.RUnlock()
	if !ok {
		return Record{}, ErrNotFound
	}
	return r.read(expiring.Now()), nil
}

// Rotate implements [Store].
func (m *Memory) Rotate(ctx context.Context, id string, rotation Rotation) (Record, error) {
	return m.change(ctx, id, func(r *Record, now time.Time) error {
		if !r.Revoked.IsZero() || !r.Expires.After(now) || rotation.Generation != 0 && rotation.Generation != r.Generation {
			return ErrConflict
		}
		r.GraceEnds = now.Add(rotation.Grace.Truncate(time.Microsecond))
		if r.Expires.Before(r.GraceEnds) {
			r.GraceEnds = r.Expires
		}
		r.Previous, r.Current = r.Current, rotation.Current
		r.Rotated = now
		r.Expires = now.Add(min(r.Lifetime, rotation.MaxLifetime.Truncate(time.Microsecond)))
		r.Generation++
		return nil
	})
}

// Revoke implements [Store].
func (m *Memory) Revoke(ctx context.Context, id string) (Record, error) {
	return m.change(ctx, id, func(r *Record, now time.Time) error {
		if r.Revoked.IsZero() {
			r.Revoked = now
		}
		return nil
	})
}

// RevokeAll implements [Store].
func (m *Memory) RevokeAll(ctx context.Context, f Filter, limit int) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	now := expiring.Now()
	var revoked []Record
	for _, r := range m.keys.All(func(r **Record) bool { return (*r).Revoked.IsZero() && f.match(&(*r).Key) }) {
		if len(revoked) == limit {
			break
		}
		next := *r
		next.Revoked = now
		m.set(&next)
		revoked = append(revoked, next.read(now))
	}
	m.mu.Unlock()
	for i := range revoked {
		m.notify(revoked[i].ID)
	}
	return revoked, nil
}

// Suspend implements [Store].
func (m *Memory) Suspend(ctx context.Context, id string, on bool) (Record, error) {
	return m.change(ctx, id, func(r *Record, now time.Time) error {
		switch {
		case !on:
			r.Suspended = time.Time{}
		case r.Suspended.IsZero():
			r.Suspended = now
		}
		return nil
	})
}

// Touch implements [Store].
func (m *Memory) Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	_, err := m.replace(id, func(r *Record, now time.Time) error {
		if now.Sub(r.LastUsed) < every { // the zero time is long ago
			return ErrConflict
		}
		r.LastUsed = now
		r.Uses += uses
		return nil
	})
	return err == nil, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, q Query) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	now := expiring.Now()
	var found []*Record
	for _, r := range m.keys.All(func(r **Record) bool { return q.match(*r, now) && q.After.compare(q.position(*r)) < 0 }) {
		found = append(found, r)
	}
	m.mu.RUnlock()
	slices.SortFunc(found, func(a, b *Record) int { return q.position(a).compare(q.position(b)) })
	records := make([]Record, min(len(found), q.Limit))
	for i := range records {
		records[i] = found[i].read(now)
	}
	return records, nil
}

// Watch implements [Watcher].
func (m *Memory) Watch(ctx context.Context, changed func(id string)) error {
	m.watching.Lock()
	m.watchers[&changed] = struct{}{}
	m.watching.Unlock()
	changed("")
	<-ctx.Done()
	m.watching.Lock()
	delete(m.watchers, &changed)
	m.watching.Unlock()
	return ctx.Err()
}

func (m *Memory) notify(id string) {
	m.watching.Lock()
	defer m.watching.Unlock()
	for changed := range m.watchers {
		(*changed)(id)
	}
}

// change replaces the record of id by the result of f and notifies the watchers.
func (m *Memory) change(ctx context.Context, id string, f func(r *Record, now time.Time) error) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	r, err := m.replace(id, f)
	if err == nil {
		m.notify(id)
	}
	return r, err
}

func (m *Memory) replace(id string, f func(r *Record, now time.Time) error) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.keys.Get(id)
	if !ok {
		return Record{}, ErrNotFound
	}
	next, now := *r, expiring.Now()
	if err := f(&next, now); err != nil {
		return Record{}, err
	}
	m.set(&next)
	return next.read(now), nil
}

// read returns a copy of r that shares no memory with it.
func (r *Record) read(now time.Time) (c Record) {
	c = *r
	c.AsOf, c.Networks = now, slices.Clone(r.Networks)
	return c
}
