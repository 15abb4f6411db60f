// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

// Read implements [Store].
func (m *Memory) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]Counter, time.Time, error) {
	now, err := m.lock(ctx)
	if err != nil {
		return nil, now, err
	}
	defer m.mu.Unlock()
	var counters []Counter
	if s, ok := m.series.Get(seriesKey{tenant, account, window}); ok {
		for _, c := range s.counters {
			if !c.Start.Before(since) {
				counters = append(counters, c)
			}
		}
	}
	return counters, now, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, tenant string, limit int) ([]Counter, time.Time, error) {
	now, err := m.lock(ctx)
	if err != nil {
		return nil, now, err
	}
	defer m.mu.Unlock()
	var counters []Counter
	for _, s := range m.series.InGroup(tenant, nil) {
		for _, c := range s.counters {
			if c.End.After(now) {
				counters = append(counters, c)
			}
		}
	}
	slices.SortFunc(counters, func(a, b Counter) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Window, b.Window), a.Start.Compare(b.Start))
	})
	return counters[:min(len(counters), max(limit, 0))], now, nil
}

// Sweep implements [Store].
func (m *Memory) Sweep(ctx context.Context, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sweep(expiring.Now(), max(limit, 0)), nil
}
