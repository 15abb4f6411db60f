// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the scripts
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

var (
	//go:embed lua/apikeys_import.lua
	apikeysImport string
	//go:embed lua/apikeys_delete.lua
	apikeysDelete string

	importScript = newReplacement(timeCommon, apikeysCommon, apikeysImport)
	deleteScript = newRevocation(timeCommon, apikeysCommon, apikeysDelete)
)

// Import implements [apikey.Store].
func (a *APIKeys) Import(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	if r.ID == "" || r.Lifetime > maxLifetime {
		return apikey.Record{}, fmt.Errorf("redisstore: import API key %q: an ID is required, and a lifetime of at most %v, got %v", r.ID, maxLifetime, r.Lifetime)
	}
	previous := ""
	if r.Previous != (apikey.Hash{}) {
		previous = hashText(r.Previous)
	}
	// The names of the fields of the hash, and their values. The script counts
	// those that are always set, which come first.
	return a.one(ctx, "import", importScript, r.ID,
		"owner", r.Owner, "tenant", r.Tenant, "environment", r.Environment, "scopes", r.Scopes.String(),
		"networks", clientaddr.FormatList(r.Networks), "metadata", r.Metadata.String(), "lifetime", r.Lifetime.Microseconds(),
		"created", micros(r.Created), "rotated", micros(r.Rotated), "expires", micros(r.Expires),
		"generation", r.Generation, "uses", r.Uses, "current", hashText(r.Current), "previous", previous,
		"grace_ends", micros(r.GraceEnds), "revoked", micros(r.Revoked), "suspended", micros(r.Suspended), "last_used", micros(r.LastUsed))
}

// micros returns a time as the server has it, "" for the zero time.
func micros(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// Delete implements [apikey.Store].
func (a *APIKeys) Delete(ctx context.Context, id string) error {
	_, err := a.many(ctx, "delete", deleteScript, id)
	return err
}
