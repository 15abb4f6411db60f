// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

func family(id string) refresh.Record {
	return refresh.Record{Family: refresh.Family{ID: id, Grant: refresh.Grant{Subject: "s", Client: "c"}}}
}

func TestDamagedFamilyOrRevocationIsUnavailable(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	s := newStoreAt(t, client, "damaged")
	families := s.Families()
	if _, err := families.Create(t.Context(), family("a"), time.Hour); err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("0", 64)
	damage(t, client, "{damaged}:families:1:family:a", map[string][]string{
		"scopes":  {"a  b", "é"},
		"created": {"", "x", "1.5"}, "expires": {"", "never"}, "auth_time": {"", "x"},
		"rotated": {""}, "grace_ends": {"", "x"}, "revoked": {"", "no"}, "generation": {"", "x"},
		"key": {"", sum[1:], sum + "0", "x" + sum[1:]}, "current": {"", sum[1:]}, "previous": {"", sum[1:]}, "successor": {"0", "x0"},
	}, func() error { _, err := families.Find(t.Context(), "a"); return err }, refresh.ErrNotFound)

	const key = "{damaged}:revocations:1:jti:1:ia"
	target := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	// The time of a revocation does not go back with the clock.
	ahead := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	if err := client.Set(t.Context(), key, ahead.UnixMicro(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Revocations().Revoke(t.Context(), target, time.Hour); err != nil {
		t.Fatal(err)
	}
	if times, err := s.Revocations().Find(t.Context(), []revocation.Target{target}); err != nil || !times[0].Equal(ahead) {
		t.Errorf("Find = %v, %v, want %v", times, err, ahead)
	}
	if err := client.Set(t.Context(), key, "soon", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if times, err := s.Revocations().Find(t.Context(), []revocation.Target{target}); err == nil {
		t.Errorf("Find(damaged revocation) = %v, want an error", times)
	}
}

func TestFamiliesAndRevocationsExpire(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	s := newStoreAt(t, client, "vanish")
	families, revocations := s.Families(), s.Revocations()
	revoke := func(value string, lifetime time.Duration) {
		t.Helper()
		if err := revocations.Revoke(t.Context(), revocation.Target{Kind: revocation.Token, Issuer: "i", Value: value}, lifetime); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		r := family(fmt.Sprint(i))
		if i > 10 {
			r.Client = "other"
		}
		if _, err := families.Create(t.Context(), r, time.Duration(i%2)*time.Hour+200*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		revoke(fmt.Sprint(i), time.Duration(i%2)*time.Hour+200*time.Millisecond)
	}
	if _, err := families.Find(t.Context(), "1"); err != nil { // one of an hour
		t.Fatal(err)
	}
	keys := func() []string {
		t.Helper()
		all, err := client.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range all {
			if ends := client.PTTL(t.Context(), key).Val(); ends == -1 {
				t.Errorf("key %s does not expire", key)
			}
		}
		return all
	}
	keys()
	// 10 families, 10 revocations, and the indexes of a subject and two clients.
	enginetest.Eventually(t, time.Minute, "half of the keys expire", func() bool { return len(keys()) == 10+10+3 })
	if _, err := families.Create(t.Context(), family("new"), time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"subject:s": 11, "client:c": 6, "client:other": 9} {
		if got := client.ZCard(t.Context(), "{vanish}:families:1:"+name).Val(); got != want {
			t.Errorf("index %s has %d members, want %d", name, got, want)
		}
	}
	// A revoked family leaves the indexes, and so does a lost one.
	if _, err := families.Revoke(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	client.Del(t.Context(), "{vanish}:families:1:family:3")
	revoked, err := families.RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 100)
	if err != nil || len(revoked) != 9 {
		t.Errorf("RevokeAll = %d families, %v, want 9", len(revoked), err)
	}
	if revoked, err = families.RevokeAll(t.Context(), refresh.Filter{Client: "c"}, 100); err != nil || len(revoked) != 0 {
		t.Errorf("RevokeAll again = %d families, %v, want 0", len(revoked), err)
	}
	if n := client.Exists(t.Context(), "{vanish}:families:1:subject:s", "{vanish}:families:1:client:c").Val(); n != 0 {
		t.Errorf("%d empty indexes remain", n)
	}
}

// TestLifetimeLimit keeps times within the integers that Lua represents exactly.
func TestLifetimeLimit(t *testing.T) {
	t.Parallel()
	s := newStore(t, startServer(t))
	const years = 365 * 24 * time.Hour
	if _, err := s.Families().Create(t.Context(), family("a"), 201*years); err == nil {
		t.Error("Create with a lifetime of 201 years: got no error")
	}
	if _, err := s.Families().Create(t.Context(), family(""), time.Hour); err == nil {
		t.Error("Create without ID: got no error")
	}
	if err := s.Revocations().Revoke(t.Context(), revocation.Target{}, 201*years); err == nil {
		t.Error("Revoke with a lifetime of 201 years: got no error")
	}
	r, err := s.Families().Create(t.Context(), family("a"), 200*years)
	if err != nil || !r.Expires.Equal(r.Created.Add(200*years)) {
		t.Fatalf("Create: Created = %v, Expires = %v, error = %v", r.Created, r.Expires, err)
	}
	const long = 1<<63 - 1
	got, outcome, err := s.Families().Rotate(t.Context(), "a", refresh.Presentation{Client: "c", Grace: long})
	if err != nil || outcome != refresh.Rotated || !got.GraceEnds.Equal(r.Expires) {
		t.Errorf("Rotate = %+v, %s, %v", got, outcome, err)
	}
}

func TestFamiliesAndRevocationsUnavailable(t *testing.T) {
	t.Parallel()
	server := enginetest.StartRedis(t, "appendonly no")
	client := connect(t, server.URL())
	s := newStore(t, client)
	if _, err := s.Families().Create(t.Context(), family("a"), time.Hour); err != nil {
		t.Fatal(err)
	}
	server.Kill(t)
	for name, err := range callAll(t.Context(), s) {
		if err == nil || errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("%s: error = %v, want unavailable", name, err)
		}
	}
}

// callAll calls every method of the stores of families and revocations.
func callAll(ctx context.Context, s *redisstore.Store) map[string]error {
	target := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	_, create := s.Families().Create(ctx, family("b"), time.Hour)
	_, find := s.Families().Find(ctx, "a")
	_, _, rotate := s.Families().Rotate(ctx, "a", refresh.Presentation{Client: "c"})
	_, list := s.Families().List(ctx, refresh.Filter{Subject: "s"}, 1)
	_, revoke := s.Families().Revoke(ctx, "a")
	_, revokeAll := s.Families().RevokeAll(ctx, refresh.Filter{Subject: "s"}, 1)
	_, findRevocations := s.Revocations().Find(ctx, []revocation.Target{target})
	return map[string]error{
		"Create": create, "Find": find, "Rotate": rotate, "List": list, "Revoke": revoke, "RevokeAll": revokeAll,
		"Revocations.Find": findRevocations, "Revocations.Revoke": s.Revocations().Revoke(ctx, target, time.Hour),
	}
}
