// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// familyState is the error of the contract that a word stands for.
func familyState(word string) error {
	switch word {
	case "absent":
		return jwtauth.ErrFamilyNotFound
	case "taken":
		return errors.New("the id is taken")
	}
	return errReply
}

// presented is a family as it stands after the newest token was presented.
type presented struct {
	jwtauth.FamilyRecord
	outcome jwtauth.FamilyOutcome
}

// parseFamily reads the fields of a record.
func parseFamily(id string, asOf time.Time, f *fields) presented {
	r := jwtauth.FamilyRecord{
		Family: jwtauth.Family{
			ID: id,
			Grant: jwtauth.Grant{
				Subject: f.values["subject"], Client: f.values["client"], Tenant: f.values["tenant"],
				Scopes:   read(f, "scopes", gatehouse.ParseScopes),
				AuthTime: optional(f, "auth_time", parseTime),
			},
			Created:    read(f, "created", parseTime),
			Expires:    read(f, "expires", parseTime),
			Rotated:    optional(f, "rotated", parseTime),
			GraceEnds:  optional(f, "grace_ends", parseTime),
			Ended:      optional(f, "ended", parseTime),
			Generation: read(f, "generation", parseInt),
		},
		Key:       read(f, "key", parseSecretHash),
		Current:   read(f, "current", parseSecretHash),
		Previous:  optional(f, "previous", parseSecretHash),
		Successor: optional(f, "successor", hex.DecodeString),
		AsOf:      asOf,
	}
	if metadata := f.values["metadata"]; metadata != r.Metadata.String() { // the empty object is the zero value
		r.Metadata = gatehouse.VerifiedClaims(metadata)
	}
	return presented{r, jwtauth.FamilyOutcome(f.values["outcome"])}
}

func secretHashText(h jwtauth.SecretHash) string { return hex.EncodeToString(h[:]) }

func parseSecretHash(text string) (h jwtauth.SecretHash, err error) {
	if len(text) != hex.EncodedLen(len(h)) {
		return jwtauth.SecretHash{}, errReply
	}
	if _, err := hex.Decode(h[:], []byte(text)); err != nil {
		return jwtauth.SecretHash{}, errReply
	}
	return h, nil
}
