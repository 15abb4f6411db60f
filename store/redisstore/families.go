// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"cmp"
	"context"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
)

var (
	//go:embed lua/families.lua
	familiesCommon string
	//go:embed lua/families_create.lua
	familiesCreate string
	//go:embed lua/families_find.lua
	familiesFind string
	//go:embed lua/families_rotate.lua
	familiesRotate string
	//go:embed lua/families_revoke.lua
	familiesRevoke string
	//go:embed lua/families_revoke_all.lua
	familiesRevokeAll string
	//go:embed lua/families_list.lua
	familiesList string
)

var (
	createFamilyScript   = newChange(timeCommon, familiesCommon, familiesCreate)
	findFamilyScript     = newQuery(timeCommon, familiesCommon, familiesFind)
	rotateFamilyScript   = newRevocation(timeCommon, familiesCommon, familiesRotate)
	revokeFamilyScript   = newRevocation(timeCommon, familiesCommon, familiesRevoke)
	revokeFamiliesScript = newRevocation(timeCommon, familiesCommon, familiesRevokeAll)
	listFamiliesScript   = newQuery(timeCommon, familiesCommon, familiesList)
)

// Families is a [refresh.Store]. Every method is one atomic script, and the clock
// is that of the server. The server removes expired families.
type Families struct {
	store *Store
	base  string
}

var _ refresh.Store = (*Families)(nil)

// Families returns the store of refresh token families. They are in one slot of a
// cluster.
func (s *Store) Families() *Families {
	// The number is the version of the format.
	return &Families{store: s, base: "{" + s.prefix + "}:families:1"}
}

// Create implements [refresh.Store].
func (f *Families) Create(ctx context.Context, r refresh.Record, lifetime time.Duration) (refresh.Record, error) {
	if r.ID == "" || lifetime > maxLifetime {
		return refresh.Record{}, errors.New("redisstore: create family: ID required, and a lifetime of at most 200 years")
	}
	authTime := ""
	if !r.AuthTime.IsZero() {
		authTime = strconv.FormatInt(r.AuthTime.UnixMicro(), 10)
	}
	created, err := f.one(ctx, "create", createFamilyScript,
		r.ID, r.Subject, r.Client, r.Tenant, r.Scopes.String(), r.Metadata.String(), lifetime.Microseconds(),
		secretHashText(r.Key), secretHashText(r.Current), authTime)
	return created.Record, err
}

// Find implements [refresh.Store].
func (f *Families) Find(ctx context.Context, id string) (refresh.Record, error) {
	found, err := f.one(ctx, "find", findFamilyScript, id)
	return found.Record, err
}

// Rotate implements [refresh.Store].
func (f *Families) Rotate(ctx context.Context, id string, p refresh.Presentation) (refresh.Record, refresh.Outcome, error) {
	r, err := f.one(ctx, "rotate", rotateFamilyScript, id, secretHashText(p.Key), secretHashText(p.Secret), p.Client,
		secretHashText(p.Next), hex.EncodeToString(p.Successor), p.Grace.Microseconds())
	return r.Record, r.outcome, err
}

// Revoke implements [refresh.Store].
func (f *Families) Revoke(ctx context.Context, id string) (refresh.Record, error) {
	revoked, err := f.one(ctx, "revoke", revokeFamilyScript, id)
	return revoked.Record, err
}

// RevokeAll implements [refresh.Store].
func (f *Families) RevokeAll(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	if filter.Subject == "" && filter.Client == "" {
		return nil, ctx.Err()
	}
	return f.matching(ctx, "revoke all", revokeFamiliesScript, filter, limit)
}

// List implements [refresh.Store].
func (f *Families) List(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	if filter.Subject == "" {
		return nil, ctx.Err()
	}
	records, err := f.matching(ctx, "list", listFamiliesScript, filter, limit)
	lastUsed := func(r *refresh.Record) time.Time {
		if r.Rotated.IsZero() {
			return r.Created
		}
		return r.Rotated
	}
	slices.SortFunc(records, func(a, b refresh.Record) int {
		return cmp.Or(lastUsed(&b).Compare(lastUsed(&a)), cmp.Compare(a.ID, b.ID))
	})
	return records[:min(len(records), max(limit, 0))], err
}

// matching runs a script that returns the families of a filter.
func (f *Families) matching(ctx context.Context, verb string, script *script, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	found, err := f.many(ctx, verb, script, filter.Subject, filter.Client, filter.Except, limit)
	if err != nil {
		return nil, err
	}
	records := make([]refresh.Record, len(found))
	for i := range found {
		records[i] = found[i].Record
	}
	return records, nil
}

// one runs a script that returns one record.
func (f *Families) one(ctx context.Context, verb string, script *script, args ...any) (presented, error) {
	records, err := f.many(ctx, verb, script, args...)
	if err != nil {
		return presented{}, err
	}
	if len(records) != 1 {
		return presented{}, fmt.Errorf("redisstore: %s family: the answer has %d records", verb, len(records))
	}
	return records[0], nil
}

// many runs a script that returns records.
func (f *Families) many(ctx context.Context, verb string, script *script, args ...any) ([]presented, error) {
	reply, err := f.store.run(ctx, script, f.base, args...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s family: %w", verb, err)
	}
	records, err := parseReply(reply, familyState, parseFamily)
	switch {
	case errors.Is(err, refresh.ErrNotFound):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("redisstore: %s family: %w", verb, err)
	}
	return records, nil
}
