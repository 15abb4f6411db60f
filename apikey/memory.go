// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

const defaultMemoryKeys = 100_000

// Memory is a [Store] and a [Watcher] for a single process: what it holds is
// gone when the process ends, and no other process sees it. Its clock is that
// of the process. It is safe for concurrent use.
type Memory struct {
	max int

	// Changes are made one at a time. A record is never changed in place but
	// replaced, so that Find has to hold the lock of its shard for no longer
	// than it takes to read a pointer.
	mu     sync.Mutex
	count  int
	shards [shardCount]memoryShard

	watching sync.Mutex
	watchers map[*func(string)]struct{}
}

type memoryShard struct {
	sync.RWMutex
	records map[string]*Record
	_       [32]byte // two shards never share a cache line
}

// NewMemory makes a store for at most maxKeys keys, 100,000 if it is zero or
// less. Where it is full, Create makes room by forgetting the keys that have
// expired, and fails if there are none.
func NewMemory(maxKeys int) *Memory {
	if maxKeys <= 0 {
		maxKeys = defaultMemoryKeys
	}
	m := &Memory{max: maxKeys, watchers: make(map[*func(string)]struct{})}
	for i := range m.shards {
		m.shards[i].records = make(map[string]*Record)
	}
	return m
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.load(r.ID) != nil {
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
	m.store(&r)
	return r.read(now), nil
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	r := m.load(id)
	if r == nil {
		return Record{}, ErrNotFound
	}
	return r.read(storeNow()), nil
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
	for i := range m.shards {
		for _, r := range m.shards[i].records {
			if len(revoked) < limit && r.Revoked.IsZero() && f.match(&r.Key) {
				next := *r
				next.Revoked = now
				m.store(&next)
				revoked = append(revoked, next.read(now))
			}
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
	r, now := m.load(id), storeNow()
	if r == nil || !r.LastUsed.IsZero() && now.Sub(r.LastUsed) < every {
		return false, nil
	}
	next := *r
	next.LastUsed = now
	next.Uses += uses
	m.store(&next)
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
	for i := range m.shards {
		for _, r := range m.shards[i].records {
			if q.match(r, now) && q.After.before(q.position(r)) {
				found = append(found, r)
			}
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
	m.mu.Lock()
	r, now := m.load(id), storeNow()
	if r == nil {
		m.mu.Unlock()
		return Record{}, ErrNotFound
	}
	next := *r
	if err := f(&next, now); err != nil {
		m.mu.Unlock()
		return Record{}, err
	}
	m.store(&next)
	m.mu.Unlock()
	m.tell(id)
	return next.read(now), nil
}

func (m *Memory) shard(id string) *memoryShard { return &m.shards[shardOf(id)] }

func (m *Memory) load(id string) *Record {
	s := m.shard(id)
	s.RLock()
	defer s.RUnlock()
	return s.records[id]
}

func (m *Memory) store(r *Record) {
	s := m.shard(r.ID)
	s.Lock()
	defer s.Unlock()
	s.records[r.ID] = r
}

func (m *Memory) forgetExpired(now time.Time) {
	for i := range m.shards {
		s := &m.shards[i]
		s.Lock()
		before := len(s.records)
		for id, r := range s.records {
			if !r.Expires.After(now) {
				delete(s.records, id)
			}
		}
		m.count -= before - len(s.records)
		s.Unlock()
	}
}

// storeNow is the clock of the process, in the resolution that stores keep.
func storeNow() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// read returns a copy of r that shares nothing with it.
func (r *Record) read(now time.Time) Record {
	c := *r
	c.Networks = slices.Clone(r.Networks)
	c.AsOf = now
	return c
}
