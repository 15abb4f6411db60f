// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

const defaultMemoryFamilies = 100_000

// Memory is a [Store] for one process. Its families are lost when the process ends; all
// users must then log in again. It uses the clock of the process. It is safe for
// concurrent use.
type Memory struct {
	mu      sync.RWMutex
	records expiring.Map[string, string, Record] // by ID, grouped by subject
}

var _ Store = (*Memory)(nil)

// NewMemory returns a store of at most maxFamilies families, 100,000 if
// maxFamilies is not positive, and of at most 1,000 of a subject. When it is full,
// Create evicts an expired or revoked family, whose tokens stay invalid, or returns
// an error if there is none.
func NewMemory(maxFamilies int) *Memory {
	if maxFamilies <= 0 {
		maxFamilies = defaultMemoryFamilies
	}
	return &Memory{records: expiring.Map[string, string, Record]{
		Limit:   maxFamilies,
		Expires: (*Record).ends,
		Group:   func(r *Record) string { return r.Subject },
		Clone:   func(r Record) Record { r.Successor = bytes.Clone(r.Successor); return r },
	}}
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, r Record, lifetime time.Duration) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.records.Get(r.ID); ok {
		return Record{}, errors.New("refresh: memory store: family ID already exists")
	}
	now := expiring.Now()
	r = Record{
		Family: Family{
			ID: r.ID, Grant: r.Grant, Created: now, Expires: now.Add(lifetime.Truncate(time.Microsecond)), Generation: 1,
		},
		Key: r.Key, Current: r.Current, AsOf: now,
	}
	if !r.AuthTime.IsZero() {
		r.AuthTime = time.UnixMicro(r.AuthTime.UnixMicro()).UTC()
	}
	if m.records.GroupLen(r.Subject) >= maxListed {
		ended := func(other *Record) bool { return !other.ends().After(now) }
		for id := range m.records.InGroup(r.Subject, ended) {
			m.records.Delete(id)
			break
		}
	}
	if m.records.GroupLen(r.Subject) >= maxListed {
		return Record{}, fmt.Errorf("refresh: memory store: the subject has %d active families", maxListed)
	}
	if err := m.records.Put(r.ID, r, now); err != nil {
		return Record{}, fmt.Errorf("refresh: memory store: %w", err)
	}
	return r, nil
}

// ends returns the time from which the record can be evicted, because the tokens of the
// family are then invalid anyway.
func (r *Record) ends() time.Time {
	if !r.Revoked.IsZero() {
		return r.Revoked
	}
	return r.Expires
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.records.Get(id)
	if !ok {
		return Record{}, ErrNotFound
	}
	r.AsOf = expiring.Now()
	return r, nil
}

// Rotate implements [Store].
func (m *Memory) Rotate(ctx context.Context, id string, p Presentation) (Record, Outcome, error) {
	var outcome Outcome
	record, err := m.change(ctx, id, func(r *Record) error {
		if r.Key != p.Key {
			return ErrNotFound
		}
		outcome = r.rotate(p)
		return nil
	})
	return record, outcome, err
}

// rotate decides on p at the time r.AsOf.
//
// Implements RFC 6749 §10.4 (binding); RFC 9700 §4.14.2 (rotation).
func (r *Record) rotate(p Presentation) Outcome {
	switch {
	case !r.Revoked.IsZero():
		return Revoked
	case !r.active():
		return Expired
	case r.Client != p.Client:
	case r.Current == p.Secret:
		r.Previous, r.Current, r.Successor = r.Current, p.Next, p.Successor
		r.Rotated, r.GraceEnds = r.AsOf, r.AsOf.Add(p.Grace.Truncate(time.Microsecond))
		if r.Expires.Before(r.GraceEnds) {
			r.GraceEnds = r.Expires
		}
		r.Generation++
		return Rotated
	case r.Previous == p.Secret && r.GraceEnds.After(r.AsOf):
		return Replayed
	}
	r.revoke()
	return Reused
}

// Revoke implements [Store].
func (m *Memory) Revoke(ctx context.Context, id string) (Record, error) {
	return m.change(ctx, id, func(r *Record) error {
		if r.Revoked.IsZero() {
			r.revoke()
		}
		return nil
	})
}

// change replaces the record of id by the result of f, unless f fails.
func (m *Memory) change(ctx context.Context, id string, f func(r *Record) error) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records.Get(id)
	if !ok {
		return Record{}, ErrNotFound
	}
	r.AsOf = expiring.Now()
	if err := f(&r); err != nil {
		return Record{}, err
	}
	m.records.Cache(id, r)
	return r, nil
}

// RevokeAll implements [Store].
func (m *Memory) RevokeAll(ctx context.Context, f Filter, limit int) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var revoked []Record
	for id, r := range m.active(f, expiring.Now()) {
		if len(revoked) >= limit {
			break
		}
		r.revoke()
		m.records.Cache(id, r)
		revoked = append(revoked, r)
	}
	return revoked, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, f Filter, limit int) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.Subject == "" {
		return nil, nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []Record
	for _, r := range m.active(f, expiring.Now()) {
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b Record) int {
		return cmp.Or(b.lastUsed().Compare(a.lastUsed()), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(len(found), max(limit, 0))], nil
}

// active yields copies of the records of active families that match a filter, with
// AsOf set to now.
func (m *Memory) active(f Filter, now time.Time) iter.Seq2[string, Record] {
	match := func(r *Record) bool {
		return r.Revoked.IsZero() && r.Expires.After(now) && (f.Client == "" || f.Client == r.Client) && r.ID != f.Except
	}
	records := m.records.All(match)
	if f.Subject != "" {
		records = m.records.InGroup(f.Subject, match)
	} else if f.Client == "" {
		records = func(func(string, Record) bool) {}
	}
	return func(yield func(string, Record) bool) {
		for id, r := range records {
			r.AsOf = now
			if !yield(id, r) {
				return
			}
		}
	}
}

// active reports whether the family is active at the time r.AsOf.
func (r *Record) active() bool { return r.Revoked.IsZero() && r.Expires.After(r.AsOf) }

func (r *Record) revoke() { r.Revoked, r.Successor = r.AsOf, nil }

func (r *Record) lastUsed() time.Time {
	if r.Rotated.IsZero() {
		return r.Created
	}
	return r.Rotated
}
