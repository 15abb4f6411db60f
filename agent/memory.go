// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

const defaultMemoryAgents = 10_000

// Memory is a [Store] for one process. Its agents are lost when the process ends; a
// decommissioned agent can then be registered again. It uses the clock of the process,
// and is safe for concurrent use.
type Memory struct {
	limit   int
	mu      sync.RWMutex
	records map[string]Record
}

var _ Store = (*Memory)(nil)

// NewMemory returns a store of at most maxAgents agents, 10,000 if maxAgents is not
// positive. When it is full, Register returns an error for new agents.
func NewMemory(maxAgents int) *Memory {
	if maxAgents <= 0 {
		maxAgents = defaultMemoryAgents
	}
	return &Memory{limit: maxAgents, records: make(map[string]Record)}
}

// Register implements [Store].
func (m *Memory) Register(ctx context.Context, id, tenant string, details []byte) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := expiring.Now()
	r, ok := m.records[id]
	switch {
	case !ok && len(m.records) >= m.limit:
		return Record{}, errors.New("agent: memory store: is full")
	case !ok:
		r = Record{ID: id, Tenant: tenant, Created: now}
	case r.Tenant != tenant:
		return Record{}, ErrConflict
	case !r.Decommissioned.IsZero():
		return Record{}, ErrDecommissioned
	case bytes.Equal(r.Details, details): //nolint:forbidigo // public data
		return r.clone(), nil
	}
	r.Details, r.Changed = bytes.Clone(details), now
	r.Generation++
	m.records[id] = r
	return r.clone(), nil
}

func (r Record) clone() Record {
	r.Details = bytes.Clone(r.Details)
	return r
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.records[id]
	if !ok {
		return Record{}, ErrNotFound
	}
	return r.clone(), nil
}

// Decommission implements [Store].
func (m *Memory) Decommission(ctx context.Context, tenant, id string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	if !ok || r.Tenant != tenant {
		return Record{}, ErrNotFound
	}
	if r.Decommissioned.IsZero() {
		r.Decommissioned = expiring.Now()
		r.Changed = r.Decommissioned
		r.Generation++
		m.records[id] = r
	}
	return r.clone(), nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, tenant, after string, limit int) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []Record
	for id, r := range m.records {
		if r.Tenant == tenant && id > after {
			found = append(found, r.clone())
		}
	}
	slices.SortFunc(found, func(a, b Record) int { return cmp.Compare(a.ID, b.ID) })
	return found[:min(len(found), max(limit, 0))], nil
}
