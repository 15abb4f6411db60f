// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"errors"
	"net"
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
)

// commands is a hook of a client that records the commands, and answers them with reply if
// it is set.
type commands struct {
	all   []redis.Cmder
	reply []any
}

var errNoAnswer = errors.New("no answer")

func (c *commands) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errNoAnswer }
}

func (c *commands) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return errNoAnswer }
}

func (c *commands) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		c.all = append(c.all, cmd)
		switch cmd := cmd.(type) {
		case interface{ SetVal(v any) }:
			if c.reply != nil {
				cmd.SetVal(c.reply)
				return nil
			}
		case *redis.SliceCmd:
			if c.reply != nil {
				cmd.SetVal(c.reply)
				return nil
			}
		}
		return errNoAnswer
	}
}

// A change whose answer is lost may have been made. go-redis repeats none: a second swap
// would be a conflict, a second rotation would end the previous secret, and a second
// insertion would find the key of the first. It repeats queries.
func TestChangesAreSentOnce(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	defer client.Close()
	sent := &commands{}
	client.AddHook(sent)
	s, ctx := newStoreAt(t, client, "once"), t.Context()
	target := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	for name, test := range map[string]struct {
		call    func() error
		repeats bool
	}{
		"create key":      {func() error { return second(s.APIKeys().Create(ctx, apikey.Record{Key: apikey.Key{ID: "a"}})) }, false},
		"find key":        {func() error { return second(s.APIKeys().Find(ctx, "a")) }, true},
		"rotate key":      {func() error { return second(s.APIKeys().Rotate(ctx, "a", apikey.Rotation{})) }, false},
		"revoke key":      {func() error { return second(s.APIKeys().Revoke(ctx, "a")) }, false},
		"revoke keys":     {func() error { return second(s.APIKeys().RevokeAll(ctx, apikey.Filter{}, 1)) }, false},
		"suspend key":     {func() error { return second(s.APIKeys().Suspend(ctx, "a", true)) }, false},
		"touch key":       {func() error { return second(s.APIKeys().Touch(ctx, "a", 1, time.Second)) }, false},
		"list keys":       {func() error { return second(s.APIKeys().List(ctx, apikey.Query{})) }, true},
		"import key":      {func() error { return second(s.APIKeys().Import(ctx, apikey.Record{Key: apikey.Key{ID: "a"}})) }, false},
		"delete key":      {func() error { return s.APIKeys().Delete(ctx, "a") }, false},
		"create family":   {func() error { return second(s.Families().Create(ctx, family("a"), time.Hour)) }, false},
		"find family":     {func() error { return second(s.Families().Find(ctx, "a")) }, true},
		"rotate family":   {func() error { return third(s.Families().Rotate(ctx, "a", refresh.Presentation{})) }, false},
		"revoke family":   {func() error { return second(s.Families().Revoke(ctx, "a")) }, false},
		"revoke families": {func() error { return second(s.Families().RevokeAll(ctx, refresh.Filter{Subject: "s"}, 1)) }, false},
		"list families":   {func() error { return second(s.Families().List(ctx, refresh.Filter{Subject: "s"}, 1)) }, true},
		"create session":  {func() error { return second(s.Sessions().Create(ctx, browser("a", time.Hour), time.Hour)) }, false},
		"get session":     {func() error { return second(s.Sessions().Get(ctx, "a")) }, true},
		"swap session":    {func() error { return second(s.Sessions().Swap(ctx, "a", 1, session.Change{ID: "a"})) }, false},
		"touch session":   {func() error { return second(s.Sessions().Touch(ctx, "a", time.Second)) }, false},
		"delete session":  {func() error { return s.Sessions().Delete(ctx, "a") }, false},
		"delete sessions": {func() error { return second(s.Sessions().DeleteAll(ctx, session.Selector{Subject: "s"})) }, false},
		"list sessions":   {func() error { return second(s.Sessions().List(ctx, session.Selector{Subject: "s"}, 1)) }, true},
		"request approval": {func() error {
			return third(s.Approvals().Request(ctx, approval.Approval{ID: "a"}, approval.Limits{}, false))
		}, false},
		"find approval":    {func() error { return second(s.Approvals().Find(ctx, "t", "a")) }, true},
		"decide":           {func() error { return third(s.Approvals().Decide(ctx, "t", "a", approval.Decision{})) }, false},
		"claim approval":   {func() error { return second(s.Approvals().Claim(ctx, "t", approval.Digest{})) }, false},
		"list approvals":   {func() error { return second(s.Approvals().List(ctx, approval.Filter{}, 1, 1)) }, true},
		"register agent":   {func() error { return second(s.Agents().Register(ctx, "a", "t", nil)) }, false},
		"find agent":       {func() error { return second(s.Agents().Find(ctx, "a")) }, true},
		"decommission":     {func() error { return second(s.Agents().Decommission(ctx, "t", "a")) }, false},
		"list agents":      {func() error { return second(s.Agents().List(ctx, "t", "", 1)) }, true},
		"reserve":          {func() error { return second(s.Budgets().Reserve(ctx, budget.Reservation{})) }, false},
		"extend":           {func() error { return second(s.Budgets().Extend(ctx, budget.Reservation{})) }, false},
		"settle":           {func() error { return second(s.Budgets().Settle(ctx, "t", "a", nil)) }, false},
		"sweep":            {func() error { return second(s.Budgets().Sweep(ctx, 1)) }, false},
		"load upstream":    {func() error { return second(s.Upstreams().Load(ctx, "a")) }, true},
		"swap upstream":    {func() error { return s.Upstreams().Swap(ctx, "a", 0, nil) }, false},
		"insert replay":    {func() error { return second(s.Replays().Insert(ctx, [32]byte{}, time.Second)) }, false},
		"revoke token":     {func() error { return s.Revocations().Revoke(ctx, target, time.Second) }, false},
		"find revocations": {func() error { return second(s.Revocations().Find(ctx, []revocation.Target{target})) }, true},
	} {
		sent.all = nil
		if err := test.call(); !errors.Is(err, errNoAnswer) || len(sent.all) == 0 {
			t.Errorf("%s: error = %v after %d commands, want that of the client", name, err, len(sent.all))
			continue
		}
		if got := !sent.all[0].NoRetry(); got != test.repeats {
			t.Errorf("%s: go-redis repeats the command = %v, want %v", name, got, test.repeats)
		}
	}
	// A malformed answer is an error, and no record.
	for name, call := range map[string]func() error{
		"find key":         func() error { return second(s.APIKeys().Find(ctx, "a")) },
		"list keys":        func() error { return second(s.APIKeys().List(ctx, apikey.Query{})) },
		"find approval":    func() error { return second(s.Approvals().Find(ctx, "t", "a")) },
		"load upstream":    func() error { return second(s.Upstreams().Load(ctx, "a")) },
		"reserve":          func() error { return second(s.Budgets().Reserve(ctx, budget.Reservation{})) },
		"find revocations": func() error { return second(s.Revocations().Find(ctx, []revocation.Target{target})) },
	} {
		for _, sent.reply = range [][]any{
			{},
			{"no such word"},
			{"ok", int64(1)},
			{"ok", "x"},
			{"ok", "1", []any{"a", []any{"name"}}},
			{"1", "x", ""},
			{[]any{"held", int64(0), int64(0), int64(1), int64(1), []any{}, []any{}, "more"}},
			{"1", "1"},
		} {
			if err := call(); err == nil || errors.Is(err, apikey.ErrNotFound) || errors.Is(err, approval.ErrNotFound) {
				t.Errorf("%s with the answer %v: error = %v, want one of a malformed answer", name, sent.reply, err)
			}
		}
	}
	sent.reply = nil
	// A replay is remembered for one millisecond more, because Redis ends keys by the
	// millisecond in which they were made.
	for _, lifetime := range []time.Duration{time.Millisecond, 1999 * time.Microsecond} {
		sent.all = nil
		_, _ = s.Replays().Insert(ctx, [32]byte{}, lifetime)
		if args := sent.all[0].Args(); args[len(args)-1] != int64(2) {
			t.Errorf("Insert for %v = %v, want 2 milliseconds", lifetime, args)
		}
	}
}

// No key ends before the record in it, although Redis ends keys by the millisecond.
func TestKeysDoNotEndEarly(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	s, ctx := newStoreAt(t, client, "late"), t.Context()
	ends := func(key string) time.Time {
		t.Helper()
		at, err := client.Do(ctx, "PEXPIRETIME", key).Int64()
		if err != nil || at < 0 {
			t.Errorf("PEXPIRETIME %s = %d, %v, want a time", key, at, err)
		}
		return time.UnixMilli(at)
	}
	check := func(key string, least, most time.Time) {
		t.Helper()
		if at := ends(key); at.Before(least) || at.After(most.Add(2*time.Millisecond)) {
			t.Errorf("key %s ends at %v, want it between %v and %v", key, at, least, most)
		}
	}
	rule := approval.Rule{Consent: true}
	call := approval.Call{Tenant: "t", Subject: gatehouse.Key{Subject: "s"}, Actor: gatehouse.Key{Subject: "a"}, Tool: "x", Arguments: "{}"}
	var last time.Time
	for n, lifetime := range []time.Duration{time.Minute, time.Hour, 3 * time.Second} {
		id := string(rune('a' + n))
		r := createSession(t, s.Sessions(), browser(id, time.Hour), lifetime)
		f, err1 := s.Families().Create(ctx, family(id), lifetime)
		call.Version = id
		a, _, err2 := s.Approvals().Request(ctx, approval.Approval{ID: id, Call: call, Rule: rule}, approval.Limits{Lifetime: lifetime, Pending: 9, Bytes: 99}, false)
		target := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: id}
		err3 := s.Revocations().Revoke(ctx, target, lifetime)
		revoked, err4 := s.Revocations().Find(ctx, []revocation.Target{target})
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		if a.Expires.After(last) {
			last = a.Expires
		}
		check("{late}:sessions:1:session:"+id, r.Expires, r.Expires)
		check("{late}:families:1:family:"+id, f.Expires, f.Expires)
		check("{late}:revocations:1:jti:1:i"+id, revoked[0].Add(lifetime), revoked[0].Add(lifetime+time.Second))
		check("{late}:approvals:1:approval:"+id, a.Expires.Add(time.Hour), a.Expires.Add(time.Hour))
		check("{late}:approvals:1:tenant:t", last, last)
		check(must(client.Keys(ctx, "{late}:approvals:1:actor:*").Result())(t)[0], last, last)
	}
	digests, err := client.Keys(ctx, "{late}:approvals:1:digest:*").Result()
	if err != nil || len(digests) != 3 {
		t.Fatalf("KEYS = %q, %v, want three digests", digests, err)
	}
	for _, key := range digests {
		if at := ends(key); at.After(last.Add(2 * time.Millisecond)) {
			t.Errorf("key %s ends at %v, want it by %v", key, at, last)
		}
	}
}
