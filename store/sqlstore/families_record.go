// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// secretHash reads the hash of a secret.
func secretHash(sum []byte) (h jwtauth.SecretHash, err error) {
	if len(sum) != len(h) {
		return h, errors.New("a hash is damaged")
	}
	copy(h[:], sum)
	return h, nil
}

// presented is a family as it stands after the newest token was presented.
type presented struct {
	jwtauth.FamilyRecord
	outcome jwtauth.FamilyOutcome
}

// scanFamily reads a row of familyColumns and the engine's now. What it cannot
// read it does not guess.
func scanFamily(rows *sql.Rows) (presented, error) {
	var (
		r                                     presented
		scopes, metadata                      string
		key, current, previous, successor     sql.RawBytes
		errScopes, errKey, errCurrent, errOld error
	)
	err := rows.Scan(&r.ID, &r.Subject, &r.Client, &r.Tenant, &scopes, &metadata, instant{&r.AuthTime},
		instant{&r.Created}, instant{&r.Expires}, instant{&r.Rotated}, instant{&r.GraceEnds}, instant{&r.Ended},
		&r.Generation, &r.outcome, &key, &current, &previous, &successor, instant{&r.AsOf})
	if err != nil {
		return presented{}, err
	}
	if metadata != r.Metadata.String() { // the empty object is the zero value
		r.Metadata = gatehouse.VerifiedClaims(metadata)
	}
	r.Scopes, errScopes = gatehouse.ParseScopes(scopes)
	r.Key, errKey = secretHash(key)
	r.Current, errCurrent = secretHash(current)
	if previous != nil {
		r.Previous, errOld = secretHash(previous)
	}
	r.Successor = bytes.Clone(successor)
	if err := errors.Join(errScopes, errKey, errCurrent, errOld); err != nil {
		return presented{}, fmt.Errorf("family %s: %w", r.ID, err)
	}
	return r, nil
}
