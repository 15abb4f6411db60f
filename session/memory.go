// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const defaultMemorySessions = 100_000

// Memory is a [Store] for a single process: what it holds is gone when the
// process ends, and no other process sees it. Its clock is that of the process.
// It is safe for concurrent use.
type Memory struct {
	max int

	// A record is never changed in place but replaced, so that who has one may
	// read it without the lock.
	mu      sync.RWMutex
	records map[string]*Record
	owned   map[owner]map[string]*Record // the same, by whose they are
}

type owner struct{ issuer, subject string }

// NewMemory makes a store for at most maxSessions sessions, 100,000 if it is
// zero or less. Where it is full, Create makes room by forgetting the sessions
// that are over, and fails if there are none: nobody is signed out so that
// somebody else can sign in.
func NewMemory(maxSessions int) *Memory {
	if maxSessions <= 0 {
		maxSessions = defaultMemorySessions
	}
	return &Memory{max: maxSessions, records: make(map[string]*Record), owned: make(map[owner]map[string]*Record)}
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, r Record, lifetime time.Duration) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := storeNow()
	if old := m.records[r.ID]; old != nil && !old.over(now) {
		return Record{}, ErrConflict
	}
	if len(m.records) >= m.max {
		m.forget(now)
	}
	if len(m.records) >= m.max {
		return Record{}, errors.New("session: the memory store is full")
	}
	r.Idle = r.Idle.Truncate(time.Microsecond)
	r.Created, r.LastSeen, r.Expires = now, now, now.Add(lifetime.Truncate(time.Microsecond))
	r.Claimed, r.Version = time.Time{}, 1
	m.put(&r)
	return r.read(now), nil
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.RLock()
	r := m.records[id]
	m.mu.RUnlock()
	now := storeNow()
	if r == nil || r.over(now) {
		return Record{}, ErrNotFound
	}
	return r.read(now), nil
}

// Swap implements [Store].
func (m *Memory) Swap(ctx context.Context, id string, version int64, c Change) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := storeNow()
	old := m.records[id]
	if old == nil || old.over(now) {
		return Record{}, ErrNotFound
	}
	if other := m.records[c.ID]; old.Version != version || c.ID != id && other != nil && !other.over(now) {
		return Record{}, ErrConflict
	}
	r := *old
	r.ID, r.Principal, r.Tokens = c.ID, c.Principal, c.Tokens
	r.LastSeen, r.Claimed = now, time.Time{}
	if claim := c.Claim.Truncate(time.Microsecond); claim > 0 {
		r.Claimed = now.Add(claim)
	}
	r.Version++
	m.drop(old)
	m.put(&r)
	return r.read(now), nil
}

// Touch implements [Store].
func (m *Memory) Touch(ctx context.Context, id string, every time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := storeNow()
	old := m.records[id]
	if old == nil || old.over(now) || now.Sub(old.LastSeen) < every.Truncate(time.Microsecond) {
		return false, nil
	}
	r := *old
	r.LastSeen = now
	m.put(&r)
	return true, nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[id]; r != nil {
		m.drop(r)
	}
	return nil
}

// DeleteAll implements [Store].
func (m *Memory) DeleteAll(ctx context.Context, s Selector) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, count := storeNow(), 0
	for _, r := range m.candidates(s) {
		if !s.match(r) {
			continue
		}
		m.drop(r)
		if !r.over(now) {
			count++
		}
	}
	return count, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, s Selector, limit int) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := storeNow()
	var found []Record
	for _, r := range m.candidates(s) {
		if s.match(r) && !r.over(now) {
			c := r.read(now)
			c.Principal, c.Tokens = "", ""
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b Record) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(len(found), max(limit, 0))], nil
}

func (m *Memory) forget(now time.Time) {
	for _, r := range m.records {
		if r.over(now) {
			m.drop(r)
		}
	}
}

func (m *Memory) put(r *Record) {
	if old := m.records[r.ID]; old != nil { // perhaps one of somebody else that is over
		m.drop(old)
	}
	m.records[r.ID] = r
	by := owner{r.Issuer, r.Subject}
	if m.owned[by] == nil {
		m.owned[by] = make(map[string]*Record)
	}
	m.owned[by][r.ID] = r
}

func (m *Memory) drop(r *Record) {
	delete(m.records, r.ID)
	by := owner{r.Issuer, r.Subject}
	delete(m.owned[by], r.ID)
	if len(m.owned[by]) == 0 {
		delete(m.owned, by)
	}
}

// candidates are the records of the subject, and all if it is not said who that is.
func (m *Memory) candidates(s Selector) map[string]*Record {
	if s.Subject != "" {
		return m.owned[owner{s.Issuer, s.Subject}]
	}
	return m.records
}

// over reports whether the session has ended.
func (r *Record) over(now time.Time) bool {
	return !now.Before(r.Expires) || !now.Before(r.LastSeen.Add(r.Idle))
}

// read returns a copy of r.
func (r *Record) read(now time.Time) Record {
	c := *r
	c.AsOf = now
	return c
}

// match reports whether one of the candidates is meant.
func (s Selector) match(r *Record) bool {
	return (s.Subject != "" || s.SID != "") && r.Issuer == s.Issuer && (s.SID == "" || r.SID == s.SID) && r.ID != s.Except
}

// storeNow is the clock of the process, in the resolution that stores keep.
func storeNow() time.Time { return time.UnixMicro(time.Now().UnixMicro()).UTC() }
