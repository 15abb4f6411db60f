// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// Read implements [budget.Store].
func (b *Budgets) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	return b.counters(ctx, "read", tenant, tenant, nameOf(tenant, account, window), since.UnixMicro())
}

// List implements [budget.Store].
func (b *Budgets) List(ctx context.Context, tenant string, limit int) ([]budget.Counter, time.Time, error) {
	counters, at, err := b.counters(ctx, "list", tenant, tenant, "", 0)
	slices.SortFunc(counters, func(a, b budget.Counter) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Window, b.Window), a.Start.Compare(b.Start))
	})
	return counters[:min(len(counters), max(limit, 0))], at, err
}

func (b *Budgets) counters(ctx context.Context, verb, tenant string, args ...any) ([]budget.Counter, time.Time, error) {
	for range tries {
		reply, err := b.store.run(ctx, readBudgetsScript, b.base(tenant), args...)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("redisstore: %s budgets: %w", verb, err)
		}
		counters, at, stale, err := parseCounters(reply)
		if err != nil {
			return nil, at, fmt.Errorf("redisstore: %s budgets: %w", verb, err)
		}
		if !stale {
			return counters, at, nil
		}
		if err := b.sweepTenant(ctx, tenant); err != nil {
			return nil, at, err
		}
	}
	return nil, time.Time{}, fmt.Errorf("redisstore: %s budgets: holds expire faster than they can be swept", verb)
}

// parseCounters reads the reply of lua/budgets_read.lua.
func parseCounters(reply []any) (counters []budget.Counter, at time.Time, stale bool, err error) {
	if len(reply) < 2 {
		return nil, at, false, errReply
	}
	now, err := parseIntegers(reply[:1])
	due, ok := reply[1].(int64)
	if err != nil || !ok {
		return nil, at, false, errReply
	}
	at = time.UnixMicro(now[0]).UTC()
	for _, item := range reply[2:] {
		row, _ := item.([]any)
		if len(row) != 7 {
			return nil, at, false, errReply
		}
		account, isAccount := row[0].(string)
		window, isWindow := row[1].(string)
		n, err := parseIntegers(row[2:])
		if !isAccount || !isWindow || err != nil {
			return nil, at, false, errReply
		}
		counters = append(counters, budget.Counter{
			Account: account, Window: window, Start: time.UnixMicro(n[0]).UTC(), End: time.UnixMicro(n[1]).UTC(),
			Max: n[2], Count: budget.Count{Spent: n[3], Held: n[4]},
		})
	}
	return counters, at, due != 0, nil
}

// Sweep implements [budget.Store]. It visits the slots of all tenants. The server
// itself removes old holds and counters.
func (b *Budgets) Sweep(ctx context.Context, limit int) (int, error) {
	expired := 0
	for n := 0; n < budgetShards && expired < limit; n++ {
		swept, err := b.sweep(ctx, b.shard(n), min(limit-expired, sweepAtOnce))
		if err != nil {
			return expired, err
		}
		expired += swept
	}
	return expired, ctx.Err()
}
