// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/session"
)

var errUnprepared = errors.New("the store is not prepared")

// checkedKeys are the API keys of a store that is ready.
type checkedKeys struct {
	apikey.Store
	store *store
}

func (s *store) checkedKeys() apikey.Store {
	if s.driver == "memory" {
		return s.keys
	}
	return checkedKeys{s.keys, s}
}

func (c checkedKeys) Find(ctx context.Context, id string) (apikey.Record, error) {
	if !c.store.ready.Load() {
		return apikey.Record{}, errUnprepared
	}
	return c.Store.Find(ctx, id)
}

// checkedAgents are the agents of a store that is ready.
type checkedAgents struct {
	agent.Store
	store *store
}

func (c checkedAgents) Find(ctx context.Context, id string) (agent.Record, error) {
	if !c.store.ready.Load() {
		return agent.Record{}, errUnprepared
	}
	return c.Store.Find(ctx, id)
}

func (c checkedAgents) Decommission(ctx context.Context, tenant, id string) (agent.Record, error) {
	if !c.store.ready.Load() {
		return agent.Record{}, errUnprepared
	}
	return c.Store.Decommission(ctx, tenant, id)
}

// checkedApprovals are the approvals of a store that is ready. Request and Claim are for
// agents, which are found first.
type checkedApprovals struct {
	approval.Store
	store *store
}

func (s *store) checkedApprovals() approval.Store {
	if s.driver == "memory" {
		return s.approvals
	}
	return checkedApprovals{s.approvals, s}
}

func (c checkedApprovals) Find(ctx context.Context, tenant, id string) (approval.Approval, error) {
	if !c.store.ready.Load() {
		return approval.Approval{}, errUnprepared
	}
	return c.Store.Find(ctx, tenant, id)
}

func (c checkedApprovals) Decide(ctx context.Context, tenant, id string, d approval.Decision) (approval.Approval, bool, error) {
	if !c.store.ready.Load() {
		return approval.Approval{}, false, errUnprepared
	}
	return c.Store.Decide(ctx, tenant, id, d)
}

func (c checkedApprovals) List(ctx context.Context, f approval.Filter, limit, maxBytes int) ([]approval.Approval, error) {
	if !c.store.ready.Load() {
		return nil, errUnprepared
	}
	return c.Store.List(ctx, f, limit, maxBytes)
}

// checkedReplays are the used proofs of a store that is ready.
type checkedReplays struct {
	dpop.ReplayStore
	store *store
}

func (s *store) checkedReplays() dpop.ReplayStore {
	if s.driver == "memory" {
		return s.replays
	}
	return checkedReplays{s.replays, s}
}

func (c checkedReplays) Insert(ctx context.Context, key [sha256.Size]byte, lifetime time.Duration) (bool, error) {
	if !c.store.ready.Load() {
		return false, errUnprepared
	}
	return c.ReplayStore.Insert(ctx, key, lifetime)
}

// checkedSessions are the sessions of a store that is ready.
type checkedSessions struct {
	session.Store
	store *store
}

func (s *store) checkedSessions() session.Store {
	if s.driver == "memory" {
		return s.sessions
	}
	return checkedSessions{s.sessions, s}
}

func (c checkedSessions) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	if !c.store.ready.Load() {
		return session.Record{}, errUnprepared
	}
	return c.Store.Create(ctx, r, lifetime)
}

func (c checkedSessions) Get(ctx context.Context, id string) (session.Record, error) {
	if !c.store.ready.Load() {
		return session.Record{}, errUnprepared
	}
	return c.Store.Get(ctx, id)
}

func (c checkedSessions) DeleteAll(ctx context.Context, selector session.Selector) (int, error) {
	if !c.store.ready.Load() {
		return 0, errUnprepared
	}
	return c.Store.DeleteAll(ctx, selector)
}
