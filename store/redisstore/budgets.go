// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the scripts
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/batch"
	"github.com/gatehouse-go/gatehouse/store/internal/budgets"
)

var (
	//go:embed lua/budgets.lua
	budgetsCommon string
	//go:embed lua/budgets_hold.lua
	budgetsHold string
	//go:embed lua/budgets_settle.lua
	budgetsSettle string
	//go:embed lua/budgets_read.lua
	budgetsRead string
	//go:embed lua/budgets_sweep.lua
	budgetsSweep string
)

var (
	holdBudgetScript   = newChange(timeCommon, budgetsCommon, budgetsHold)
	settleBudgetScript = newRevocation(timeCommon, budgetsCommon, budgetsSettle)
	readBudgetsScript  = newQuery(timeCommon, budgetsCommon, budgetsRead)
	sweepBudgetsScript = newRevocation(timeCommon, budgetsCommon, budgetsSweep)
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
// Concurrent calls of one slot are sent as one script, which decides on each in the
// order in which they came. A call whose context ends while it is sent together with
// other calls may still be executed.
//
// A failover to a replica can lose the latest changes: a budget can be exceeded by
// what was held then.
type Budgets struct {
	store   *Store
	holds   [budgetShards]budgetQueue // of Reserve and Extend
	settled [budgetShards]budgetQueue
}

var _ budget.Store = (*Budgets)(nil)

// budgetQueue is the queue of the requests of a shard.
type budgetQueue = batch.Queue[request, budget.Result]

// request is the part of a call in the arguments of a script.
type request struct {
	args     []any
	counters int // how many it reads
}

func (r request) weight() int { return r.counters }

// Budgets returns the store of budgets.
func (s *Store) Budgets() *Budgets { return &s.budgets }

// init sets the fields. The queues are those of the whole store, so that all its users
// share them.
func (b *Budgets) init(s *Store) {
	b.store = s
	for n := range budgetShards {
		b.holds[n] = budgetQueue{Send: b.send(holdBudgetScript, n), Limit: budgets.Batch, Weigh: request.weight}
		b.settled[n] = budgetQueue{Send: b.send(settleBudgetScript, n), Limit: budgets.Batch, Weigh: request.weight}
	}
}

// shardOf returns the number of the hash tag of a tenant.
func shardOf(tenant string) int {
	hash := fnv.New32a()
	hash.Write([]byte(tenant))
	return int(hash.Sum32() % budgetShards)
}

// base returns the prefix of the names of a tenant.
func (b *Budgets) base(tenant string) string { return b.shard(shardOf(tenant)) }

// The second number is the version of the format.
func (b *Budgets) shard(n int) string { return fmt.Sprintf("{%s:%d}:budgets:2", b.store.prefix, n) }

// Reserve implements [budget.Store].
func (b *Budgets) Reserve(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	return b.call(ctx, "reserve", &b.holds[shardOf(r.Tenant)], r.Tenant, hold("reserve", r))
}

// Extend implements [budget.Store].
func (b *Budgets) Extend(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	return b.call(ctx, "extend", &b.holds[shardOf(r.Tenant)], r.Tenant, hold("extend", r))
}

// Settle implements [budget.Store].
func (b *Budgets) Settle(ctx context.Context, tenant, id string, amounts []int64) (budget.Result, error) {
	return b.call(ctx, "settle", &b.settled[shardOf(tenant)], tenant, settlement(tenant, id, amounts))
}

func settlement(tenant, id string, amounts []int64) request {
	args := make([]any, 1, 1+len(amounts))
	args[0] = nameOf(tenant, id)
	for _, amount := range amounts {
		args = append(args, amount)
	}
	return request{args, len(amounts)}
}

func hold(verb string, r budget.Reservation) request {
	args := make([]any, 3, 3+9*len(r.Entries))
	args[0], args[1], args[2] = verb, nameOf(r.Tenant, r.ID), r.TTL.Microseconds()
	for _, e := range r.Entries {
		args = append(args, nameOf(r.Tenant, e.Account, e.Window), e.Start.UnixMicro(), e.Next.UnixMicro(), e.End.UnixMicro(),
			e.Since.UnixMicro(), e.Max, e.Limit, e.Amount, e.Floor)
	}
	return request{args, budgets.Counters(r)}
}

// nameOf returns the name of a hold or a series: its parts, each with its length before it.
func nameOf(parts ...string) string {
	var name []byte
	for i, part := range parts {
		if i > 0 {
			name = append(name, ':')
		}
		name = append(append(strconv.AppendInt(name, int64(len(part)), 10), ':'), part...)
	}
	return string(name)
}

// send returns a function that executes requests of a shard in one script.
func (b *Budgets) send(script *script, shard int) func(context.Context, []*batch.Call[request, budget.Result]) {
	return func(ctx context.Context, calls []*batch.Call[request, budget.Result]) {
		var args []any
		for _, c := range calls {
			args = append(append(args, len(c.Query.args)), c.Query.args...)
		}
		reply, err := b.store.run(ctx, script, b.shard(shard), args...)
		if err == nil && len(reply) != len(calls) {
			err = errReply
		}
		for i, c := range calls {
			if c.Err = err; err == nil {
				c.Result, c.Err = parseResult(reply[i])
			}
		}
	}
}

const (
	stale budget.Outcome = "stale"
	// tries is how often a call is repeated after a sweep.
	tries = 5
)

// call makes a request that changes a hold. If the answer is stale, because a hold that
// it counts has expired, call sweeps and makes the request again.
func (b *Budgets) call(ctx context.Context, verb string, queue *budgetQueue, tenant string, request request) (budget.Result, error) {
	for range tries {
		r, err := b.wait(ctx, queue, request)
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

func (b *Budgets) wait(ctx context.Context, queue *budgetQueue, request request) (budget.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	return queue.Do(ctx, request)
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
func parseResult(item any) (r budget.Result, err error) {
	if err, ok := item.(error); ok {
		return r, err
	}
	reply, _ := item.([]any)
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
