// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// A damaged record is an error of the store, not a default value.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	s := newStoreAt(t, client, "damaged")
	keys := s.APIKeys()
	if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("0", 64)
	damage(t, client, "{damaged}:apikeys:1:key:a", map[string][]string{
		"scopes":   {"a  b", "é"},
		"networks": {"everywhere", "10.0.0.0/8 "},
		"lifetime": {"", "x", "1e9"},
		"created":  {"", "x", "1.5"}, "rotated": {""}, "expires": {"", "never"},
		"grace_ends": {"", "x"}, "revoked": {"", "no"}, "suspended": {""}, "last_used": {"x"},
		"generation": {"", "x"}, "uses": {"x"},
		"current":  {"", "0", "0:", "0:" + sum[1:], "0:" + sum + "0", "x:" + sum, "-1:" + sum, "4294967296:" + sum, "0:x" + sum[1:], sum},
		"previous": {"", "0:"},
	}, func() error { _, err := keys.Find(t.Context(), "a"); return err }, apikey.ErrNotFound, apikey.ErrConflict)
}

// Durations that a script adds to a time stay within the exact range of Lua
// numbers.
func TestLongDurations(t *testing.T) {
	t.Parallel()
	keys := newStore(t, startServer(t)).APIKeys()
	const years, longest = 365 * 24 * time.Hour, 1<<63 - 1
	for _, key := range []apikey.Key{{ID: "a", Owner: "o", Lifetime: 201 * years}, {ID: "", Owner: "o", Lifetime: time.Hour}} {
		if _, err := keys.Create(t.Context(), apikey.Record{Key: key}); err == nil {
			t.Errorf("Create(ID %q, Lifetime %v) error = nil, want one", key.ID, key.Lifetime)
		}
	}
	r, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: 200 * years}})
	if err != nil || !r.Expires.Equal(r.Created.Add(200*years)) {
		t.Fatalf("Create: Created = %v, Expires = %v, error = %v, want 200 years", r.Created, r.Expires, err)
	}
	rotated, err := keys.Rotate(t.Context(), "a", apikey.Rotation{Grace: longest, MaxLifetime: longest})
	if err != nil || !rotated.GraceEnds.Equal(r.Expires) || !rotated.Expires.Equal(rotated.Rotated.Add(200*years)) {
		t.Errorf("Rotate: GraceEnds = %v, Expires = %v, error = %v, want %v and 200 years", rotated.GraceEnds, rotated.Expires, err, r.Expires)
	}
	for _, want := range []bool{true, false} {
		if got, err := keys.Touch(t.Context(), "a", 1, longest); err != nil || got != want {
			t.Errorf("Touch = %t, %v, want %t", got, err, want)
		}
	}
	due, err := keys.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, ExpiresWithin: longest, Limit: 1})
	if err != nil || len(due) != 1 {
		t.Errorf("List returned %d keys, %v, want 1", len(due), err)
	}
}
