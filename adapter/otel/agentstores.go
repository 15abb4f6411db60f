// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"context"
	"time"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Budgets returns a store that calls s and records the duration of each call.
func (t *Telemetry) Budgets(s budget.Store) budget.Store {
	if _, ok := s.(*budget.Memory); ok || typednil.Is(s) {
		return s
	}
	return budgets{s, t.timer("budget")}
}

type budgets struct {
	store budget.Store
	timer timer
}

func (w budgets) Reserve(ctx context.Context, r budget.Reservation) (_ budget.Result, err error) {
	defer w.timer.record(ctx, "reserve", time.Now(), &err)
	return w.store.Reserve(ctx, r)
}

func (w budgets) Extend(ctx context.Context, r budget.Reservation) (_ budget.Result, err error) {
	defer w.timer.record(ctx, "extend", time.Now(), &err)
	return w.store.Extend(ctx, r)
}

func (w budgets) Settle(ctx context.Context, tenant, id string, amounts []int64) (_ budget.Result, err error) {
	defer w.timer.record(ctx, "settle", time.Now(), &err)
	return w.store.Settle(ctx, tenant, id, amounts)
}

func (w budgets) Read(ctx context.Context, tenant, account, window string, since time.Time) (_ []budget.Counter, _ time.Time, err error) {
	defer w.timer.record(ctx, "read", time.Now(), &err)
	return w.store.Read(ctx, tenant, account, window, since)
}

func (w budgets) List(ctx context.Context, tenant string, limit int) (_ []budget.Counter, _ time.Time, err error) {
	defer w.timer.record(ctx, "list", time.Now(), &err)
	return w.store.List(ctx, tenant, limit)
}

func (w budgets) Sweep(ctx context.Context, limit int) (_ int, err error) {
	defer w.timer.record(ctx, "sweep", time.Now(), &err)
	return w.store.Sweep(ctx, limit)
}

// Approvals returns a store that calls s and records the duration of each call.
func (t *Telemetry) Approvals(s approval.Store) approval.Store {
	if _, ok := s.(*approval.Memory); ok || typednil.Is(s) {
		return s
	}
	return approvals{s, t.timer("approval", approval.ErrNotFound, approval.ErrTooMany)}
}

type approvals struct {
	store approval.Store
	timer timer
}

func (w approvals) Request(ctx context.Context, a approval.Approval, limits approval.Limits, again bool) (_ approval.Approval, _ bool, err error) {
	defer w.timer.record(ctx, "request", time.Now(), &err)
	return w.store.Request(ctx, a, limits, again)
}

func (w approvals) Find(ctx context.Context, tenant, id string) (_ approval.Approval, err error) {
	defer w.timer.record(ctx, "find", time.Now(), &err)
	return w.store.Find(ctx, tenant, id)
}

func (w approvals) Decide(ctx context.Context, tenant, id string, d approval.Decision) (_ approval.Approval, _ bool, err error) {
	defer w.timer.record(ctx, "decide", time.Now(), &err)
	return w.store.Decide(ctx, tenant, id, d)
}

func (w approvals) Claim(ctx context.Context, tenant string, digest approval.Digest) (_ approval.Approval, err error) {
	defer w.timer.record(ctx, "claim", time.Now(), &err)
	return w.store.Claim(ctx, tenant, digest)
}

func (w approvals) List(ctx context.Context, f approval.Filter, limit, maxBytes int) (_ []approval.Approval, err error) {
	defer w.timer.record(ctx, "list", time.Now(), &err)
	return w.store.List(ctx, f, limit, maxBytes)
}

// Agents returns a store that calls s and records the duration of each call.
func (t *Telemetry) Agents(s agent.Store) agent.Store {
	if _, ok := s.(*agent.Memory); ok || typednil.Is(s) {
		return s
	}
	return agents{s, t.timer("agent", agent.ErrNotFound, agent.ErrConflict, agent.ErrDecommissioned)}
}

type agents struct {
	store agent.Store
	timer timer
}

func (w agents) Register(ctx context.Context, id, tenant string, details []byte) (_ agent.Record, err error) {
	defer w.timer.record(ctx, "register", time.Now(), &err)
	return w.store.Register(ctx, id, tenant, details)
}

func (w agents) Find(ctx context.Context, id string) (_ agent.Record, err error) {
	defer w.timer.record(ctx, "find", time.Now(), &err)
	return w.store.Find(ctx, id)
}

func (w agents) Decommission(ctx context.Context, tenant, id string) (_ agent.Record, err error) {
	defer w.timer.record(ctx, "decommission", time.Now(), &err)
	return w.store.Decommission(ctx, tenant, id)
}

func (w agents) List(ctx context.Context, tenant, after string, limit int) (_ []agent.Record, err error) {
	defer w.timer.record(ctx, "list", time.Now(), &err)
	return w.store.List(ctx, tenant, after, limit)
}

// Upstreams returns a store that calls s and records the duration of each call.
func (t *Telemetry) Upstreams(s upstream.Store) upstream.Store {
	if _, ok := s.(*upstream.Memory); ok || typednil.Is(s) {
		return s
	}
	return upstreams{s, t.timer("upstream", upstream.ErrConflict)}
}

type upstreams struct {
	store upstream.Store
	timer timer
}

func (w upstreams) Load(ctx context.Context, name string) (_ upstream.Record, err error) {
	defer w.timer.record(ctx, "load", time.Now(), &err)
	return w.store.Load(ctx, name)
}

func (w upstreams) Swap(ctx context.Context, name string, revision int64, data []byte) (err error) {
	defer w.timer.record(ctx, "swap", time.Now(), &err)
	return w.store.Swap(ctx, name, revision, data)
}
