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
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

// keyState returns the error of the contract for the status of a reply.
func keyState(word string) error {
	switch word {
	case "absent":
		return apikey.ErrNotFound
	case "conflict":
		return apikey.ErrConflict
	case "taken":
		return errors.New("ID already exists")
	}
	return errReply
}

// parseKey returns the record of the fields of a hash.
func parseKey(id string, asOf time.Time, f *fields) apikey.Record {
	r := apikey.Record{
		Key: apikey.Key{
			ID: id, Owner: f.values["owner"], Tenant: f.values["tenant"], Environment: f.values["environment"],
			Scopes:     read(f, "scopes", gatehouse.ParseScopes),
			Networks:   read(f, "networks", clientaddr.ParseList),
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

// hashText returns the version of the pepper and the sum in hexadecimal digits.
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
