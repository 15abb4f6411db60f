// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
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
	//go:embed lua/families_end.lua
	familiesEnd string
	//go:embed lua/families_end_all.lua
	familiesEndAll string
)

var (
	createFamilyScript = newScript(true, timeCommon, familiesCommon, familiesCreate)
	findFamilyScript   = newScript(false, timeCommon, familiesCommon, familiesFind)
	rotateFamilyScript = newScript(true, timeCommon, familiesCommon, familiesRotate)
	endFamilyScript    = newScript(true, timeCommon, familiesCommon, familiesEnd)
	endFamiliesScript  = newScript(true, timeCommon, familiesCommon, familiesEndAll)
)

// Families is a [jwtauth.FamilyStore]. Every method is one script, which the
// server carries out as a whole or not at all, and its clock is that of the
// server. The server removes each family when its time is over.
type Families struct {
	store *Store
	base  string
}

var _ jwtauth.FamilyStore = (*Families)(nil)

// Families returns the store of families of refresh tokens. All of them are in
// one slot of a cluster.
func (s *Store) Families() *Families {
	// The number is that of the format, so that a later one can stand beside it.
	return &Families{store: s, base: "{" + s.prefix + "}:families:1"}
}

// Create implements [jwtauth.FamilyStore].
func (f *Families) Create(ctx context.Context, r jwtauth.FamilyRecord, lifetime time.Duration) (jwtauth.FamilyRecord, error) {
	if r.ID == "" || lifetime > maxLifetime {
		return jwtauth.FamilyRecord{}, errors.New("redisstore: create family: no id, or a lifetime of more than 200 years")
	}
	authTime := ""
	if !r.AuthTime.IsZero() {
		authTime = strconv.FormatInt(r.AuthTime.UnixMicro(), 10)
	}
	created, err := f.one(ctx, "create", createFamilyScript,
		r.ID, r.Subject, r.Client, r.Tenant, r.Scopes.String(), r.Metadata.String(), lifetime.Microseconds(),
		secretHashText(r.Key), secretHashText(r.Current), authTime)
	return created.FamilyRecord, err
}

// Find implements [jwtauth.FamilyStore].
func (f *Families) Find(ctx context.Context, id string) (jwtauth.FamilyRecord, error) {
	found, err := f.one(ctx, "find", findFamilyScript, id)
	return found.FamilyRecord, err
}

// Rotate implements [jwtauth.FamilyStore].
func (f *Families) Rotate(ctx context.Context, id string, p jwtauth.Presentation) (jwtauth.FamilyRecord, jwtauth.FamilyOutcome, error) {
	r, err := f.one(ctx, "rotate", rotateFamilyScript, id, secretHashText(p.Key), secretHashText(p.Secret), p.Client,
		secretHashText(p.Next), hex.EncodeToString(p.Successor), p.Grace.Microseconds())
	return r.FamilyRecord, r.outcome, err
}

// End implements [jwtauth.FamilyStore].
func (f *Families) End(ctx context.Context, id string) (jwtauth.FamilyRecord, error) {
	ended, err := f.one(ctx, "end", endFamilyScript, id)
	return ended.FamilyRecord, err
}

// EndAll implements [jwtauth.FamilyStore].
func (f *Families) EndAll(ctx context.Context, filter jwtauth.FamilyFilter, limit int) ([]jwtauth.FamilyRecord, error) {
	if (filter == jwtauth.FamilyFilter{}) {
		return nil, ctx.Err()
	}
	ended, err := f.many(ctx, "end all", endFamiliesScript, filter.Subject, filter.Client, limit)
	if err != nil {
		return nil, err
	}
	records := make([]jwtauth.FamilyRecord, len(ended))
	for i := range ended {
		records[i] = ended[i].FamilyRecord
	}
	return records, nil
}

// one runs a script that answers with one record.
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

// many runs a script that answers with records.
func (f *Families) many(ctx context.Context, verb string, script *script, args ...any) ([]presented, error) {
	reply, err := f.store.run(ctx, script, f.base, args...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s family: %w", verb, err)
	}
	records, err := parseReply(reply, familyState, parseFamily)
	switch {
	case errors.Is(err, jwtauth.ErrFamilyNotFound):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("redisstore: %s family: %w", verb, err)
	}
	return records, nil
}
