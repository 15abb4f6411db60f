// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

// browser returns a record.
func browser(id string, idle time.Duration) session.Record {
	return session.Record{
		Session:   session.Session{ID: id, Issuer: "i", Subject: "s", SID: "d", Idle: idle},
		Principal: "{}", Tokens: "sealed",
	}
}

// newSessions returns a store with a known prefix.
func newSessions(t *testing.T, client *redis.Client, prefix string) *redisstore.Sessions {
	t.Helper()
	return newStoreAt(t, client, prefix).Sessions()
}

func createSession(t *testing.T, sessions session.Store, r session.Record, lifetime time.Duration) session.Record {
	t.Helper()
	created, err := sessions.Create(t.Context(), r, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// TestExpiredSessionsLeaveNoKeys: Redis removes the record and the indexes.
func TestExpiredSessionsLeaveNoKeys(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	sessions := newSessions(t, client, "vanish")
	keys := func() []string {
		found, err := client.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
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
			if _, err := sessions.Touch(t.Context(), prefix+"0", 0); err != nil {
				t.Fatal(err)
			}
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
	sessions := newSessions(t, client, "small")
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
	sessions := newSessions(t, client, "linger")
	linger := func(id string) {
		t.Helper()
		r := browser(id, time.Hour)
		r.Subject, r.SID = "old", ""
		createSession(t, sessions, r, 24*time.Hour)
		name := "{linger}:sessions:1:session:" + id
		for field, value := range map[string]any{
			"claimed": time.Now().Add(time.Hour).UnixMicro(), "version": 7, "last_seen": time.Now().Add(-2 * time.Hour).UnixMicro(),
		} {
			if err := client.HSet(t.Context(), name, field, value).Err(); err != nil {
				t.Fatal(err)
			}
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

// TestListOrdersTiesByID: sessions with the same LastSeen are ordered by the bytes of
// their IDs.
func TestListOrdersTiesByID(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	sessions := newSessions(t, client, "ties")
	now := time.Now().UnixMicro()
	for _, id := range []string{"b", "é", "A", "Z", "a", "B", "aa"} {
		createSession(t, sessions, browser(id, time.Hour), time.Hour)
		if err := client.HSet(t.Context(), "{ties}:sessions:1:session:"+id, "last_seen", now).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{-1, 3, 10} {
		found, err := sessions.List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, limit)
		var ids []string
		for _, r := range found {
			ids = append(ids, r.ID)
		}
		want := []string{"A", "B", "Z", "a", "aa", "b", "é"}
		if got, want := strings.Join(ids, " "), strings.Join(want[:min(max(limit, 0), len(want))], " "); got != want || err != nil {
			t.Errorf("List(limit %d) = %s, %v, want %s", limit, got, err, want)
		}
	}
}

// TestDamagedSessions: malformed fields, empty IDs and times that Lua cannot represent
// are errors.
func TestDamagedSessions(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	sessions := newSessions(t, client, "damaged")
	createSession(t, sessions, browser("a", time.Hour), time.Hour)
	damage(t, client, "{damaged}:sessions:1:session:a", map[string][]string{
		"created": {"", "x", "1.5"}, "last_seen": {"", "x"}, "expires": {"", "never"}, "idle": {"", "x", "1e300"},
		"version": {"", "x"}, "claimed": {"", "x"},
	}, func() error { _, err := sessions.Get(t.Context(), "a"); return err }, session.ErrNotFound, session.ErrConflict)
	const years = 365 * 24 * time.Hour
	for id, lifetime := range map[string]time.Duration{"": time.Hour, "b": 201 * years} {
		if _, err := sessions.Create(t.Context(), browser(id, time.Hour), lifetime); err == nil || errors.Is(err, session.ErrConflict) {
			t.Errorf("Create(%q, %v) error = %v, want one that is not ErrConflict", id, lifetime, err)
		}
	}
	if _, err := sessions.Swap(t.Context(), "a", 1, session.Change{}); err == nil || errors.Is(err, session.ErrConflict) {
		t.Errorf("Swap to an empty ID: error = %v, want one that is not ErrConflict", err)
	}
	const long = 1<<63 - 1
	r := createSession(t, sessions, browser("b", long), 200*years)
	if !r.Expires.Equal(r.Created.Add(200*years)) || r.Idle != time.Duration(long).Truncate(time.Microsecond) {
		t.Errorf("Create: Created %v, Expires %v, Idle %v; want 200 years and the longest Idle", r.Created, r.Expires, r.Idle)
	}
	if touched, err := sessions.Touch(t.Context(), "b", long); err != nil || touched {
		t.Error(touched, err)
	}
}
