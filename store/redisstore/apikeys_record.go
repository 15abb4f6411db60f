// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/internal/networks"
)

// keyState is the error of the contract that a word stands for.
func keyState(word string) error {
	switch word {
	case "absent":
		return apikey.ErrNotFound
	case "conflict":
		return apikey.ErrConflict
	case "taken":
		return errors.New("the id is taken")
	}
	return errReply
}

// parseKey reads the fields of a record.
func parseKey(id string, asOf time.Time, f *fields) apikey.Record {
	r := apikey.Record{
		Key: apikey.Key{
			ID: id, Owner: f.values["owner"], Tenant: f.values["tenant"], Environment: f.values["environment"],
			Scopes:     read(f, "scopes", gatehouse.ParseScopes),
			Networks:   read(f, "networks", networks.Parse),
			Lifetime:   time.Duration(read(f, "lifetime", parseInt)) * time.Microsecond,
			Created:    read(f, "created", parseTime),
			Rotated:    read(f, "rotated", parseTime),
			Expires:    read(f, "expires", parseTime),
			GraceEnds:  optional(f, "grace_ends", parseTime),
			Revoked:    optional(f, "revoked", parseTime),
			Suspended:  optional(f, "suspended", parseTime),
			Generation: read(f, "generation", parseInt),
			LastUsed:   optional(f, "last_used", parseTime),
			Uses:       read(f, "uses", parseInt),
		},
		Current:  read(f, "current", parseHash),
		Previous: optional(f, "previous", parseHash),
		AsOf:     asOf,
	}
	if metadata := f.values["metadata"]; metadata != r.Metadata.String() { // the empty object is the zero value
		r.Metadata = gatehouse.VerifiedClaims(metadata)
	}
	return r
}

// hashText is the version of the pepper and the sum in hexadecimal digits.
func hashText(h apikey.Hash) string {
	return strconv.FormatUint(uint64(h.Pepper), 10) + ":" + hex.EncodeToString(h.Sum[:])
}

func parseHash(text string) (h apikey.Hash, err error) {
	pepper, sum, _ := strings.Cut(text, ":")
	version, err := strconv.ParseUint(pepper, 10, 32)
	if err != nil || len(sum) != hex.EncodedLen(len(h.Sum)) {
		return apikey.Hash{}, errReply
	}
	if _, err := hex.Decode(h.Sum[:], []byte(sum)); err != nil {
		return apikey.Hash{}, errReply
	}
	h.Pepper = uint32(version)
	return h, nil
}
