// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
)

func family(id string) refresh.Record {
	return refresh.Record{Family: refresh.Family{ID: id, Grant: refresh.Grant{Subject: "s", Client: "c"}}}
}

// browser returns a session.
func browser(id string, idle time.Duration) session.Record {
	return session.Record{
		Session:   session.Session{ID: id, Issuer: "i", Subject: "s", SID: "d", Idle: idle},
		Principal: "{}", Tokens: "sealed",
	}
}

func createSession(t *testing.T, sessions session.Store, r session.Record, lifetime time.Duration) session.Record {
	t.Helper()
	return must(sessions.Create(t.Context(), r, lifetime))(t)
}

// createKey creates a key that ends in an hour.
func createKey(t *testing.T, keys apikey.Store, id string) {
	t.Helper()
	must(keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}))(t)
}

// damage writes malformed values into the fields of a record, one at a time, and
// checks that find returns an error that is none of the contract.
func damage(t *testing.T, client *redis.Client, record string, fields map[string][]string, find func() error) {
	t.Helper()
	good := must(client.HGetAll(t.Context(), record).Result())(t)
	if len(good) == 0 {
		t.Fatalf("no record %s", record)
	}
	answers := []error{nil, apikey.ErrNotFound, apikey.ErrConflict, refresh.ErrNotFound, session.ErrNotFound, session.ErrConflict}
	for field, values := range fields {
		for _, value := range values {
			must(client.HSet(t.Context(), record, field, value).Result())(t)
			if err := find(); slices.ContainsFunc(answers, func(answer error) bool { return errors.Is(err, answer) }) {
				t.Errorf("find %s with %s = %q: error = %v, want none of the contract", record, field, value, err)
			}
			must(client.Del(t.Context(), record).Result())(t)
			must(client.HSet(t.Context(), record, good).Result())(t)
		}
	}
	if err := find(); err != nil {
		t.Errorf("find of the restored %s: error = %v", record, err)
	}
}

// A damaged record is an error of the store, not a default value.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	s, ctx := newStoreAt(t, client, "damaged"), t.Context()
	sum := strings.Repeat("0", 64)
	createKey(t, s.APIKeys(), "a")
	damage(t, client, "{damaged}:apikeys:1:key:a", map[string][]string{
		"scopes":   {"a  b", "é"},
		"networks": {"everywhere", "10.0.0.0/8 "},
		"lifetime": {"", "x", "1e9"},
		"created":  {"", "x", "1.5"}, "rotated": {""}, "expires": {"", "never"},
		"grace_ends": {"", "x"}, "revoked": {"", "no"}, "suspended": {""}, "last_used": {"x"},
		"generation": {"", "x"}, "uses": {"x"},
		"current":  {"", "0", "0:", "0:" + sum[1:], "0:" + sum + "0", "x:" + sum, "-1:" + sum, "4294967296:" + sum, "0:x" + sum[1:], sum},
		"previous": {"", "0:"},
	}, func() error { return second(s.APIKeys().Find(ctx, "a")) })
	must(s.Families().Create(ctx, family("a"), time.Hour))(t)
	damage(t, client, "{damaged}:families:1:family:a", map[string][]string{
		"scopes":  {"a  b", "é"},
		"created": {"", "x", "1.5"}, "expires": {"", "never"}, "auth_time": {"", "x"},
		"rotated": {""}, "grace_ends": {"", "x"}, "revoked": {"", "no"}, "generation": {"", "x"},
		"key": {"", sum[1:], sum + "0", "x" + sum[1:]}, "current": {"", sum[1:]}, "previous": {"", sum[1:]}, "successor": {"0", "x0"},
	}, func() error { return second(s.Families().Find(ctx, "a")) })
	createSession(t, s.Sessions(), browser("a", time.Hour), time.Hour)
	damage(t, client, "{damaged}:sessions:1:session:a", map[string][]string{
		"created": {"", "x", "1.5"}, "last_seen": {"", "x"}, "expires": {"", "never"}, "idle": {"", "x", "1e300"},
		"version": {"", "x"}, "claimed": {"", "x"},
	}, func() error { return second(s.Sessions().Get(ctx, "a")) })
	must(client.Set(ctx, "{damaged}:revocations:1:jti:1:ia", "soon", 0).Result())(t)
	if times, err := s.Revocations().Find(ctx, []revocation.Target{{Kind: revocation.Token, Issuer: "i", Value: "a"}}); err == nil {
		t.Errorf("Find(damaged revocation) = %v, want an error", times)
	}
}

// Durations that a script adds to a time stay within the exact range of Lua numbers, and
// no record is without ID.
func TestLongDurations(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t, startServer(t)), t.Context()
	keys, families, sessions := s.APIKeys(), s.Families(), s.Sessions()
	const years, longest = 365 * 24 * time.Hour, 1<<63 - 1
	newKey := func(id string, lifetime time.Duration) (apikey.Record, error) {
		return keys.Create(ctx, apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: lifetime}})
	}
	inserted, err := s.Replays().Insert(ctx, [32]byte{1}, 201*years)
	for name, err := range map[string]error{
		"key, 201 years":        second(newKey("a", 201*years)),
		"key, no ID":            second(newKey("", time.Hour)),
		"family, 201 years":     second(families.Create(ctx, family("a"), 201*years)),
		"family, no ID":         second(families.Create(ctx, family(""), time.Hour)),
		"session, 201 years":    second(sessions.Create(ctx, browser("b", time.Hour), 201*years)),
		"session, no ID":        second(sessions.Create(ctx, browser("", time.Hour), time.Hour)),
		"session, swap to none": second(sessions.Swap(ctx, "a", 1, session.Change{})),
		"revocation, 201 years": s.Revocations().Revoke(ctx, revocation.Target{}, 201*years),
		"replay, 201 years":     err,
	} {
		if err == nil || inserted || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: error = %v, want one that is none of the contract", name, err)
		}
	}

	key, err := newKey("a", 200*years)
	if err != nil || !key.Expires.Equal(key.Created.Add(200*years)) {
		t.Fatalf("Create: Created = %v, Expires = %v, error = %v, want 200 years", key.Created, key.Expires, err)
	}
	rotated, err := keys.Rotate(ctx, "a", apikey.Rotation{Grace: longest, MaxLifetime: longest})
	if err != nil || !rotated.GraceEnds.Equal(key.Expires) || !rotated.Expires.Equal(rotated.Rotated.Add(200*years)) {
		t.Errorf("Rotate: GraceEnds = %v, Expires = %v, error = %v, want %v and 200 years", rotated.GraceEnds, rotated.Expires, err, key.Expires)
	}
	for _, want := range []bool{true, false} {
		if got, err := keys.Touch(ctx, "a", 1, longest); err != nil || got != want {
			t.Errorf("Touch = %t, %v, want %t", got, err, want)
		}
	}
	due, err := keys.List(ctx, apikey.Query{Filter: apikey.Filter{AnyTenant: true}, ExpiresWithin: longest, Limit: 1})
	if err != nil || len(due) != 1 {
		t.Errorf("List returned %d keys, %v, want 1", len(due), err)
	}
	f, err := families.Create(ctx, family("a"), 200*years)
	if err != nil || !f.Expires.Equal(f.Created.Add(200*years)) {
		t.Fatalf("Create: Created = %v, Expires = %v, error = %v", f.Created, f.Expires, err)
	}
	got, outcome, err := families.Rotate(ctx, "a", refresh.Presentation{Client: "c", Grace: longest})
	if err != nil || outcome != refresh.Rotated || !got.GraceEnds.Equal(f.Expires) {
		t.Errorf("Rotate = %+v, %s, %v", got, outcome, err)
	}
	r := createSession(t, sessions, browser("b", longest), 200*years)
	if !r.Expires.Equal(r.Created.Add(200*years)) || r.Idle != time.Duration(longest).Truncate(time.Microsecond) {
		t.Errorf("Create: Created %v, Expires %v, Idle %v; want 200 years and the longest Idle", r.Created, r.Expires, r.Idle)
	}
	if touched, err := sessions.Touch(ctx, "b", longest); err != nil || touched {
		t.Errorf("Touch = %t, %v, want false", touched, err)
	}
}

// TestListOrdersTiesByID: sessions with the same LastSeen are ordered by the bytes of
// their IDs.
func TestListOrdersTiesByID(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	sessions := newStoreAt(t, client, "ties").Sessions()
	now := time.Now().UnixMicro()
	for _, id := range []string{"b", "é", "A", "Z", "a", "B", "aa"} {
		createSession(t, sessions, browser(id, time.Hour), time.Hour)
		must(client.HSet(t.Context(), "{ties}:sessions:1:session:"+id, "last_seen", now).Result())(t)
	}
	for limit, want := range map[int]string{-1: "", 3: "A B Z", 10: "A B Z a aa b é"} {
		found, err := sessions.List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, limit)
		var ids []string
		for _, r := range found {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != want || err != nil {
			t.Errorf("List(limit %d) = %s, %v, want %s", limit, got, err, want)
		}
	}
}
