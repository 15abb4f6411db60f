// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/refresh"
)

// familyState returns the error that a script reports with word.
func familyState(word string) error {
	switch word {
	case "absent":
		return refresh.ErrNotFound
	case "taken":
		return errors.New("ID already exists")
	}
	return errReply
}

// presented is a family and the outcome of its last Rotate.
type presented struct {
	refresh.Record
	outcome refresh.Outcome
}

// parseFamily reads the fields of a record.
func parseFamily(id string, asOf time.Time, f *fields) presented {
	r := refresh.Record{
		Family: refresh.Family{
			ID: id,
			Grant: refresh.Grant{
				Subject: f.values["subject"], Client: f.values["client"], Tenant: f.values["tenant"],
				Scopes:   read(f, "scopes", gatehouse.ParseScopes),
				AuthTime: optional(f, "auth_time", parseTime),
			},
			Created:    read(f, "created", parseTime),
			Expires:    read(f, "expires", parseTime),
			Rotated:    optional(f, "rotated", parseTime),
			GraceEnds:  optional(f, "grace_ends", parseTime),
			Revoked:    optional(f, "revoked", parseTime),
			Generation: read(f, "generation", parseInt),
		},
		Key:       read(f, "key", parseSecretHash),
		Current:   read(f, "current", parseSecretHash),
		Previous:  optional(f, "previous", parseSecretHash),
		Successor: optional(f, "successor", hex.DecodeString),
		AsOf:      asOf,
	}
	if metadata := f.values["metadata"]; metadata != r.Metadata.String() { // an empty object is the zero value
		r.Metadata = gatehouse.VerifiedClaims(metadata)
	}
	return presented{r, refresh.Outcome(f.values["outcome"])}
}

func secretHashText(h refresh.Hash) string { return hex.EncodeToString(h[:]) }

func parseSecretHash(text string) (h refresh.Hash, err error) {
	if len(text) != hex.EncodedLen(len(h)) {
		return refresh.Hash{}, errReply
	}
	if _, err := hex.Decode(h[:], []byte(text)); err != nil {
		return refresh.Hash{}, errReply
	}
	return h, nil
}
