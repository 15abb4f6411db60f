// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const defaultMemoryKeys = 100_000

// Memory is a [Store] and a [Watcher] for a single process: what it holds is
// gone when the process ends, and no other process sees it. Its clock is that
// of the process. It is safe for concurrent use.
type Memory struct {
	max int

	// Changes are made one at a time. A record is never changed in place but
	// replaced, so that Find takes no lock.
	mu    sync.Mutex
	count int
	cells table[*cell]

	watching sync.Mutex
	watchers map[*func(string)]struct{}
}

type cell = atomic.Pointer[Record]

// NewMemory makes a store for at most maxKeys keys, 100,000 if it is zero or
// less. Where it is full, Create makes room by forgetting the keys that have
// expired, and fails if there are none.
func NewMemory(maxKeys int) *Memory {
	if maxKeys <= 0 {
		maxKeys = defaultMemoryKeys
	}
	return &Memory{
		max:      maxKeys,
		cells:    make(table[*cell], shardCount+maxKeys/maxEntries),
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
	if _, taken := m.cells.load(r.ID); taken {
		return Record{}, errors.New("apikey: the id is taken")
	}
	now := storeNow()
	if m.count >= m.max {
		m.forgetExpired(now)
	}
	if m.count >= m.max {
		return Record{}, errors.New("apikey: the memory store is full")
	}
	r = Record{
		Key: Key{
			ID: r.ID, Owner: r.Owner, Tenant: r.Tenant, Environment: r.Environment, Scopes: r.Scopes,
			Networks: slices.Clone(r.Networks), Metadata: r.Metadata, Lifetime: r.Lifetime.Truncate(time.Microsecond),
			Created: now, Rotated: now, Expires: now.Add(r.Lifetime.Truncate(time.Microsecond)), Generation: 1,
		},
		Current: r.Current,
	}
	m.count++
	c := new(cell)
	c.Store(&r)
	m.cells.change(r.ID, func(cells map[string]*cell) { cells[r.ID] = c })
	return r.read(now), nil
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	c, ok := m.cells.load(id)
	if !ok {
		return Record{}, ErrNotFound
	}
	return c.Load().read(storeNow()), nil
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
	now := storeNow()
	var revoked []Record
	for _, cell := range m.cells.all() {
		if len(revoked) == limit {
			break
		}
		if r := cell.Load(); r.Revoked.IsZero() && f.match(&r.Key) {
			next := *r
			next.Revoked = now
			cell.Store(&next)
			revoked = append(revoked, next.read(now))
		}
	}
	m.mu.Unlock()
	for i := range revoked {
		m.tell(revoked[i].ID)
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
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.cells.load(id)
	if !ok {
		return false, nil
	}
	next, now := *c.Load(), storeNow()
	if now.Sub(next.LastUsed) < every { // zero is long ago
		return false, nil
	}
	next.LastUsed = now
	next.Uses += uses
	c.Store(&next)
	return true, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, q Query) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := storeNow()
	var found []*Record
	for _, cell := range m.cells.all() {
		if r := cell.Load(); q.match(r, now) && q.After.before(q.position(r)) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *Record) int {
		p, q := q.position(a), q.position(b)
		return cmp.Or(p.Time.Compare(q.Time), strings.Compare(p.ID, q.ID))
	})
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

func (m *Memory) tell(id string) {
	m.watching.Lock()
	defer m.watching.Unlock()
	for changed := range m.watchers {
		(*changed)(id)
	}
}

// change replaces the record of id by what f makes of it.
func (m *Memory) change(ctx context.Context, id string, f func(r *Record, now time.Time) error) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	next, now, err := m.replace(id, f)
	if err != nil {
		return Record{}, err
	}
	m.tell(id)
	return next.read(now), nil
}

func (m *Memory) replace(id string, f func(r *Record, now time.Time) error) (*Record, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.cells.load(id)
	if !ok {
		return nil, time.Time{}, ErrNotFound
	}
	next, now := *c.Load(), storeNow()
	if err := f(&next, now); err != nil {
		return nil, time.Time{}, err
	}
	c.Store(&next)
	return &next, now, nil
}

func (m *Memory) forgetExpired(now time.Time) {
	m.count = 0
	for i := range m.cells {
		m.cells[i].change(func(cells map[string]*cell) {
			maps.DeleteFunc(cells, func(_ string, c *cell) bool { return !c.Load().Expires.After(now) })
			m.count += len(cells)
		})
	}
}

// storeNow is the clock of the process, in the resolution that stores keep.
func storeNow() time.Time { return time.UnixMicro(time.Now().UnixMicro()).UTC() }

// read returns a copy of r that shares nothing with it.
func (r *Record) read(now time.Time) Record {
	c := *r
	c.Networks = slices.Clone(r.Networks)
	c.AsOf = now
	return c
}
