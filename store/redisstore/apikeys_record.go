// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/internal/networks"
)

var errAnswer = errors.New("the answer cannot be read")

// parseAnswer reads what a script answers with: a word, the time, and the
// records. What it cannot read it does not guess.
func parseAnswer(reply []any) ([]apikey.Record, error) {
	if len(reply) == 0 {
		return nil, errAnswer
	}
	switch reply[0] {
	case "ok":
	case "absent":
		return nil, apikey.ErrNotFound
	case "conflict":
		return nil, apikey.ErrConflict
	case "taken":
		return nil, errors.New("the id is taken")
	default:
		return nil, errAnswer
	}
	if len(reply) < 2 {
		return nil, errAnswer
	}
	asOf, ok := reply[1].(string)
	if !ok {
		return nil, errAnswer
	}
	records := make([]apikey.Record, 0, len(reply)-2)
	for _, item := range reply[2:] {
		r, err := parseRecord(item)
		if err != nil {
			return nil, err
		}
		if r.AsOf, err = parseTime(asOf); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// parseRecord reads an id and the fields and values of its hash.
func parseRecord(item any) (apikey.Record, error) {
	pair, _ := item.([]any)
	if len(pair) != 2 {
		return apikey.Record{}, errAnswer
	}
	id, ok := pair[0].(string)
	flat, isFlat := pair[1].([]any)
	if !ok || !isFlat || len(flat)%2 != 0 {
		return apikey.Record{}, errAnswer
	}
	f := fields{values: make(map[string]string, len(flat)/2)}
	for i := 0; i < len(flat); i += 2 {
		name, ok := flat[i].(string)
		value, isText := flat[i+1].(string)
		if !ok || !isText {
			return apikey.Record{}, errAnswer
		}
		f.values[name] = value
	}
	r := apikey.Record{
		Key: apikey.Key{
			ID: id, Owner: f.values["owner"], Tenant: f.values["tenant"], Environment: f.values["environment"],
			Scopes:     read(&f, "scopes", gatehouse.ParseScopes),
			Networks:   read(&f, "networks", networks.Parse),
			Lifetime:   time.Duration(read(&f, "lifetime", parseInt)) * time.Microsecond,
			Created:    read(&f, "created", parseTime),
			Rotated:    read(&f, "rotated", parseTime),
			Expires:    read(&f, "expires", parseTime),
			GraceEnds:  optional(&f, "grace_ends", parseTime),
			Revoked:    optional(&f, "revoked", parseTime),
			Suspended:  optional(&f, "suspended", parseTime),
			Generation: read(&f, "generation", parseInt),
			LastUsed:   optional(&f, "last_used", parseTime),
			Uses:       read(&f, "uses", parseInt),
		},
		Current:  read(&f, "current", parseHash),
		Previous: optional(&f, "previous", parseHash),
	}
	if metadata := f.values["metadata"]; metadata != r.Metadata.String() { // the empty object is the zero value
		r.Metadata = gatehouse.VerifiedClaims(metadata)
	}
	if f.err != nil {
		return apikey.Record{}, fmt.Errorf("record %s: %w", id, f.err)
	}
	return r, nil
}

// fields are those of a hash, with the first error that reading one gave.
type fields struct {
	values map[string]string
	err    error
}

func read[T any](f *fields, name string, parse func(string) (T, error)) T {
	value, err := parse(f.values[name])
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s is damaged", name)
	}
	return value
}

// optional reads a field that may be absent, and is zero then.
func optional[T any](f *fields, name string, parse func(string) (T, error)) T {
	if _, ok := f.values[name]; !ok {
		var zero T
		return zero
	}
	return read(f, name, parse)
}

func parseInt(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }

func parseTime(text string) (time.Time, error) {
	n, err := parseInt(text)
	return time.UnixMicro(n).UTC(), err
}

// hashText is the version of the pepper and the sum in hexadecimal digits.
func hashText(h apikey.Hash) string {
	return strconv.FormatUint(uint64(h.Pepper), 10) + ":" + hex.EncodeToString(h.Sum[:])
}

func parseHash(text string) (h apikey.Hash, err error) {
	pepper, sum, _ := strings.Cut(text, ":")
	version, err := strconv.ParseUint(pepper, 10, 32)
	if err != nil || len(sum) != hex.EncodedLen(len(h.Sum)) {
		return apikey.Hash{}, errAnswer
	}
	if _, err := hex.Decode(h.Sum[:], []byte(sum)); err != nil {
		return apikey.Hash{}, errAnswer
	}
	h.Pepper = uint32(version)
	return h, nil
}
