// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

// clock is a hook of a client, which runs each script with a time of the test in place
// of that of the server.
type clock struct{ now atomic.Int64 } // in microseconds

// newClock sets the clock of the scripts of a client. It is ahead of that of the server,
// which removes keys by its own.
func newClock(client *redis.Client) *clock {
	c := &clock{}
	c.now.Store(time.Now().Add(time.Hour).UnixMicro())
	client.AddHook(c)
	return c
}

type noScript struct{}

func (noScript) Error() string { return "NOSCRIPT the clock is that of a test" }
func (noScript) RedisError()   {}

func (c *clock) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *clock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *clock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		switch args := cmd.Args(); cmd.Name() {
		case "evalsha":
			cmd.SetErr(noScript{})
			return noScript{}
		case "eval":
			now := c.now.Load()
			text := strings.ReplaceAll(args[1].(string), "redis.call('TIME')", fmt.Sprintf("{ %d, %d }", now/1e6, now%1e6))
			if text == args[1] {
				return next(ctx, cmd)
			}
			args[1] = text
		}
		return next(ctx, cmd)
	}
}

// A time limit is decided alike by every script, and to the microsecond: what expires at
// a time is expired at that time.
func TestTimeLimitsToTheMicrosecond(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	clock := newClock(client)
	ctx := t.Context()
	alice, agent := gatehouse.Key{Issuer: "i", Subject: "alice"}, gatehouse.Key{Issuer: "i", Subject: "agent"}
	roles, err := gatehouse.NewRoles("boss")
	if err != nil {
		t.Fatal(err)
	}
	requested := approval.Approval{
		ID: "a", Call: approval.Call{Tenant: "t", Subject: alice, Actor: agent, Tool: "x", Version: "1", Arguments: "{}"},
		Rule: approval.Rule{Roles: roles},
	}
	limits := approval.Limits{Lifetime: time.Minute, Pending: 1, Bytes: 1000}
	boss := approval.Filter{Tenant: "t", Decider: gatehouse.Key{Issuer: "i", Subject: "bob"}, Roles: roles}
	approve := approval.Decision{Decider: boss.Decider, Approve: true}

	key := func(s *redisstore.Store) error {
		_, err := s.APIKeys().Create(ctx, apikey.Record{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: time.Minute}})
		return err
	}
	due := func(s *redisstore.Store) any {
		found, err := s.APIKeys().List(ctx, apikey.Query{Filter: apikey.Filter{AnyTenant: true}, ExpiresWithin: time.Second, Limit: 9})
		return fmt.Sprint(len(found), err)
	}
	newFamily := func(s *redisstore.Store) error {
		_, err := s.Families().Create(ctx, family("a"), time.Minute)
		return err
	}
	rotate := func(s *redisstore.Store, next byte) any {
		_, outcome, err := s.Families().Rotate(ctx, "a", refresh.Presentation{Client: "c", Next: refresh.Hash{next}, Successor: []byte{1}, Grace: time.Second})
		return fmt.Sprint(outcome, " ", err)
	}
	newSession := func(idle, lifetime time.Duration) func(*redisstore.Store) error {
		return func(s *redisstore.Store) error {
			_, err := s.Sessions().Create(ctx, browser("a", idle), lifetime)
			return err
		}
	}
	get := func(s *redisstore.Store) any { _, err := s.Sessions().Get(ctx, "a"); return err }
	user := session.Selector{Issuer: "i", Subject: "s"}
	request := func(s *redisstore.Store) error {
		_, _, err := s.Approvals().Request(ctx, requested, limits, false)
		return err
	}

	nothing := func(*redisstore.Store) error { return nil }
	// holdAt returns a hold of one, of 40 in a counter of an hour that begins after the start
	// of the test.
	start := time.UnixMicro(clock.now.Load())
	holdAt := func(n int, after time.Duration) budget.Reservation {
		begin := start.Add(after)
		end := begin.Add(time.Hour)
		return budget.Reservation{Tenant: "t", ID: fmt.Sprint(10 + n), TTL: time.Minute, Entries: []budget.Entry{{
			Account: "a", Window: "day", Start: begin, Since: begin, Next: end, End: end, Max: 40, Limit: 40, Amount: 1,
		}}}
	}
	reserve := func(after time.Duration) func(*redisstore.Store) any {
		return func(s *redisstore.Store) any {
			r, err := s.Budgets().Reserve(ctx, holdAt(0, after))
			return fmt.Sprint(r.Outcome, " ", err)
		}
	}
	holds := func(s *redisstore.Store) error {
		for n := range 40 { // more than a script makes expire
			if _, err := s.Budgets().Reserve(ctx, holdAt(n, -time.Minute)); err != nil {
				return err
			}
		}
		return nil
	}

	for _, test := range []struct {
		name       string
		limit      time.Duration // after the call of prepare
		prepare    func(*redisstore.Store) error
		act        func(*redisstore.Store) any
		before, at any
	}{
		{"rotate a key", time.Minute, key, func(s *redisstore.Store) any {
			_, err := s.APIKeys().Rotate(ctx, "a", apikey.Rotation{MaxLifetime: time.Hour})
			return err
		}, nil, apikey.ErrConflict},
		{"delete a key", time.Minute, key, func(s *redisstore.Store) any { return s.APIKeys().Delete(ctx, "a") }, apikey.ErrConflict, nil},
		{"list keys that have expired", time.Minute, key, due, "1 <nil>", "0 <nil>"},
		{"list keys that expire soon", time.Minute - time.Second, key, due, "0 <nil>", "1 <nil>"},
		{"touch a key", time.Second, func(s *redisstore.Store) error {
			return errors.Join(key(s), changed(s.APIKeys().Touch(ctx, "a", 1, time.Second)))
		}, func(s *redisstore.Store) any {
			return fmt.Sprint(s.APIKeys().Touch(ctx, "a", 1, time.Second))
		}, "false <nil>", "true <nil>"},
		{"remove an old key", time.Minute + apikey.Retention, key, func(s *redisstore.Store) any {
			_, err1 := s.APIKeys().Create(ctx, apikey.Record{Key: apikey.Key{ID: "b", Owner: "o", Lifetime: time.Minute}})
			_, err2 := s.APIKeys().Find(ctx, "a")
			return errors.Join(err1, err2)
		}, nil, apikey.ErrNotFound},
		{"remove an old key that was rotated", 90*time.Second + apikey.Retention, func(s *redisstore.Store) error {
			err := key(s)
			clock.now.Add((30 * time.Second).Microseconds())
			_, err2 := s.APIKeys().Rotate(ctx, "a", apikey.Rotation{MaxLifetime: time.Hour})
			return errors.Join(err, err2)
		}, func(s *redisstore.Store) any {
			_, err1 := s.APIKeys().Create(ctx, apikey.Record{Key: apikey.Key{ID: "b", Owner: "o", Lifetime: time.Minute}})
			_, err2 := s.APIKeys().Find(ctx, "a")
			return errors.Join(err1, err2)
		}, nil, apikey.ErrNotFound},
		{"reserve from the start of a counter", time.Minute, nothing, reserve(time.Minute), "moved <nil>", "held <nil>"},
		{"reserve until the next counter", time.Minute + time.Hour, nothing, reserve(time.Minute), "held <nil>", "moved <nil>"},
		{"extend one of many holds", time.Minute, holds, func(s *redisstore.Store) any {
			r, err := s.Budgets().Extend(ctx, holdAt(39, -time.Minute))
			return fmt.Sprint(r.Outcome, " ", err)
		}, "held <nil>", "expired <nil>"},
		{"extend a hold beyond its counter", time.Minute, func(s *redisstore.Store) error {
			_, err := s.Budgets().Reserve(ctx, holdAt(0, 30*time.Second-time.Hour))
			return err
		}, func(s *redisstore.Store) any {
			r, err := s.Budgets().Extend(ctx, holdAt(0, 30*time.Second-time.Hour))
			return fmt.Sprint(r.Outcome, " ", err)
		}, "held <nil>", "expired <nil>"},
		{"reserve what many holds have", time.Minute, holds, func(s *redisstore.Store) any {
			r, err := s.Budgets().Reserve(ctx, holdAt(40, -time.Minute))
			return fmt.Sprint(r.Outcome, " ", err)
		}, "exceeded <nil>", "held <nil>"},
		{"list counters", time.Hour - time.Minute, holds, func(s *redisstore.Store) any {
			counters, _, err := s.Budgets().List(ctx, "t", 9)
			return fmt.Sprint(len(counters), err)
		}, "1 <nil>", "0 <nil>"},
		{"rotate a family", time.Minute, newFamily, func(s *redisstore.Store) any { return rotate(s, 0) }, "rotated <nil>", "expired <nil>"},
		{"replay within the grace period", time.Second, func(s *redisstore.Store) error {
			return errors.Join(newFamily(s), changed(rotate(s, 1) == "rotated <nil>", nil))
		}, func(s *redisstore.Store) any { return rotate(s, 2) }, "replayed <nil>", "reused <nil>"},
		{"list families", time.Minute, newFamily, func(s *redisstore.Store) any {
			found, err := s.Families().List(ctx, refresh.Filter{Subject: "s"}, 9)
			return fmt.Sprint(len(found), err)
		}, "1 <nil>", "0 <nil>"},
		{"revoke all families", time.Minute, newFamily, func(s *redisstore.Store) any {
			found, err := s.Families().RevokeAll(ctx, refresh.Filter{Client: "c"}, 9)
			return fmt.Sprint(len(found), err)
		}, "1 <nil>", "0 <nil>"},
		{"get an idle session", time.Minute, newSession(time.Minute, time.Hour), get, nil, session.ErrNotFound},
		{"get an old session", time.Minute, newSession(time.Hour, time.Minute), get, nil, session.ErrNotFound},
		{"get a touched session", time.Minute + time.Second, func(s *redisstore.Store) error {
			err := newSession(time.Minute, time.Hour)(s)
			clock.now.Add(time.Second.Microseconds())
			return errors.Join(err, changed(s.Sessions().Touch(ctx, "a", time.Second)))
		}, get, nil, session.ErrNotFound},
		{"touch a session", time.Second, newSession(time.Minute, time.Hour), func(s *redisstore.Store) any {
			return fmt.Sprint(s.Sessions().Touch(ctx, "a", time.Second))
		}, "false <nil>", "true <nil>"},
		{"create a session again", time.Minute, newSession(time.Minute, time.Hour), func(s *redisstore.Store) any {
			return newSession(time.Minute, time.Hour)(s)
		}, session.ErrConflict, nil},
		{"swap a session", time.Minute, newSession(time.Minute, time.Hour), func(s *redisstore.Store) any {
			_, err := s.Sessions().Swap(ctx, "a", 1, session.Change{ID: "b"})
			return err
		}, nil, session.ErrNotFound},
		{"list sessions", time.Minute, newSession(time.Minute, time.Hour), func(s *redisstore.Store) any {
			found, err := s.Sessions().List(ctx, user, 9)
			return fmt.Sprint(len(found), err)
		}, "1 <nil>", "0 <nil>"},
		{"delete all sessions", time.Minute, newSession(time.Minute, time.Hour), func(s *redisstore.Store) any {
			return fmt.Sprint(s.Sessions().DeleteAll(ctx, user))
		}, "1 <nil>", "0 <nil>"},
		{"claim an approval", time.Minute, func(s *redisstore.Store) error {
			err := request(s)
			_, decided, err2 := s.Approvals().Decide(ctx, "t", "a", approve)
			return errors.Join(err, changed(decided, err2))
		}, func(s *redisstore.Store) any {
			_, err := s.Approvals().Claim(ctx, "t", requested.Digest())
			return err
		}, nil, approval.ErrNotFound},
		{"decide on an approval", time.Minute, request, func(s *redisstore.Store) any {
			_, decided, err := s.Approvals().Decide(ctx, "t", "a", approve)
			return fmt.Sprint(decided, err)
		}, "true <nil>", "false <nil>"},
		{"list approvals", time.Minute, request, func(s *redisstore.Store) any {
			found, err := s.Approvals().List(ctx, boss, 9, 1000)
			return fmt.Sprint(len(found), err)
		}, "1 <nil>", "0 <nil>"},
		{"request an approval again", time.Minute, request, func(s *redisstore.Store) any {
			again := requested
			again.ID = "b"
			_, added, err := s.Approvals().Request(ctx, again, limits, false)
			return fmt.Sprint(added, err)
		}, "false <nil>", "true <nil>"},
		{"request another approval", time.Minute, request, func(s *redisstore.Store) any {
			other := requested
			other.ID, other.Tool = "b", "y"
			_, _, err := s.Approvals().Request(ctx, other, limits, false)
			return err
		}, approval.ErrTooMany, nil},
	} {
		start := clock.now.Load()
		for when, want := range map[time.Duration]any{-time.Microsecond: test.before, 0: test.at} {
			clock.now.Store(start)
			s := newStore(t, client)
			if err := test.prepare(s); err != nil {
				t.Errorf("%s: prepare: %v", test.name, err)
				continue
			}
			clock.now.Store(start + (test.limit + when).Microseconds())
			got := test.act(s)
			if err, ok := got.(error); ok && want != nil {
				if target, ok := want.(error); ok && errors.Is(err, target) {
					continue
				}
			}
			if got != want {
				t.Errorf("%s, %v from the limit: %v, want %v", test.name, when, got, want)
			}
		}
		clock.now.Store(start)
	}
}

// changed returns an error unless a call has changed the record.
func changed(ok bool, err error) error {
	if err == nil && !ok {
		err = errors.New("nothing has changed")
	}
	return err
}

// A revocation is not moved back by a clock that is: tokens of the time between would be
// valid again.
func TestRevocationWithClockThatGoesBack(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	clock := newClock(client)
	revocations := newStore(t, client).Revocations()
	target := revocation.Target{Kind: revocation.Subject, Issuer: "i", Value: "a"}
	want := time.UnixMicro(clock.now.Load())
	for _, back := range []time.Duration{0, time.Second} {
		clock.now.Add(-back.Microseconds())
		if err := revocations.Revoke(t.Context(), target, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := revocations.Find(t.Context(), []revocation.Target{target}); err != nil || !got[0].Equal(want) {
			t.Errorf("Find, the clock %v back = %v, %v, want %v", back, got, err, want)
		}
	}
}
