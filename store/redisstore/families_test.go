// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
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

// What cannot be read is not guessed: a damaged record is a store that cannot
// tell.
func TestDamagedFamilies(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: "damaged"})
	if err != nil {
		t.Fatal(err)
	}
	families := s.Families()
	if _, err := families.Create(t.Context(), family("a"), time.Hour); err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("0", 64)
	damage(t, client, "{damaged}:families:1:family:a", map[string][]string{
		"scopes":  {"a  b", "é"},
		"created": {"", "x", "1.5"}, "expires": {"", "never"}, "auth_time": {"", "x"},
		"rotated": {""}, "grace_ends": {"", "x"}, "ended": {"", "no"}, "generation": {"", "x"},
		"key": {"", sum[1:], sum + "0", "x" + sum[1:]}, "current": {"", sum[1:]}, "previous": {"", sum[1:]}, "successor": {"0", "x0"},
	}, func() error { _, err := families.Find(t.Context(), "a"); return err }, refresh.ErrNotFound)

	const revocation = "{damaged}:revocations:1:jti:1:ia"
	what := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	// Where the clock was set back, a revocation stays where it was.
	ahead := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	if err := client.Set(t.Context(), revocation, ahead.UnixMicro(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Revocations().Revoke(t.Context(), what, time.Hour); err != nil {
		t.Fatal(err)
	}
	if times, err := s.Revocations().Find(t.Context(), []revocation.Target{what}); err != nil || !times[0].Equal(ahead) {
		t.Errorf("revoked at %v, %v, and before at %v", times, err, ahead)
	}
	if err := client.Set(t.Context(), revocation, "soon", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if times, err := s.Revocations().Find(t.Context(), []revocation.Target{what}); err == nil {
		t.Errorf("a damaged revocation: %v", times)
	}
}

// Nothing is kept for ever: every key has an end, and what has come to it is
// gone, from the indexes too.
func TestFamiliesAndRevocationsVanish(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: "vanish"})
	if err != nil {
		t.Fatal(err)
	}
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
	if _, err := families.Find(t.Context(), "0"); err != nil {
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
				t.Errorf("%s never ends", key)
			}
		}
		return all
	}
	keys()
	// Ten families and ten revocations, and the indexes of a subject and two clients.
	enginetest.Eventually(t, time.Minute, "half of it vanishes", func() bool { return len(keys()) == 10+10+3 })
	if _, err := families.Create(t.Context(), family("new"), time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"subject:s": 11, "client:c": 6, "client:other": 9} {
		if got := client.ZCard(t.Context(), "{vanish}:families:1:"+name).Val(); got != want {
			t.Errorf("the index %s has %d members, want %d", name, got, want)
		}
	}
	// One that ends does not stay in an index, and neither does one that was
	// lost.
	if _, err := families.Revoke(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	client.Del(t.Context(), "{vanish}:families:1:family:3")
	ended, err := families.RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 100)
	if err != nil || len(ended) != 9 {
		t.Errorf("%d were ended, %v", len(ended), err)
	}
	if ended, err = families.RevokeAll(t.Context(), refresh.Filter{Client: "c"}, 100); err != nil || len(ended) != 0 {
		t.Errorf("%d were ended again, %v", len(ended), err)
	}
	if n := client.Exists(t.Context(), "{vanish}:families:1:subject:s", "{vanish}:families:1:client:c").Val(); n != 0 {
		t.Errorf("%d empty indexes are left", n)
	}
}

// What is added to a time in a script stays within what Lua counts exactly.
func TestFamilySpans(t *testing.T) {
	s := newStore(t, connect(t, enginetest.StartRedis(t, "appendonly no").URL()))
	const years = 365 * 24 * time.Hour
	if _, err := s.Families().Create(t.Context(), family("a"), 201*years); err == nil {
		t.Error("a family lives longer than Lua can count")
	}
	if _, err := s.Families().Create(t.Context(), family(""), time.Hour); err == nil {
		t.Error("a family has no id")
	}
	if err := s.Revocations().Revoke(t.Context(), revocation.Target{}, 201*years); err == nil {
		t.Error("a revocation lives longer than Lua can count")
	}
	r, err := s.Families().Create(t.Context(), family("a"), 200*years)
	if err != nil || !r.Expires.Equal(r.Created.Add(200*years)) {
		t.Fatalf("created %v, expires %v, %v", r.Created, r.Expires, err)
	}
	const long = 1<<63 - 1
	got, outcome, err := s.Families().Rotate(t.Context(), "a", refresh.Presentation{Client: "c", Grace: long})
	if err != nil || outcome != refresh.Rotated || !got.GraceEnds.Equal(r.Expires) {
		t.Errorf("%+v, %s, %v", got, outcome, err)
	}
}

// A server that is down is one that cannot tell.
func TestFamiliesDown(t *testing.T) {
	server := enginetest.StartRedis(t, "appendonly no")
	client := connect(t, server.URL())
	s := newStore(t, client)
	if _, err := s.Families().Create(t.Context(), family("a"), time.Hour); err != nil {
		t.Fatal(err)
	}
	server.Kill(t)
	what := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	_, err1 := s.Families().Create(t.Context(), family("b"), time.Hour)
	_, err2 := s.Families().Find(t.Context(), "a")
	_, outcome, err3 := s.Families().Rotate(t.Context(), "a", refresh.Presentation{Client: "c"})
	_, err4 := s.Families().Revoke(t.Context(), "a")
	_, err5 := s.Families().RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 1)
	err6 := s.Revocations().Revoke(t.Context(), what, time.Hour)
	times, err7 := s.Revocations().Find(t.Context(), []revocation.Target{what})
	for n, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
		if err == nil || errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("call %d: %v", n+1, err)
		}
	}
	if outcome != "" || times != nil {
		t.Errorf("%q, %v", outcome, times)
	}
}
