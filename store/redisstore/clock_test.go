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

// store is what each row of TestTimeLimitsToTheMicrosecond has.
type store = redisstore.Store

// A time limit is decided alike by every script, and to the microsecond: what expires at
// a time is expired at that time.
func TestTimeLimitsToTheMicrosecond(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	clock := newClock(client)
	ctx := t.Context()
	alice, agent := gatehouse.Key{Issuer: "i", Subject: "alice"}, gatehouse.Key{Issuer: "i", Subject: "agent"}
	roles := must(gatehouse.NewRoles("boss"))(t)
	requested := approval.Approval{
		ID: "a", Call: approval.Call{Tenant: "t", Subject: alice, Actor: agent, Tool: "x", Version: "1", Arguments: "{}"},
		Rule: approval.Rule{Roles: roles},
	}
	limits := approval.Limits{Lifetime: time.Minute, Pending: 1, Bytes: 1000}
	boss := approval.Filter{Tenant: "t", Decider: gatehouse.Key{Issuer: "i", Subject: "bob"}, Roles: roles}
	approve := approval.Decision{Decider: boss.Decider, Approve: true}

	key := func(s *store) error {
		return second(s.APIKeys().Create(ctx, apikey.Record{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: time.Minute}}))
	}
	another := func(s *store) any {
		err := second(s.APIKeys().Create(ctx, apikey.Record{Key: apikey.Key{ID: "b", Owner: "o", Lifetime: time.Minute}}))
		return errors.Join(err, second(s.APIKeys().Find(ctx, "a")))
	}
	due := func(s *store) any {
		return counted(s.APIKeys().List(ctx, apikey.Query{Filter: apikey.Filter{AnyTenant: true}, ExpiresWithin: time.Second, Limit: 9}))
	}
	newFamily := func(s *store) error { return second(s.Families().Create(ctx, family("a"), time.Minute)) }
	rotate := func(s *store, next byte) any {
		_, outcome, err := s.Families().Rotate(ctx, "a", refresh.Presentation{Client: "c", Next: refresh.Hash{next}, Successor: []byte{1}, Grace: time.Second})
		return fmt.Sprint(outcome, " ", err)
	}
	newSession := func(idle, lifetime time.Duration) func(*store) error {
		return func(s *store) error { return second(s.Sessions().Create(ctx, browser("a", idle), lifetime)) }
	}
	idle := newSession(time.Minute, time.Hour)
	get := func(s *store) any { return second(s.Sessions().Get(ctx, "a")) }
	user := session.Selector{Issuer: "i", Subject: "s"}
	request := func(s *store) error { return third(s.Approvals().Request(ctx, requested, limits, false)) }

	nothing := func(*store) error { return nil }
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
	outcome := func(r budget.Result, err error) any { return fmt.Sprint(r.Outcome, " ", err) }
	reserve := func(after time.Duration) func(*store) any {
		return func(s *store) any { return outcome(s.Budgets().Reserve(ctx, holdAt(0, after))) }
	}
	holds := func(s *store) error {
		for n := range 40 { // more than a script makes expire
			if err := second(s.Budgets().Reserve(ctx, holdAt(n, -time.Minute))); err != nil {
				return err
			}
		}
		return nil
	}
	decided := func(_ approval.Approval, changed bool, err error) any { return fmt.Sprint(changed, err) }

	for _, test := range []struct {
		name       string
		limit      time.Duration // after the call of prepare
		prepare    func(*store) error
		act        func(*store) any
		before, at any
	}{
		{"rotate a key", time.Minute, key, func(s *store) any {
			return second(s.APIKeys().Rotate(ctx, "a", apikey.Rotation{MaxLifetime: time.Hour}))
		}, nil, apikey.ErrConflict},
		{"delete a key", time.Minute, key, func(s *store) any { return s.APIKeys().Delete(ctx, "a") }, apikey.ErrConflict, nil},
		{"list keys that have expired", time.Minute, key, due, "1 <nil>", "0 <nil>"},
		{"list keys that expire soon", time.Minute - time.Second, key, due, "0 <nil>", "1 <nil>"},
		{"touch a key", time.Second, func(s *store) error {
			return errors.Join(key(s), changed(s.APIKeys().Touch(ctx, "a", 1, time.Second)))
		}, func(s *store) any {
			return fmt.Sprint(s.APIKeys().Touch(ctx, "a", 1, time.Second))
		}, "false <nil>", "true <nil>"},
		{"remove an old key", time.Minute + apikey.Retention, key, another, nil, apikey.ErrNotFound},
		{"remove an old key that was rotated", 90*time.Second + apikey.Retention, func(s *store) error {
			err := key(s)
			clock.now.Add((30 * time.Second).Microseconds())
			return errors.Join(err, second(s.APIKeys().Rotate(ctx, "a", apikey.Rotation{MaxLifetime: time.Hour})))
		}, another, nil, apikey.ErrNotFound},
		{"reserve from the start of a counter", time.Minute, nothing, reserve(time.Minute), "moved <nil>", "held <nil>"},
		{"reserve until the next counter", time.Minute + time.Hour, nothing, reserve(time.Minute), "held <nil>", "moved <nil>"},
		{"extend one of many holds", time.Minute, holds, func(s *store) any {
			return outcome(s.Budgets().Extend(ctx, holdAt(39, -time.Minute)))
		}, "held <nil>", "expired <nil>"},
		{"extend a hold beyond its counter", time.Minute, func(s *store) error {
			return second(s.Budgets().Reserve(ctx, holdAt(0, 30*time.Second-time.Hour)))
		}, func(s *store) any {
			return outcome(s.Budgets().Extend(ctx, holdAt(0, 30*time.Second-time.Hour)))
		}, "held <nil>", "expired <nil>"},
		{"reserve beside many holds", time.Minute, holds, func(s *store) any {
			return outcome(s.Budgets().Reserve(ctx, holdAt(40, -time.Minute)))
		}, "exceeded <nil>", "held <nil>"},
		{"reserve what many holds have", time.Minute, holds, func(s *store) any {
			all := holdAt(40, -time.Minute)
			all.Entries[0].Amount = 40
			return outcome(s.Budgets().Reserve(ctx, all))
		}, "exceeded <nil>", "held <nil>"},
		{"list counters", time.Hour - time.Minute, holds, func(s *store) any {
			counters, _, err := s.Budgets().List(ctx, "t", 9)
			return counted(counters, err)
		}, "1 <nil>", "0 <nil>"},
		{"rotate a family", time.Minute, newFamily, func(s *store) any { return rotate(s, 0) }, "rotated <nil>", "expired <nil>"},
		{"replay within the grace period", time.Second, func(s *store) error {
			return errors.Join(newFamily(s), changed(rotate(s, 1) == "rotated <nil>", nil))
		}, func(s *store) any { return rotate(s, 2) }, "replayed <nil>", "reused <nil>"},
		{"list families", time.Minute, newFamily, func(s *store) any {
			return counted(s.Families().List(ctx, refresh.Filter{Subject: "s"}, 9))
		}, "1 <nil>", "0 <nil>"},
		{"revoke all families", time.Minute, newFamily, func(s *store) any {
			return counted(s.Families().RevokeAll(ctx, refresh.Filter{Client: "c"}, 9))
		}, "1 <nil>", "0 <nil>"},
		{"get an idle session", time.Minute, idle, get, nil, session.ErrNotFound},
		{"get an old session", time.Minute, newSession(time.Hour, time.Minute), get, nil, session.ErrNotFound},
		{"get a touched session", time.Minute + time.Second, func(s *store) error {
			err := idle(s)
			clock.now.Add(time.Second.Microseconds())
			return errors.Join(err, changed(s.Sessions().Touch(ctx, "a", time.Second)))
		}, get, nil, session.ErrNotFound},
		{"touch a session", time.Second, idle, func(s *store) any {
			return fmt.Sprint(s.Sessions().Touch(ctx, "a", time.Second))
		}, "false <nil>", "true <nil>"},
		{"create a session again", time.Minute, idle, func(s *store) any { return idle(s) }, session.ErrConflict, nil},
		{"swap a session", time.Minute, idle, func(s *store) any {
			return second(s.Sessions().Swap(ctx, "a", 1, session.Change{ID: "b"}))
		}, nil, session.ErrNotFound},
		{"list sessions", time.Minute, idle, func(s *store) any { return counted(s.Sessions().List(ctx, user, 9)) }, "1 <nil>", "0 <nil>"},
		{"delete all sessions", time.Minute, idle, func(s *store) any {
			return fmt.Sprint(s.Sessions().DeleteAll(ctx, user))
		}, "1 <nil>", "0 <nil>"},
		{"claim an approval", time.Minute, func(s *store) error {
			err := request(s)
			_, decided, err2 := s.Approvals().Decide(ctx, "t", "a", approve)
			return errors.Join(err, changed(decided, err2))
		}, func(s *store) any { return second(s.Approvals().Claim(ctx, "t", requested.Digest())) }, nil, approval.ErrNotFound},
		{"decide on an approval", time.Minute, request, func(s *store) any {
			return decided(s.Approvals().Decide(ctx, "t", "a", approve))
		}, "true <nil>", "false <nil>"},
		{"list approvals", time.Minute, request, func(s *store) any {
			return counted(s.Approvals().List(ctx, boss, 9, 1000))
		}, "1 <nil>", "0 <nil>"},
		{"request an approval again", time.Minute, request, func(s *store) any {
			again := requested
			again.ID = "b"
			return decided(s.Approvals().Request(ctx, again, limits, false))
		}, "false <nil>", "true <nil>"},
		{"request another approval", time.Minute, request, func(s *store) any {
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
			failed, _ := got.(error)
			if target, ok := want.(error); got != want && !(ok && errors.Is(failed, target)) {
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
