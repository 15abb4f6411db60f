// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/refresh"
)

func secretHash(sum []byte) (h refresh.Hash, err error) {
	if len(sum) != len(h) {
		return h, errors.New("malformed hash")
	}
	copy(h[:], sum)
	return h, nil
}

// presented is a family and the outcome of its last Rotate.
type presented struct {
	refresh.Record
	outcome refresh.Outcome
}

// scanFamily reads a row of familyColumns and the current time. It returns an error
// for a row that is damaged.
func scanFamily(rows *sql.Rows) (presented, error) {
	var (
		r                                          presented
		scopes, metadata                           string
		key, current, previous, successor          sql.RawBytes
		errScopes, errKey, errCurrent, errPrevious error
	)
	err := rows.Scan(&r.ID, &r.Subject, &r.Client, &r.Tenant, &scopes, &metadata, instant{&r.AuthTime},
		instant{&r.Created}, instant{&r.Expires}, instant{&r.Rotated}, instant{&r.GraceEnds}, instant{&r.Revoked},
		&r.Generation, &r.outcome, &key, &current, &previous, &successor, instant{&r.AsOf})
	if err != nil {
		return presented{}, err
	}
	if metadata != r.Metadata.String() { // an empty object is the zero value
		r.Metadata = gatehouse.VerifiedClaims(metadata)
	}
	r.Scopes, errScopes = gatehouse.ParseScopes(scopes)
	r.Key, errKey = secretHash(key)
	r.Current, errCurrent = secretHash(current)
	if previous != nil {
		r.Previous, errPrevious = secretHash(previous)
	}
	r.Successor = bytes.Clone(successor)
	if err := errors.Join(errScopes, errKey, errCurrent, errPrevious); err != nil {
		return presented{}, fmt.Errorf("family %s: %w", r.ID, err)
	}
	return r, nil
}
