// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"cmp"
	"context"
	_ "embed" // for the scripts
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

var (
	//go:embed lua/budgets.lua
	budgetsCommon string
	//go:embed lua/budgets_entries.lua
	budgetsEntries string
	//go:embed lua/budgets_reserve.lua
	budgetsReserve string
	//go:embed lua/budgets_extend.lua
	budgetsExtend string
	//go:embed lua/budgets_settle.lua
	budgetsSettle string
	//go:embed lua/budgets_read.lua
	budgetsRead string
	//go:embed lua/budgets_sweep.lua
	budgetsSweep string
)

var (
	reserveBudgetScript = newChange(timeCommon, budgetsCommon, budgetsEntries, budgetsReserve)
	extendBudgetScript  = newChange(timeCommon, budgetsCommon, budgetsEntries, budgetsExtend)
	settleBudgetScript  = newRevocation(timeCommon, budgetsCommon, budgetsSettle)
	readBudgetsScript   = newQuery(timeCommon, budgetsCommon, budgetsRead)
	sweepBudgetsScript  = newRevocation(timeCommon, budgetsCommon, budgetsSweep)
)

const (
	// budgetShards is the number of hash tags over which tenants are spread.
	budgetShards = 32
	// sweepAtOnce is the number of holds that one script makes expire.
	sweepAtOnce = 500
)

// Budgets is a [budget.Store]. Every method is one atomic script, and the clock is
// that of the server. A tenant is in one slot of a cluster.
//
// A failover to a replica can lose the latest changes: a budget can be exceeded by
// what was held then.
type Budgets struct{ store *Store }

var _ budget.Store = (*Budgets)(nil)

// Budgets returns the store of budgets.
func (s *Store) Budgets() *Budgets { return &Budgets{s} }

// base returns the prefix of the names of a tenant.
func (b *Budgets) base(tenant string) string {
	hash := fnv.New32a()
	hash.Write([]byte(tenant))
	return b.shard(int(hash.Sum32() % budgetShards))
}

// The second number is the version of the format.
func (b *Budgets) shard(n int) string { return fmt.Sprintf("{%s:%d}:budgets:1", b.store.prefix, n) }

// Reserve implements [budget.Store].
func (b *Budgets) Reserve(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	return b.call(ctx, "reserve", reserveBudgetScript, r.Tenant, reservation(r)...)
}

// Extend implements [budget.Store].
func (b *Budgets) Extend(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	return b.call(ctx, "extend", extendBudgetScript, r.Tenant, reservation(r)...)
}

// Settle implements [budget.Store].
func (b *Budgets) Settle(ctx context.Context, tenant, id string, amounts []int64) (budget.Result, error) {
	args := make([]any, 2, 2+len(amounts))
	args[0], args[1] = tenant, id
	for _, amount := range amounts {
		args = append(args, amount)
	}
	return b.call(ctx, "settle", settleBudgetScript, tenant, args...)
}

func reservation(r budget.Reservation) []any {
	args := make([]any, 3, 3+10*len(r.Entries))
	args[0], args[1], args[2] = r.Tenant, r.ID, r.TTL.Microseconds()
	for _, e := range r.Entries {
		args = append(args, e.Account, e.Window, e.Start.UnixMicro(), e.Next.UnixMicro(), e.End.UnixMicro(),
			e.Since.UnixMicro(), e.Max, e.Limit, e.Amount, e.Floor)
	}
	return args
}

const (
	stale budget.Outcome = "stale"
	// tries is how often a call is repeated after a sweep.
	tries = 5
)

// call runs a script that changes a hold. It answers stale if a hold in its way has
// expired: after a sweep it runs again.
func (b *Budgets) call(ctx context.Context, verb string, script *script, tenant string, args ...any) (budget.Result, error) {
	for range tries {
		reply, err := b.store.run(ctx, script, b.base(tenant), args...)
		if err != nil {
			return budget.Result{}, fmt.Errorf("redisstore: %s budget: %w", verb, err)
		}
		r, err := parseResult(reply)
		if err != nil {
			return budget.Result{}, fmt.Errorf("redisstore: %s budget: %w", verb, err)
		}
		if r.Outcome != stale {
			return r, nil
		}
		if err := b.sweepTenant(ctx, tenant); err != nil {
			return budget.Result{}, err
		}
	}
	return budget.Result{}, fmt.Errorf("redisstore: %s budget: holds expire faster than they can be swept", verb)
}

// sweepTenant makes the holds of a tenant expire whose deadline has passed.
func (b *Budgets) sweepTenant(ctx context.Context, tenant string) error {
	for {
		n, err := b.sweep(ctx, b.base(tenant), sweepAtOnce)
		if err != nil || n < sweepAtOnce {
			return err
		}
	}
}

func (b *Budgets) sweep(ctx context.Context, base string, limit int) (int, error) {
	reply, err := b.store.run(ctx, sweepBudgetsScript, base, limit)
	if err != nil {
		return 0, fmt.Errorf("redisstore: sweep budgets: %w", err)
	}
	if len(reply) != 1 {
		return 0, fmt.Errorf("redisstore: sweep budgets: %w", errReply)
	}
	n, ok := reply[0].(int64)
	if !ok {
		return 0, fmt.Errorf("redisstore: sweep budgets: %w", errReply)
	}
	return int(n), nil
}

// parseResult reads an answer: see lua/budgets.lua.
func parseResult(reply []any) (r budget.Result, err error) {
	if len(reply) != 7 {
		return r, errReply
	}
	outcome, isText := reply[0].(string)
	replayed, isNumber := reply[1].(int64)
	entry, isIndex := reply[2].(int64)
	var numbers [4][]int64
	for i, item := range []any{reply[3:4], reply[4:5], reply[5], reply[6]} {
		if numbers[i], err = parseIntegers(item); err != nil {
			return r, err
		}
	}
	if !isText || !isNumber || !isIndex || len(numbers[2])%2 != 0 {
		return r, errReply
	}
	r = budget.Result{
		Outcome: budget.Outcome(outcome), Replayed: replayed != 0, Entry: int(entry),
		At: time.UnixMicro(numbers[0][0]).UTC(), Charged: numbers[3],
	}
	if r.Outcome == budget.Held {
		r.Deadline = time.UnixMicro(numbers[1][0]).UTC()
	}
	for pair := range slices.Chunk(numbers[2], 2) {
		r.Counts = append(r.Counts, budget.Count{Spent: pair[0], Held: pair[1]})
	}
	return r, nil
}

// parseIntegers reads a list of numbers, some of them as text.
func parseIntegers(item any) ([]int64, error) {
	list, ok := item.([]any)
	if !ok {
		return nil, errReply
	}
	var numbers []int64
	for _, item := range list {
		n, ok := item.(int64)
		if !ok {
			var err error
			text, _ := item.(string)
			if n, err = strconv.ParseInt(text, 10, 64); err != nil {
				return nil, errReply
			}
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// Read implements [budget.Store].
func (b *Budgets) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	return b.counters(ctx, "read", tenant, tenant, account, window, since.UnixMicro())
}

// List implements [budget.Store].
func (b *Budgets) List(ctx context.Context, tenant string, limit int) ([]budget.Counter, time.Time, error) {
	counters, at, err := b.counters(ctx, "list", tenant, tenant, "", "", 0)
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
// removes what is old by itself.
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
