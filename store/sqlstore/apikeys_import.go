// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

// Columns of Import, in the order of its arguments. The times come first.
var (
	importTimes  = []string{"created", "rotated", "expires", "grace_ends", "revoked", "suspended", "last_used"}
	importValues = []string{
		"id", "owner", "tenant", "environment", "scopes", "networks", "metadata", "lifetime", "generation", "uses",
		"current_sum", "current_pepper", "previous_sum", "previous_pepper",
	}
	// importSecrets are taken over from a newer record.
	importSecrets = []string{"current_sum", "current_pepper", "previous_sum", "previous_pepper", "rotated", "expires", "grace_ends", "generation"}
)

// importSQL returns the statement of Import. The first three arguments are formats
// for the time and the value of a numbered argument, and for the greater of two
// values of which one may be NULL.
func importSQL(atFormat, valueFormat, greater, now string) string {
	const table = "gatehouse_apikeys."
	var values, changes []string
	for i := range importTimes {
		values = append(values, fmt.Sprintf(atFormat, i+1))
	}
	for i := range importValues {
		values = append(values, fmt.Sprintf(valueFormat, len(importTimes)+i+1))
	}
	for _, c := range importSecrets {
		changes = append(changes, c+" = CASE WHEN excluded.generation > "+table+"generation THEN excluded."+c+" ELSE "+table+c+" END")
	}
	for _, c := range []string{"revoked", "suspended"} {
		changes = append(changes, c+" = coalesce("+table+c+", excluded."+c+")")
	}
	changes = append(changes, "last_used = "+fmt.Sprintf(greater, table+"last_used", "excluded.last_used"),
		"uses = CASE WHEN excluded.uses > "+table+"uses THEN excluded.uses ELSE "+table+"uses END")
	return `
INSERT INTO gatehouse_apikeys (` + strings.Join(importTimes, ", ") + ", " + strings.Join(importValues, ", ") + `)
VALUES (` + strings.Join(values, ", ") + `)
ON CONFLICT (id) DO UPDATE SET ` + strings.Join(changes, ",\n\t") + `
WHERE gatehouse_apikeys.owner = excluded.owner AND gatehouse_apikeys.tenant = excluded.tenant
	AND gatehouse_apikeys.environment = excluded.environment
	AND (excluded.revoked IS NOT NULL
		OR gatehouse_apikeys.revoked IS NULL
		AND (gatehouse_apikeys.suspended IS NULL OR excluded.suspended IS NOT NULL)
		AND (excluded.generation > gatehouse_apikeys.generation
			OR excluded.generation = gatehouse_apikeys.generation
			AND excluded.current_sum = gatehouse_apikeys.current_sum AND excluded.current_pepper = gatehouse_apikeys.current_pepper))
RETURNING` + recordColumns + now
}

// Import implements [apikey.Store].
func (a *APIKeys) Import(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	var previous, previousPepper any
	if r.Previous != (apikey.Hash{}) {
		previous, previousPepper = r.Previous.Sum[:], int64(r.Previous.Pepper)
	}
	return a.one(ctx, "import", apikey.ErrConflict, a.sql.importRecord,
		micros(r.Created), micros(r.Rotated), micros(r.Expires), micros(r.GraceEnds), micros(r.Revoked), micros(r.Suspended), micros(r.LastUsed),
		r.ID, r.Owner, r.Tenant, r.Environment, r.Scopes.String(), clientaddr.FormatList(r.Networks), r.Metadata.String(),
		r.Lifetime.Microseconds(), r.Generation, r.Uses,
		r.Current.Sum[:], int64(r.Current.Pepper), previous, previousPepper)
}

// micros returns a time as the database has it, NULL for the zero time.
func micros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

// Delete implements [apikey.Store].
func (a *APIKeys) Delete(ctx context.Context, id string) error {
	deleted := false
	found := func(*sql.Rows) error { deleted = true; return nil }
	if err := a.store.write(ctx, found, a.sql.remove, id); err != nil {
		return fmt.Errorf("sqlstore: delete API key: %w", err)
	}
	if deleted {
		return nil
	}
	if _, err := a.Find(ctx, id); err != nil {
		return err
	}
	return apikey.ErrConflict
}
