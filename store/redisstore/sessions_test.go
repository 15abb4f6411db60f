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
	"github.com/gatehouse-go/gatehouse/session/sessiontest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

func TestSessionsContract(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	sessiontest.TestStore(t, func(t *testing.T) session.Store { return newStore(t, client).Sessions() })
}

// browser is a session of somebody.
func browser(id string, idle time.Duration) session.Record {
	return session.Record{
		Session:   session.Session{ID: id, Issuer: "i", Subject: "s", SID: "d", Idle: idle},
		Principal: "{}", Tokens: "sealed",
	}
}

// newSessions makes a store of which the test knows the prefix.
func newSessions(t *testing.T, client *redis.Client, prefix string) *redisstore.Sessions {
	t.Helper()
	s, err := redisstore.New(redisstore.Config{Client: client, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return s.Sessions()
}

func createSession(t *testing.T, sessions session.Store, r session.Record, lifetime time.Duration) session.Record {
	t.Helper()
	created, err := sessions.Create(t.Context(), r, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// Nothing of a session stays when it is over, whatever has become of it.
func TestSessionsVanish(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	sessions := newSessions(t, client, "vanish")
	const short = 200 * time.Millisecond
	for i := range 3 {
		createSession(t, sessions, browser(fmt.Sprint("deadline", i), time.Hour), short)
		createSession(t, sessions, browser(fmt.Sprint("idle", i), 2*time.Millisecond), short)
	}
	for _, prefix := range []string{"deadline", "idle"} {
		if _, err := sessions.Touch(t.Context(), prefix+"0", 0); err != nil {
			t.Fatal(err)
		}
		if _, err := sessions.Swap(t.Context(), prefix+"1", 1, session.Change{ID: prefix + "9"}); err != nil && !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
	}
	keys := func() []string {
		found, err := client.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := keys(); len(found) == 0 {
		t.Fatal("there is nothing that could vanish")
	}
	enginetest.Eventually(t, 10*time.Second, "all is gone", func() bool { return len(keys()) == 0 })
}

// An index names those who are there, and a few that were: not all that ever
// were, however seldom it is read.
func TestSessionIndexesStaySmall(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
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
	// They stay for as long as the last of those in them may.
	stays := func(when string) {
		t.Helper()
		for _, name := range names {
			if left, err := client.TTL(t.Context(), name).Result(); err != nil || left < 50*time.Minute || left > time.Hour {
				t.Errorf("%s: %s goes in %v, %v", when, name, left, err)
			}
		}
	}
	gone := func(id string) {
		t.Helper()
		enginetest.Eventually(t, 10*time.Second, id+" is over", func() bool {
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
	sizes(7, "idle, before anybody looks")
	for _, sel := range []session.Selector{{Issuer: "i", Subject: "s"}, {Issuer: "i", SID: "d"}} {
		if found, err := sessions.List(t.Context(), sel, 10); err != nil || len(found) != 2 {
			t.Errorf("%v, %v", found, err)
		}
	}
	sizes(2, "after a look")
	if err := sessions.Delete(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	sizes(1, "after a logout")
	stays("after a logout")
}

// Redis may be slow to remove what is over. It is over all the same, and who
// takes its place takes all of it.
func TestSessionsThatLinger(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
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
			t.Fatalf("the record stands elsewhere, or has no end: %v", err)
		}
		if r, err := sessions.Get(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("found %+v, %v", r, err)
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
		t.Errorf("created %+v", r)
	}
	members("old", 0)
	members("s", 1)

	linger("b")
	members("old", 1)
	if r, err := sessions.Swap(t.Context(), "a", 1, session.Change{ID: "b"}); err != nil || r.Version != 2 || r.Subject != "s" || !r.Claimed.IsZero() {
		t.Errorf("swapped %+v, %v", r, err)
	}
	members("old", 0)
	members("s", 1)
	if left, err := client.TTL(t.Context(), "{linger}:sessions:1:session:b").Result(); err != nil || left < 50*time.Minute || left > time.Hour {
		t.Errorf("the session goes in %v, %v", left, err)
	}

	linger("c")
	if n, err := sessions.DeleteAll(t.Context(), session.Selector{Issuer: "i", Subject: "old"}); err != nil || n != 0 {
		t.Errorf("%d sessions were counted, %v", n, err)
	}
	members("old", 0)
}

// Sessions that were seen in one microsecond stand in the order of the bytes of
// their ids.
func TestSessionsOfOneMicrosecond(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
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
			t.Errorf("limit %d: %s, %v, want %s", limit, got, err, want)
		}
	}
}

// What cannot be read is not guessed, and what cannot be counted exactly is
// refused.
func TestDamagedSessions(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	sessions := newSessions(t, client, "damaged")
	createSession(t, sessions, browser("a", time.Hour), time.Hour)
	damage(t, client, "{damaged}:sessions:1:session:a", map[string][]string{
		"created": {"", "x", "1.5"}, "last_seen": {"", "x"}, "expires": {"", "never"}, "idle": {"", "x", "1e300"},
		"version": {"", "x"}, "claimed": {"", "x"},
	}, func() error { _, err := sessions.Get(t.Context(), "a"); return err }, session.ErrNotFound, session.ErrConflict)
	const years = 365 * 24 * time.Hour
	for id, lifetime := range map[string]time.Duration{"": time.Hour, "b": 201 * years} {
		if _, err := sessions.Create(t.Context(), browser(id, time.Hour), lifetime); err == nil || errors.Is(err, session.ErrConflict) {
			t.Errorf("%q, of %v: error %v", id, lifetime, err)
		}
	}
	if _, err := sessions.Swap(t.Context(), "a", 1, session.Change{}); err == nil || errors.Is(err, session.ErrConflict) {
		t.Errorf("no id: error %v", err)
	}
	const long = 1<<63 - 1
	r := createSession(t, sessions, browser("b", long), 200*years)
	if !r.Expires.Equal(r.Created.Add(200*years)) || r.Idle != time.Duration(long).Truncate(time.Microsecond) {
		t.Errorf("created %v, expires %v, idle %v", r.Created, r.Expires, r.Idle)
	}
	if touched, err := sessions.Touch(t.Context(), "b", long); err != nil || touched {
		t.Error(touched, err)
	}
}

// A swap that was sent and not answered is not sent again: it would find its
// own version, and take it for that of somebody else.
func TestSwapsAreSentOnce(t *testing.T) {
	server := enginetest.StartRedis(t, "appendonly no")
	proxy := enginetest.StartProxy(t, server.Addr())
	through := newSessions(t, connect(t, enginetest.Via(t, server.URL(), proxy)), "once")
	beside := newSessions(t, connect(t, server.URL()), "once")
	// The server knows the script then, and carries it out as soon as it comes.
	if _, err := beside.Swap(t.Context(), "none", 1, session.Change{ID: "none"}); !errors.Is(err, session.ErrNotFound) {
		t.Fatal(err)
	}
	for i := range 3 {
		id := fmt.Sprint(i)
		createSession(t, through, browser(id, time.Hour), time.Hour)
		done := make(chan error, 1)
		proxy.DropResponses()
		go func() {
			_, err := through.Swap(t.Context(), id, 1, session.Change{ID: id})
			done <- err
		}()
		enginetest.Eventually(t, time.Minute, "the swap is carried out", func() bool {
			r, err := beside.Get(t.Context(), id)
			return err == nil && r.Version > 1
		})
		proxy.Cut()
		proxy.Restore()
		if err := <-done; err == nil || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("a swap without an answer: error %v", err)
		}
	}
}
