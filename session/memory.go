// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

const defaultMemorySessions = 100_000

// Memory is a [Store] in the memory of one process, whose clock it uses. It is
// safe for concurrent use.
type Memory struct {
	mu      sync.RWMutex
	records expiring.Map[string, gatehouse.Key, Record] // by ID, grouped by user
}

// NewMemory returns a store for at most maxSessions sessions, 100,000 if it is
// not positive. If it is full, Create replaces an expired session, or returns
// an error if there is none: it never ends an active session.
//
// A record of [Manager.Once] or [Manager.Logout] counts as a session. With package
// signin, anonymous callers can cause 100 such records per second, each for 10 minutes:
// set maxSessions to the largest number of sessions plus 60,000.
func NewMemory(maxSessions int) *Memory {
	if maxSessions <= 0 {
		maxSessions = defaultMemorySessions
	}
	return &Memory{records: expiring.Map[string, gatehouse.Key, Record]{
		Limit: maxSessions, Expires: (*Record).expiry,
		Group: func(r *Record) gatehouse.Key { return gatehouse.Key{Issuer: r.Issuer, Subject: r.Subject} },
	}}
}

// expiry returns when the session expires, by either timeout.
//
// Implements ASVS 5.0 §7.3.1, §7.3.2.
func (r *Record) expiry() time.Time {
	if idle := r.LastSeen.Add(r.Idle); idle.Before(r.Expires) {
		return idle
	}
	return r.Expires
}

// get returns the record of a session that is not expired, as of now.
func (m *Memory) get(id string, now time.Time) (Record, bool) {
	r, _ := m.records.Get(id) // the zero record is expired
	r.AsOf = now
	return r, now.Before(r.expiry())
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, r Record, lifetime time.Duration) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	if _, ok := m.get(r.ID, now); ok {
		return Record{}, ErrConflict
	}
	r.Idle = r.Idle.Truncate(time.Microsecond)
	r.Created, r.LastSeen, r.Expires = now, now, now.Add(lifetime.Truncate(time.Microsecond))
	r.Claimed, r.Version, r.AsOf = time.Time{}, 1, now
	if err := m.records.Put(r.ID, r, now); err != nil {
		return Record{}, fmt.Errorf("session: Memory: %d sessions: %w", m.records.Len(), err)
	}
	return r, nil
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.get(id, expiring.Now())
	if !ok {
		return Record{}, ErrNotFound
	}
	return r, nil
}

// Swap implements [Store].
func (m *Memory) Swap(ctx context.Context, id string, version int64, c Change) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	r, ok := m.get(id, now)
	if !ok {
		return Record{}, ErrNotFound
	}
	if _, taken := m.get(c.ID, now); r.Version != version || c.ID != id && taken {
		return Record{}, ErrConflict
	}
	r.ID, r.Principal, r.Tokens = c.ID, c.Principal, c.Tokens
	r.LastSeen, r.Claimed = now, time.Time{}
	if claim := c.Claim.Truncate(time.Microsecond); claim > 0 {
		r.Claimed = now.Add(claim)
	}
	r.Version++
	m.records.Delete(id)
	m.records.Cache(r.ID, r)
	return r, nil
}

// Touch implements [Store].
func (m *Memory) Touch(ctx context.Context, id string, every time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	r, ok := m.get(id, now)
	if !ok || now.Sub(r.LastSeen) < every.Truncate(time.Microsecond) {
		return false, nil
	}
	r.LastSeen = now
	m.records.Cache(id, r)
	return true, nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records.Delete(id)
	return nil
}

// DeleteAll implements [Store].
func (m *Memory) DeleteAll(ctx context.Context, s Selector) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, count := expiring.Now(), 0
	for id, r := range m.matching(s) {
		m.records.Delete(id)
		if now.Before(r.expiry()) {
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
	now := expiring.Now()
	var found []Record
	for _, r := range m.matching(s) {
		if now.Before(r.expiry()) {
			r.AsOf, r.Principal, r.Tokens = now, "", ""
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b Record) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(len(found), max(limit, 0))], nil
}

// matching returns the sessions that match a selector.
//
// Implements OIDC Back-Channel Logout §2.7.
func (m *Memory) matching(s Selector) iter.Seq2[string, Record] {
	match := func(r *Record) bool {
		return (s.Subject != "" || s.SID != "") && r.Issuer == s.Issuer && (s.SID == "" || r.SID == s.SID) && r.ID != s.Except
	}
	if s.Subject != "" {
		return m.records.InGroup(gatehouse.Key{Issuer: s.Issuer, Subject: s.Subject}, match)
	}
	return m.records.All(match)
}
