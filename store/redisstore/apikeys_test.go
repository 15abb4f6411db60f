// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

func TestAPIKeysContract(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	apikeytest.TestStore(t, func(t *testing.T) apikey.Store { return newStore(t, client).APIKeys() })
	apikeytest.TestWatcher(t, func(t *testing.T) (apikey.Store, apikey.Watcher) {
		keys := newStore(t, client).APIKeys()
		return keys, keys
	})
}

// What cannot be read is not guessed: a damaged record is a store that cannot
// tell.
func TestDamagedRecords(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: "damaged"})
	if err != nil {
		t.Fatal(err)
	}
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

// What is added to a time in a script stays within what Lua counts exactly.
func TestSpans(t *testing.T) {
	keys := newStore(t, connect(t, enginetest.StartRedis(t, "appendonly no").URL())).APIKeys()
	const years = 365 * 24 * time.Hour
	for _, r := range []apikey.Record{
		{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: 201 * years}},
		{Key: apikey.Key{ID: "", Owner: "o", Lifetime: time.Hour}},
	} {
		if _, err := keys.Create(t.Context(), r); err == nil {
			t.Errorf("created: %+v", r.Key)
		}
	}
	r, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: 200 * years}})
	if err != nil || !r.Expires.Equal(r.Created.Add(200*years)) {
		t.Fatalf("created %v, expires %v, %v", r.Created, r.Expires, err)
	}
	const long = 1<<63 - 1
	rotated, err := keys.Rotate(t.Context(), "a", apikey.Rotation{Grace: long, MaxLifetime: long})
	if err != nil || !rotated.GraceEnds.Equal(r.Expires) || !rotated.Expires.Equal(rotated.Rotated.Add(200*years)) {
		t.Errorf("%+v, %v", rotated, err)
	}
	if ok, err := keys.Touch(t.Context(), "a", 1, long); err != nil || !ok {
		t.Error(ok, err)
	}
	if ok, err := keys.Touch(t.Context(), "a", 1, long); err != nil || ok {
		t.Error(ok, err)
	}
	due, err := keys.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, ExpiresWithin: long, Limit: 1})
	if err != nil || len(due) != 1 {
		t.Errorf("%d are due, %v", len(due), err)
	}
}
