// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestExpiredSessionsLeaveNoKeys: Redis removes the record and the indexes.
func TestExpiredSessionsLeaveNoKeys(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	sessions := newStoreAt(t, client, "vanish").Sessions()
	keys := func() []string {
		found := must(client.Keys(t.Context(), "*").Result())(t)
		return found
	}
	// If the calls end after the lifetime, there are no keys: try again with a longer one.
	for lifetime := 200 * time.Millisecond; len(keys()) == 0; lifetime *= 2 {
		if lifetime > 20*time.Second {
			t.Fatal("no keys before the expiry")
		}
		for i := range 3 {
			createSession(t, sessions, browser(fmt.Sprint("deadline", i), time.Hour), lifetime)
			createSession(t, sessions, browser(fmt.Sprint("idle", i), 2*time.Millisecond), lifetime)
		}
		for _, prefix := range []string{"deadline", "idle"} {
			must(sessions.Touch(t.Context(), prefix+"0", 0))(t)
			if _, err := sessions.Swap(t.Context(), prefix+"1", 1, session.Change{ID: prefix + "9"}); err != nil && !errors.Is(err, session.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	enginetest.Eventually(t, time.Minute, "all keys are removed", func() bool { return len(keys()) == 0 })
}

// TestSessionIndexesStaySmall: writes and reads remove expired sessions from the
// indexes.
func TestSessionIndexesStaySmall(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	sessions := newStoreAt(t, client, "small").Sessions()
	names := []string{"{small}:sessions:1:subject:1:is", "{small}:sessions:1:sid:1:id"}
	sizes := func(want int64, when string) {
		t.Helper()
		for _, name := range names {
			if n, err := client.ZCard(t.Context(), name).Result(); err != nil || n != want {
				t.Errorf("%s: %s has %d members, %v, want %d", when, name, n, err, want)
			}
		}
	}
	// An index expires with the last session in it.
	stays := func(when string) {
		t.Helper()
		for _, name := range names {
			if left, err := client.TTL(t.Context(), name).Result(); err != nil || left < 50*time.Minute || left > time.Hour {
				t.Errorf("%s: %s expires in %v, %v, want 50m to 1h", when, name, left, err)
			}
		}
	}
	gone := func(id string) {
		t.Helper()
		enginetest.Eventually(t, 10*time.Second, id+" is expired", func() bool {
			_, err := sessions.Get(t.Context(), id)
			return errors.Is(err, session.ErrNotFound)
		})
	}
	createSession(t, sessions, browser("stays", time.Hour), time.Hour)
	for i := range 20 {
		createSession(t, sessions, browser(fmt.Sprint(i), time.Hour), 20*time.Millisecond)
	}
	stays("after short ones")
	gone("19")
	createSession(t, sessions, browser("new", time.Hour), time.Hour)
	sizes(2, "after a login")
	for i := range 5 {
		createSession(t, sessions, browser(fmt.Sprint(i), 20*time.Millisecond), time.Hour)
	}
	gone("4")
	sizes(7, "idle, before a read")
	for _, sel := range []session.Selector{{Issuer: "i", Subject: "s"}, {Issuer: "i", SID: "d"}} {
		if found, err := sessions.List(t.Context(), sel, 10); err != nil || len(found) != 2 {
			t.Errorf("List = %v, %v, want 2 sessions", found, err)
		}
	}
	sizes(2, "after a read")
	if err := sessions.Delete(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	sizes(1, "after a logout")
	stays("after a logout")
}

// TestExpiredSessionsAreReplaced: Redis may remove expired keys late. Until then they
// count as missing, and a session that takes the ID replaces all of it.
func TestExpiredSessionsAreReplaced(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	sessions := newStoreAt(t, client, "linger").Sessions()
	linger := func(id string) {
		t.Helper()
		r := browser(id, time.Hour)
		r.Subject, r.SID = "old", ""
		createSession(t, sessions, r, 24*time.Hour)
		name := "{linger}:sessions:1:session:" + id
		for field, value := range map[string]any{
			"claimed": time.Now().Add(time.Hour).UnixMicro(), "version": 7, "last_seen": time.Now().Add(-2 * time.Hour).UnixMicro(),
		} {
			must(client.HSet(t.Context(), name, field, value).Result())(t)
		}
		if kept, err := client.Persist(t.Context(), name).Result(); err != nil || !kept {
			t.Fatalf("Persist = %v, want a key with an expiry", err)
		}
		if r, err := sessions.Get(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Get = %+v, %v, want %v", r, err, session.ErrNotFound)
		}
	}
	members := func(subject string, want int64) {
		t.Helper()
		if n, err := client.ZCard(t.Context(), "{linger}:sessions:1:subject:1:i"+subject).Result(); err != nil || n != want {
			t.Errorf("%s has %d sessions, %v, want %d", subject, n, err, want)
		}
	}
	linger("a")
	members("old", 1)
	if r := createSession(t, sessions, browser("a", time.Hour), time.Hour); r.Version != 1 || !r.Claimed.IsZero() {
		t.Errorf("Create = %+v, want Version 1 and no claim", r)
	}
	members("old", 0)
	members("s", 1)

	linger("b")
	members("old", 1)
	if r, err := sessions.Swap(t.Context(), "a", 1, session.Change{ID: "b"}); err != nil || r.Version != 2 || r.Subject != "s" || !r.Claimed.IsZero() {
		t.Errorf("Swap = %+v, %v, want Version 2 of subject s", r, err)
	}
	members("old", 0)
	members("s", 1)
	if left, err := client.TTL(t.Context(), "{linger}:sessions:1:session:b").Result(); err != nil || left < 50*time.Minute || left > time.Hour {
		t.Errorf("the session expires in %v, %v, want 50m to 1h", left, err)
	}

	linger("c")
	if n, err := sessions.DeleteAll(t.Context(), session.Selector{Issuer: "i", Subject: "old"}); err != nil || n != 0 {
		t.Errorf("DeleteAll = %d, %v, want 0", n, err)
	}
	members("old", 0)
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
		must(families.Create(t.Context(), r, time.Duration(i%2)*time.Hour+200*time.Millisecond))(t)
		revoke(fmt.Sprint(i), time.Duration(i%2)*time.Hour+200*time.Millisecond)
	}
	if _, err := families.Find(t.Context(), "1"); err != nil { // one of an hour
		t.Fatal(err)
	}
	keys := func() []string {
		t.Helper()
		all := must(client.Keys(t.Context(), "*").Result())(t)
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
	must(families.Create(t.Context(), family("new"), time.Hour))(t)
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
