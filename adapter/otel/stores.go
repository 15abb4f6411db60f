// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
)

// APIKeys returns a store that calls s and records the duration of each call.
func (t *Telemetry) APIKeys(s apikey.Store) apikey.Store {
	if _, ok := s.(*apikey.Memory); ok || typednil.Is(s) {
		return s
	}
	return apiKeys{s, t.timer("apikey", apikey.ErrNotFound, apikey.ErrConflict)}
}

type apiKeys struct {
	store apikey.Store
	timer timer
}

func (w apiKeys) Create(ctx context.Context, r apikey.Record) (_ apikey.Record, err error) {
	defer w.timer.record(ctx, "create", time.Now(), &err)
	return w.store.Create(ctx, r)
}

func (w apiKeys) Find(ctx context.Context, id string) (_ apikey.Record, err error) {
	defer w.timer.record(ctx, "find", time.Now(), &err)
	return w.store.Find(ctx, id)
}

func (w apiKeys) Rotate(ctx context.Context, id string, r apikey.Rotation) (_ apikey.Record, err error) {
	defer w.timer.record(ctx, "rotate", time.Now(), &err)
	return w.store.Rotate(ctx, id, r)
}

func (w apiKeys) Revoke(ctx context.Context, id string) (_ apikey.Record, err error) {
	defer w.timer.record(ctx, "revoke", time.Now(), &err)
	return w.store.Revoke(ctx, id)
}

func (w apiKeys) RevokeAll(ctx context.Context, f apikey.Filter, limit int) (_ []apikey.Record, err error) {
	defer w.timer.record(ctx, "revoke_all", time.Now(), &err)
	return w.store.RevokeAll(ctx, f, limit)
}

func (w apiKeys) Suspend(ctx context.Context, id string, on bool) (_ apikey.Record, err error) {
	defer w.timer.record(ctx, "suspend", time.Now(), &err)
	return w.store.Suspend(ctx, id, on)
}

func (w apiKeys) Touch(ctx context.Context, id string, uses int64, every time.Duration) (_ bool, err error) {
	defer w.timer.record(ctx, "touch", time.Now(), &err)
	return w.store.Touch(ctx, id, uses, every)
}

func (w apiKeys) Delete(ctx context.Context, id string) (err error) {
	defer w.timer.record(ctx, "delete", time.Now(), &err)
	return w.store.Delete(ctx, id)
}

func (w apiKeys) Import(ctx context.Context, r apikey.Record) (_ apikey.Record, err error) {
	defer w.timer.record(ctx, "import", time.Now(), &err)
	return w.store.Import(ctx, r)
}

func (w apiKeys) List(ctx context.Context, q apikey.Query) (_ []apikey.Record, err error) {
	defer w.timer.record(ctx, "list", time.Now(), &err)
	return w.store.List(ctx, q)
}

// Sessions returns a store that calls s and records the duration of each call.
func (t *Telemetry) Sessions(s session.Store) session.Store {
	if _, ok := s.(*session.Memory); ok || typednil.Is(s) {
		return s
	}
	return sessions{s, t.timer("session", session.ErrNotFound, session.ErrConflict)}
}

type sessions struct {
	store session.Store
	timer timer
}

func (w sessions) Create(ctx context.Context, r session.Record, lifetime time.Duration) (_ session.Record, err error) {
	defer w.timer.record(ctx, "create", time.Now(), &err)
	return w.store.Create(ctx, r, lifetime)
}

func (w sessions) Get(ctx context.Context, id string) (_ session.Record, err error) {
	defer w.timer.record(ctx, "get", time.Now(), &err)
	return w.store.Get(ctx, id)
}

func (w sessions) Swap(ctx context.Context, id string, version int64, c session.Change) (_ session.Record, err error) {
	defer w.timer.record(ctx, "swap", time.Now(), &err)
	return w.store.Swap(ctx, id, version, c)
}

func (w sessions) Touch(ctx context.Context, id string, every time.Duration) (_ bool, err error) {
	defer w.timer.record(ctx, "touch", time.Now(), &err)
	return w.store.Touch(ctx, id, every)
}

func (w sessions) Delete(ctx context.Context, id string) (err error) {
	defer w.timer.record(ctx, "delete", time.Now(), &err)
	return w.store.Delete(ctx, id)
}

func (w sessions) DeleteAll(ctx context.Context, s session.Selector) (_ int, err error) {
	defer w.timer.record(ctx, "delete_all", time.Now(), &err)
	return w.store.DeleteAll(ctx, s)
}

func (w sessions) List(ctx context.Context, s session.Selector, limit int) (_ []session.Record, err error) {
	defer w.timer.record(ctx, "list", time.Now(), &err)
	return w.store.List(ctx, s, limit)
}

// Families returns a store that calls s and records the duration of each call.
func (t *Telemetry) Families(s refresh.Store) refresh.Store {
	if _, ok := s.(*refresh.Memory); ok || typednil.Is(s) {
		return s
	}
	return families{s, t.timer("refresh", refresh.ErrNotFound)}
}

type families struct {
	store refresh.Store
	timer timer
}

func (w families) Create(ctx context.Context, r refresh.Record, lifetime time.Duration) (_ refresh.Record, err error) {
	defer w.timer.record(ctx, "create", time.Now(), &err)
	return w.store.Create(ctx, r, lifetime)
}

func (w families) Find(ctx context.Context, id string) (_ refresh.Record, err error) {
	defer w.timer.record(ctx, "find", time.Now(), &err)
	return w.store.Find(ctx, id)
}

func (w families) Rotate(ctx context.Context, id string, p refresh.Presentation) (_ refresh.Record, _ refresh.Outcome, err error) {
	defer w.timer.record(ctx, "rotate", time.Now(), &err)
	return w.store.Rotate(ctx, id, p)
}

func (w families) Revoke(ctx context.Context, id string) (_ refresh.Record, err error) {
	defer w.timer.record(ctx, "revoke", time.Now(), &err)
	return w.store.Revoke(ctx, id)
}

func (w families) RevokeAll(ctx context.Context, f refresh.Filter, limit int) (_ []refresh.Record, err error) {
	defer w.timer.record(ctx, "revoke_all", time.Now(), &err)
	return w.store.RevokeAll(ctx, f, limit)
}

func (w families) List(ctx context.Context, f refresh.Filter, limit int) (_ []refresh.Record, err error) {
	defer w.timer.record(ctx, "list", time.Now(), &err)
	return w.store.List(ctx, f, limit)
}

// Revocations returns a store that calls s and records the duration of each call.
func (t *Telemetry) Revocations(s revocation.Store) revocation.Store {
	if _, ok := s.(*revocation.Memory); ok || typednil.Is(s) {
		return s
	}
	return revocations{s, t.timer("revocation")}
}

type revocations struct {
	store revocation.Store
	timer timer
}

func (w revocations) Revoke(ctx context.Context, target revocation.Target, lifetime time.Duration) (err error) {
	defer w.timer.record(ctx, "revoke", time.Now(), &err)
	return w.store.Revoke(ctx, target, lifetime)
}

func (w revocations) Find(ctx context.Context, targets []revocation.Target) (_ []time.Time, err error) {
	defer w.timer.record(ctx, "find", time.Now(), &err)
	return w.store.Find(ctx, targets)
}

// Replays returns a store that calls s and records the duration of each call.
func (t *Telemetry) Replays(s dpop.ReplayStore) dpop.ReplayStore {
	if _, ok := s.(*dpop.Memory); ok || typednil.Is(s) {
		return s
	}
	return replays{s, t.timer("replay")}
}

type replays struct {
	store dpop.ReplayStore
	timer timer
}

func (w replays) Insert(ctx context.Context, key [sha256.Size]byte, lifetime time.Duration) (_ bool, err error) {
	defer w.timer.record(ctx, "insert", time.Now(), &err)
	return w.store.Insert(ctx, key, lifetime)
}
