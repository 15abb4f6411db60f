// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

// instant scans a time of the database, microseconds since 1970, or NULL, which is
// the zero time.
type instant struct{ t *time.Time }

// Scan implements [sql.Scanner].
func (i instant) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*i.t = time.Time{}
	case int64:
		*i.t = time.UnixMicro(v).UTC()
	case time.Time:
		*i.t = v.UTC()
	default:
		return fmt.Errorf("time: got %T, want int64, time.Time or NULL", src)
	}
	return nil
}

// hash returns the hash of its two columns. Both are NULL if there is none.
func hash(sum []byte, pepper sql.NullInt64) (apikey.Hash, error) {
	var h apikey.Hash
	if sum == nil && !pepper.Valid {
		return h, nil
	}
	if len(sum) != len(h.Sum) || pepper.Int64 < 0 || pepper.Int64 > math.MaxUint32 {
		return h, errors.New("malformed hash")
	}
	copy(h.Sum[:], sum)
	h.Pepper = uint32(pepper.Int64)
	return h, nil
}

// scanRecord reads a row of recordColumns and the time of the database. A value
// that it cannot read is an error.
func scanRecord(rows *sql.Rows) (apikey.Record, error) {
	var (
		r                               apikey.Record
		scopes, prefixes, metadata      string
		lifetime                        int64
		current, previous               sql.RawBytes
		currentPepper, previousPepper   sql.NullInt64
		errScopes, errNetworks, errHash error
	)
	err := rows.Scan(&r.ID, &r.Owner, &r.Tenant, &r.Environment, &scopes, &prefixes, &metadata, &lifetime,
		instant{&r.Created}, instant{&r.Rotated}, instant{&r.Expires}, instant{&r.GraceEnds},
		instant{&r.Revoked}, instant{&r.Suspended}, &r.Generation, instant{&r.LastUsed}, &r.Uses,
		&current, &currentPepper, &previous, &previousPepper, instant{&r.AsOf})
	if err != nil {
		return apikey.Record{}, err
	}
	r.Lifetime = time.Duration(lifetime) * time.Microsecond
	if metadata != r.Metadata.String() { // the empty object is the zero value
		r.Metadata = gatehouse.VerifiedClaims(metadata)
	}
	r.Scopes, errScopes = gatehouse.ParseScopes(scopes)
	r.Networks, errNetworks = clientaddr.ParseList(prefixes)
	r.Current, errHash = hash(current, currentPepper)
	if errHash == nil {
		r.Previous, errHash = hash(previous, previousPepper)
	}
	if err := errors.Join(errScopes, errNetworks, errHash); err != nil {
		return apikey.Record{}, fmt.Errorf("record %s: %w", r.ID, err)
	}
	return r, nil
}
