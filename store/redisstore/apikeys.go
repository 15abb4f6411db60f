// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

var (
	//go:embed lua/time.lua
	timeCommon string
	//go:embed lua/apikeys.lua
	apikeysCommon string
	//go:embed lua/apikeys_create.lua
	apikeysCreate string
	//go:embed lua/apikeys_find.lua
	apikeysFind string
	//go:embed lua/apikeys_rotate.lua
	apikeysRotate string
	//go:embed lua/apikeys_revoke.lua
	apikeysRevoke string
	//go:embed lua/apikeys_revoke_all.lua
	apikeysRevokeAll string
	//go:embed lua/apikeys_suspend.lua
	apikeysSuspend string
	//go:embed lua/apikeys_touch.lua
	apikeysTouch string
	//go:embed lua/apikeys_list.lua
	apikeysList string
)

var (
	createScript    = newChange(timeCommon, apikeysCommon, apikeysCreate)
	findScript      = newQuery(timeCommon, apikeysCommon, apikeysFind)
	rotateScript    = newRevocation(timeCommon, apikeysCommon, apikeysRotate)
	revokeScript    = newRevocation(timeCommon, apikeysCommon, apikeysRevoke)
	revokeAllScript = newRevocation(timeCommon, apikeysCommon, apikeysRevokeAll)
	suspendScript   = newRevocation(timeCommon, apikeysCommon, apikeysSuspend)
	touchScript     = newChange(timeCommon, apikeysCommon, apikeysTouch)
	listScript      = newQuery(timeCommon, apikeysCommon, apikeysList)
)

// maxLifetime limits the duration that a script adds to a time. Lua numbers are
// doubles, which are exact to the microsecond until the year 2255. The scripts
// add longer durations only to compare them.
const maxLifetime = 200 * 365 * 24 * time.Hour

// APIKeys is an [apikey.Store] and an [apikey.Watcher]. Each method is one atomic
// script. Its clock is that of the server.
type APIKeys struct {
	store *Store
	base  string
}

var (
	_ apikey.Store   = (*APIKeys)(nil)
	_ apikey.Watcher = (*APIKeys)(nil)
)

// APIKeys returns the store of API keys. All keys are in one slot of a cluster.
func (s *Store) APIKeys() *APIKeys {
	// The number is the version of the format.
	return &APIKeys{store: s, base: "{" + s.prefix + "}:apikeys:1"}
}

// Create implements [apikey.Store].
func (a *APIKeys) Create(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	if r.ID == "" || r.Lifetime > maxLifetime {
		return apikey.Record{}, fmt.Errorf("redisstore: create API key %q: an ID is required, and a lifetime of at most %v, got %v", r.ID, maxLifetime, r.Lifetime)
	}
	return a.one(ctx, "create", createScript,
		r.ID, r.Owner, r.Tenant, r.Environment, r.Scopes.String(), clientaddr.FormatList(r.Networks), r.Metadata.String(),
		r.Lifetime.Microseconds(), hashText(r.Current))
}

// Find implements [apikey.Store].
func (a *APIKeys) Find(ctx context.Context, id string) (apikey.Record, error) {
	return a.one(ctx, "find", findScript, id)
}

// Rotate implements [apikey.Store].
func (a *APIKeys) Rotate(ctx context.Context, id string, r apikey.Rotation) (apikey.Record, error) {
	return a.one(ctx, "rotate", rotateScript,
		id, hashText(r.Current), r.Grace.Microseconds(), r.MaxLifetime.Microseconds(), r.Generation)
}

// Revoke implements [apikey.Store].
func (a *APIKeys) Revoke(ctx context.Context, id string) (apikey.Record, error) {
	return a.one(ctx, "revoke", revokeScript, id)
}

// RevokeAll implements [apikey.Store].
func (a *APIKeys) RevokeAll(ctx context.Context, f apikey.Filter, limit int) ([]apikey.Record, error) {
	return a.many(ctx, "revoke all", revokeAllScript, flag(f.AnyTenant), f.Tenant, f.Owner, limit)
}

// Suspend implements [apikey.Store].
func (a *APIKeys) Suspend(ctx context.Context, id string, on bool) (apikey.Record, error) {
	return a.one(ctx, "suspend", suspendScript, id, flag(on))
}

// Touch implements [apikey.Store].
func (a *APIKeys) Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error) {
	reply, err := a.store.run(ctx, touchScript, a.base, id, uses, every.Microseconds())
	if err != nil {
		return false, fmt.Errorf("redisstore: touch API key: %w", err)
	}
	return len(reply) > 0 && reply[0] == "ok", nil
}

// List implements [apikey.Store].
func (a *APIKeys) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	after := int64(-1) // before every time
	if !q.After.Time.IsZero() {
		after = q.After.Time.UnixMicro()
	}
	return a.many(ctx, "list", listScript, flag(q.AnyTenant), q.Tenant, q.Owner,
		q.ExpiresWithin.Microseconds(), q.Limit, after, q.After.ID)
}

// one runs a script that returns one record.
func (a *APIKeys) one(ctx context.Context, verb string, script *script, args ...any) (apikey.Record, error) {
	records, err := a.many(ctx, verb, script, args...)
	if err != nil {
		return apikey.Record{}, err
	}
	if len(records) != 1 {
		return apikey.Record{}, fmt.Errorf("redisstore: %s API key: got %d records, want 1", verb, len(records))
	}
	return records[0], nil
}

// many runs a script that returns records.
func (a *APIKeys) many(ctx context.Context, verb string, script *script, args ...any) ([]apikey.Record, error) {
	reply, err := a.store.run(ctx, script, a.base, args...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s API key: %w", verb, err)
	}
	unpublished := len(reply) > 0 && reply[0] == "unpublished"
	if unpublished {
		reply[0] = "ok"
	}
	records, err := parseReply(reply, keyState, parseKey)
	if unpublished {
		a.reportUnpublished(ctx, verb, records)
	}
	switch {
	case errors.Is(err, apikey.ErrNotFound) || errors.Is(err, apikey.ErrConflict):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("redisstore: %s API key: %w", verb, err)
	}
	return records, nil
}

// channel is where the scripts publish the IDs of changed keys.
func (a *APIKeys) channel() string { return a.base + ":changed" }

// reportUnpublished reports a change that no other process was notified of. The change
// is made, so an error of the observer does not make it fail.
func (a *APIKeys) reportUnpublished(ctx context.Context, verb string, records []apikey.Record) {
	for _, r := range records {
		_ = gatehouse.Report(ctx, a.store.observer, gatehouse.Event{
			Type: EventUnpublished, Level: slog.LevelWarn, Credential: r.ID,
			Cause: fmt.Errorf("redisstore: %s API key: the user has no right to PUBLISH on the channel %s", verb, a.channel()),
		})
	}
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
