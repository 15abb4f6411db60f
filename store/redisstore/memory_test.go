// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"strings"
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

// TestFullMemory: when the memory of the server is full, no record can be made, and
// everything that ends a credential, a call or a hold works, and what makes no record
// longer.
func TestFullMemory(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	s, ctx := newStore(t, client), t.Context()
	keys, families, sessions, agents := s.APIKeys(), s.Families(), s.Sessions(), s.Agents()
	approvals, budgets, upstreams := s.Approvals(), s.Budgets(), s.Upstreams()

	newKey := func(id string) error {
		return second(keys.Create(ctx, apikey.Record{Key: apikey.Key{ID: id, Owner: id, Lifetime: time.Hour}}))
	}
	newFamily := func(id string) error {
		return second(families.Create(ctx, refresh.Record{Family: refresh.Family{ID: id, Grant: refresh.Grant{Subject: id, Client: "c"}}}, time.Hour))
	}
	newSession := func(id string) error {
		return second(sessions.Create(ctx, session.Record{Session: session.Session{ID: id, Issuer: "i", Subject: id, Idle: time.Hour}}, time.Hour))
	}
	newAgent := func(id string) error { return second(agents.Register(ctx, id, "t", []byte("{}"))) }
	asked := approval.Approval{ID: "a", Call: approval.Call{Tenant: "t", Tool: "x", Arguments: "{}"}, Rule: approval.Rule{Count: 1}}
	ask := func(id string) error {
		a := asked
		a.ID, a.Version = id, id
		_, _, err := approvals.Request(ctx, a, approval.Limits{Lifetime: time.Hour, Pending: 10, Bytes: 100}, false)
		return err
	}
	hold := func(id string, ttl time.Duration) error {
		now := time.Now()
		_, err := budgets.Reserve(ctx, budget.Reservation{Tenant: id, ID: id, TTL: ttl, Entries: []budget.Entry{{
			Account: "a", Window: "day", Start: now.Add(-time.Hour), Next: now.Add(time.Hour), End: now.Add(time.Hour),
			Since: now.Add(-time.Hour), Max: 10, Limit: 10, Amount: 5,
		}}})
		return err
	}

	steps := []struct {
		name   string
		before func(string) error // with the first word of the name
		call   func(id string) error
	}{
		{"rotated API key", newKey, func(id string) error {
			return second(keys.Rotate(ctx, id, apikey.Rotation{Current: apikey.Hash{Sum: [32]byte{2}}, MaxLifetime: time.Hour}))
		}},
		{"revoked API key", newKey, func(id string) error { return second(keys.Revoke(ctx, id)) }},
		{"revoked API key, deleted", nil, func(id string) error { return keys.Delete(ctx, id) }},
		{"all API keys", newKey, func(id string) error { return second(keys.RevokeAll(ctx, apikey.Filter{Owner: id}, 10)) }},
		{"suspended API key", newKey, func(id string) error { return second(keys.Suspend(ctx, id, true)) }},
		{"revoked family", newFamily, func(id string) error { return second(families.Revoke(ctx, id)) }},
		{"all families", newFamily, func(id string) error { return second(families.RevokeAll(ctx, refresh.Filter{Subject: id}, 10)) }},
		{"reused refresh token", newFamily, func(id string) error {
			_, outcome, err := families.Rotate(ctx, id, refresh.Presentation{Client: "c", Secret: refresh.Hash{1}})
			if err == nil && outcome != refresh.Reused {
				t.Errorf("Rotate(reused) = %s, want %s", outcome, refresh.Reused)
			}
			return err
		}},
		{"access token", nil, func(id string) error {
			return s.Revocations().Revoke(ctx, revocation.Target{Kind: revocation.Token, Issuer: "i", Value: id}, time.Hour)
		}},
		{"known API key", newKey, func(id string) error {
			r, err := keys.Find(ctx, id)
			if r.Revoked = r.AsOf; err == nil {
				r, err = keys.Import(ctx, r)
			}
			if err == nil && r.Revoked.IsZero() {
				t.Error("Import(revoked) left the key as it was")
			}
			return err
		}},
		{"touched session", newSession, func(id string) error { return second(sessions.Touch(ctx, id, time.Microsecond)) }},
		{"swapped session", newSession, func(id string) error { return second(sessions.Swap(ctx, id, 1, session.Change{ID: "new"})) }},
		{"deleted session", newSession, func(id string) error { return sessions.Delete(ctx, id) }},
		{"all sessions", newSession, func(id string) error {
			return second(sessions.DeleteAll(ctx, session.Selector{Issuer: "i", Subject: id}))
		}},
		{"decommissioned agent", newAgent, func(id string) error { return second(agents.Decommission(ctx, "t", id)) }},
		{"denied approval", ask, func(id string) error {
			_, decided, err := approvals.Decide(ctx, "t", id, approval.Decision{Decider: gatehouse.Key{Subject: "admin"}})
			if err == nil && !decided {
				t.Error("Decide(denied) = false, want true")
			}
			return err
		}},
		{"settled hold", func(id string) error { return hold(id, time.Hour) }, func(id string) error {
			return second(budgets.Settle(ctx, id, id, []int64{3}))
		}},
		{"expired hold", func(id string) error { return hold(id, time.Microsecond) }, func(string) error {
			n, err := budgets.Sweep(ctx, 10)
			if err == nil && n != 1 {
				t.Errorf("Sweep() = %d, want 1", n)
			}
			return err
		}},
		{"refreshed session", func(id string) error {
			if err := newSession(id); err != nil {
				return err
			}
			_, err := sessions.Swap(ctx, id, 1, session.Change{ID: id, Tokens: "old", Claim: time.Minute})
			return err
		}, func(id string) error {
			return second(sessions.Swap(ctx, id, 2, session.Change{ID: id, Tokens: "tokens of the issuer"}))
		}},
		{"shorter session", func(id string) error {
			if err := newSession(id); err != nil {
				return err
			}
			_, err := sessions.Swap(ctx, id, 1, session.Change{ID: id, Principal: "principal", Tokens: "tokens"})
			return err
		}, func(id string) error {
			return second(sessions.Swap(ctx, id, 2, session.Change{ID: id, Principal: "principal and", Tokens: "to"}))
		}},
		{"upstream", func(id string) error { return upstreams.Swap(ctx, id, 0, []byte("old")) }, func(id string) error {
			return upstreams.Swap(ctx, id, 1, make([]byte, len("old")+256))
		}},
	}
	for name, err := range map[string]error{"growing": newSession("growing"), "large": upstreams.Swap(ctx, "large", 0, []byte("data"))} {
		if err != nil {
			t.Fatalf("before %s: %v", name, err)
		}
	}
	swap := func(id string, c session.Change) error { return second(sessions.Swap(ctx, id, 1, c)) }
	id := func(name string) string { first, _, _ := strings.Cut(name, " "); return first }
	for _, step := range steps {
		if step.before != nil {
			if err := step.before(id(step.name)); err != nil {
				t.Fatalf("before %s: %v", step.name, err)
			}
		}
	}
	fill(t, client)
	for name, create := range map[string]func(string) error{
		"API key": newKey, "family": newFamily, "session": newSession, "agent": newAgent, "approval": ask,
		"hold":     func(id string) error { return hold(id, time.Hour) },
		"imported": func(id string) error { return importKey(ctx, keys, id) },
		"upstream": func(id string) error { return upstreams.Swap(ctx, id, 0, []byte("x")) },
		// What a user can make longer as often as wanted.
		"data of a session": func(string) error { return swap("growing", session.Change{ID: "growing", Principal: "x"}) },
		"tokens of a session": func(string) error {
			return swap("growing", session.Change{ID: "growing", Tokens: "x", Claim: time.Minute})
		},
		"longer renewal": func(string) error {
			return swap("growing", session.Change{ID: "x", Principal: strings.Repeat("x", 1025)})
		},
		"longer data upstream": func(string) error { return upstreams.Swap(ctx, "large", 1, make([]byte, 261)) },
	} {
		if err := create("other"); err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("create %s in full memory: error = %v, want OOM", name, err)
		}
	}
	for _, step := range steps {
		if err := step.call(id(step.name)); err != nil {
			t.Errorf("%s in full memory: error = %v", step.name, err)
		}
	}
	must(client.ConfigSet(ctx, "appendonly", "yes").Result())(t)
	if err := s.Check(ctx); err != nil {
		t.Errorf("Check() in full memory: error = %v", err)
	}
}

func importKey(ctx context.Context, keys *redisstore.APIKeys, id string) error {
	now := time.Now()
	_, err := keys.Import(ctx, apikey.Record{Key: apikey.Key{ID: id, Owner: id, Lifetime: time.Hour, Created: now, Rotated: now, Expires: now.Add(time.Hour), Generation: 1}})
	return err
}

// fill sets maxmemory below what the server uses.
func fill(t *testing.T, client *redis.Client) {
	t.Helper()
	must(client.ConfigSet(t.Context(), "maxmemory", "1").Result())(t)
	if err := client.Set(t.Context(), "x", "x", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM") {
		t.Fatalf("SET in full memory: error = %v, want OOM", err)
	}
}
