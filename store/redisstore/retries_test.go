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
		"create key":      {func() error { _, err := s.APIKeys().Create(ctx, apikey.Record{Key: apikey.Key{ID: "a"}}); return err }, false},
		"find key":        {func() error { _, err := s.APIKeys().Find(ctx, "a"); return err }, true},
		"rotate key":      {func() error { _, err := s.APIKeys().Rotate(ctx, "a", apikey.Rotation{}); return err }, false},
		"revoke key":      {func() error { _, err := s.APIKeys().Revoke(ctx, "a"); return err }, false},
		"revoke keys":     {func() error { _, err := s.APIKeys().RevokeAll(ctx, apikey.Filter{}, 1); return err }, false},
		"suspend key":     {func() error { _, err := s.APIKeys().Suspend(ctx, "a", true); return err }, false},
		"touch key":       {func() error { _, err := s.APIKeys().Touch(ctx, "a", 1, time.Second); return err }, false},
		"list keys":       {func() error { _, err := s.APIKeys().List(ctx, apikey.Query{}); return err }, true},
		"import key":      {func() error { _, err := s.APIKeys().Import(ctx, apikey.Record{Key: apikey.Key{ID: "a"}}); return err }, false},
		"delete key":      {func() error { return s.APIKeys().Delete(ctx, "a") }, false},
		"create family":   {func() error { _, err := s.Families().Create(ctx, family("a"), time.Hour); return err }, false},
		"find family":     {func() error { _, err := s.Families().Find(ctx, "a"); return err }, true},
		"rotate family":   {func() error { _, _, err := s.Families().Rotate(ctx, "a", refresh.Presentation{}); return err }, false},
		"revoke family":   {func() error { _, err := s.Families().Revoke(ctx, "a"); return err }, false},
		"revoke families": {func() error { _, err := s.Families().RevokeAll(ctx, refresh.Filter{Subject: "s"}, 1); return err }, false},
		"list families":   {func() error { _, err := s.Families().List(ctx, refresh.Filter{Subject: "s"}, 1); return err }, true},
		"create session":  {func() error { _, err := s.Sessions().Create(ctx, browser("a", time.Hour), time.Hour); return err }, false},
		"get session":     {func() error { _, err := s.Sessions().Get(ctx, "a"); return err }, true},
		"swap session":    {func() error { _, err := s.Sessions().Swap(ctx, "a", 1, session.Change{ID: "a"}); return err }, false},
		"touch session":   {func() error { _, err := s.Sessions().Touch(ctx, "a", time.Second); return err }, false},
		"delete session":  {func() error { return s.Sessions().Delete(ctx, "a") }, false},
		"delete sessions": {func() error { _, err := s.Sessions().DeleteAll(ctx, session.Selector{Subject: "s"}); return err }, false},
		"list sessions":   {func() error { _, err := s.Sessions().List(ctx, session.Selector{Subject: "s"}, 1); return err }, true},
		"request approval": {func() error {
			_, _, err := s.Approvals().Request(ctx, approval.Approval{ID: "a"}, approval.Limits{}, false)
			return err
		}, false},
		"find approval":    {func() error { _, err := s.Approvals().Find(ctx, "t", "a"); return err }, true},
		"decide":           {func() error { _, _, err := s.Approvals().Decide(ctx, "t", "a", approval.Decision{}); return err }, false},
		"claim approval":   {func() error { _, err := s.Approvals().Claim(ctx, "t", approval.Digest{}); return err }, false},
		"list approvals":   {func() error { _, err := s.Approvals().List(ctx, approval.Filter{}, 1, 1); return err }, true},
		"register agent":   {func() error { _, err := s.Agents().Register(ctx, "a", "t", nil); return err }, false},
		"find agent":       {func() error { _, err := s.Agents().Find(ctx, "a"); return err }, true},
		"decommission":     {func() error { _, err := s.Agents().Decommission(ctx, "t", "a"); return err }, false},
		"list agents":      {func() error { _, err := s.Agents().List(ctx, "t", "", 1); return err }, true},
		"reserve":          {func() error { _, err := s.Budgets().Reserve(ctx, budget.Reservation{}); return err }, false},
		"extend":           {func() error { _, err := s.Budgets().Extend(ctx, budget.Reservation{}); return err }, false},
		"settle":           {func() error { _, err := s.Budgets().Settle(ctx, "t", "a", nil); return err }, false},
		"sweep":            {func() error { _, err := s.Budgets().Sweep(ctx, 1); return err }, false},
		"load upstream":    {func() error { _, err := s.Upstreams().Load(ctx, "a"); return err }, true},
		"swap upstream":    {func() error { return s.Upstreams().Swap(ctx, "a", 0, nil) }, false},
		"insert replay":    {func() error { _, err := s.Replays().Insert(ctx, [32]byte{}, time.Second); return err }, false},
		"revoke token":     {func() error { return s.Revocations().Revoke(ctx, target, time.Second) }, false},
		"find revocations": {func() error { _, err := s.Revocations().Find(ctx, []revocation.Target{target}); return err }, true},
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
		"find key":         func() error { _, err := s.APIKeys().Find(ctx, "a"); return err },
		"list keys":        func() error { _, err := s.APIKeys().List(ctx, apikey.Query{}); return err },
		"find approval":    func() error { _, err := s.Approvals().Find(ctx, "t", "a"); return err },
		"load upstream":    func() error { _, err := s.Upstreams().Load(ctx, "a"); return err },
		"reserve":          func() error { _, err := s.Budgets().Reserve(ctx, budget.Reservation{}); return err },
		"find revocations": func() error { _, err := s.Revocations().Find(ctx, []revocation.Target{target}); return err },
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
