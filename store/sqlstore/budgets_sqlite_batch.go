// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/batch"
	"github.com/gatehouse-go/gatehouse/store/internal/budgets"
)

// localCall is a call on SQLite. do decides on it and makes its changes, with the hold of
// the ID, nil if there is none.
type localCall struct {
	tenant, id string
	counters   int // how many it reads
	do         func(tx *budgetTx, known *budgetHold) (budget.Result, error)
}

// init sets the fields of the queue.
func (b *Budgets) init() {
	b.local.Send, b.local.Limit, b.local.Weigh = b.together, budgets.Batch, func(c localCall) int { return c.counters }
}

func localReserve(r budget.Reservation) localCall {
	return localCall{r.Tenant, r.ID, budgets.Counters(r), func(tx *budgetTx, known *budgetHold) (budget.Result, error) {
		return tx.reserve(r, known)
	}}
}

func localExtend(r budget.Reservation) localCall {
	return localCall{r.Tenant, r.ID, budgets.Counters(r), func(tx *budgetTx, known *budgetHold) (budget.Result, error) {
		return tx.extend(r, known)
	}}
}

func localSettle(tenant, id string, amounts []int64) localCall {
	return localCall{tenant, id, len(amounts), func(tx *budgetTx, known *budgetHold) (budget.Result, error) {
		return tx.settle(tenant, id, amounts, known)
	}}
}

// locally executes a call in a transaction, with the other calls that wait for the writer.
func (b *Budgets) locally(ctx context.Context, verb string, c localCall) (budget.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	r, err := b.local.Do(ctx, c)
	if err != nil {
		return budget.Result{}, fmt.Errorf("sqlstore: %s budget: %w", verb, err)
	}
	return r, nil
}

// together executes calls in one transaction, one after the other. If one call fails
// and the engine works, the transaction is rolled back and each call is executed by
// itself.
func (b *Budgets) together(ctx context.Context, calls []*batch.Call[localCall, budget.Result]) {
	ctx, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	single := false
	err := b.transaction(ctx, func(tx *budgetTx) error {
		known, err := tx.begin(calls[0].Query.tenant, calls[0].Query.id)
		for i, c := range calls {
			if i > 0 {
				known, err = tx.find(c.Query.tenant, c.Query.id)
			}
			if err == nil {
				c.Result, err = c.Query.do(tx, known)
			}
			if err != nil {
				single = len(calls) > 1 && ctx.Err() == nil
				return err
			}
			c.Result.At = time.UnixMicro(tx.now).UTC()
		}
		return nil
	})
	for _, c := range calls {
		if c.Err = err; single {
			b.together(ctx, []*batch.Call[localCall, budget.Result]{c})
		}
	}
}

// transaction runs f in a transaction, as the only writer.
func (b *Budgets) transaction(ctx context.Context, f func(tx *budgetTx) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	release, err := b.store.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	conn, err := b.store.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return b.store.exclusive(ctx, conn, "", func() error { return f(&budgetTx{ctx: ctx, conn: conn}) })
}
