// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/batch"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/internal/budgets"
	"github.com/gatehouse-go/gatehouse/store/internal/ledgertest"
)

// newBudgets starts a server.
func newBudgets(t *testing.T) (*redis.Client, *Budgets) {
	t.Helper()
	options, err := redis.ParseURL(enginetest.StartRedis(t, "appendonly no").URL())
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	s, err := New(Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return client, s.Budgets()
}

type budgetCall = batch.Call[request, budget.Result]

// TestBudgetBatches: a script decides on each request of a batch as if it were alone.
func TestBudgetBatches(t *testing.T) {
	t.Parallel()
	_, b := newBudgets(t)
	ledgertest.TestBatches(t, b, func(t *testing.T, calls []ledgertest.Call) (results []budget.Result) {
		t.Helper()
		queue, requests := &b.holds[shardOf("acme")], make([]*budgetCall, len(calls))
		for i, c := range calls {
			verb := "reserve"
			if c.Extend {
				verb = "extend"
			}
			if requests[i] = (&budgetCall{Query: hold(verb, c.Hold)}); c.Amounts != nil {
				queue, requests[i].Query = &b.settled[shardOf("acme")], settlement("acme", c.Hold.ID, c.Amounts)
			}
		}
		queue.Send(t.Context(), requests)
		for _, c := range requests {
			if c.Err != nil {
				t.Fatal(c.Err)
			}
			results = append(results, c.Result)
		}
		return results
	})
}

// reservation is one of 10 of 1,000 tokens.
func reservation(id string, ttl time.Duration) budget.Reservation {
	now := time.Now().UTC()
	start, end := now.Add(-time.Hour).Truncate(time.Hour), now.Add(time.Hour)
	return budget.Reservation{Tenant: "acme", ID: id, TTL: ttl, Entries: []budget.Entry{{
		Account: "key/ci", Window: "day", Start: start, Since: start, Next: end, End: end, Max: 1000, Limit: 1000, Amount: 10, Floor: 10,
	}}}
}

// TestMalformedHolds: a hold whose record is lost or malformed fails its own calls, and no
// others. When it expires, what it holds stays held.
func TestMalformedHolds(t *testing.T) {
	t.Parallel()
	client, b := newBudgets(t)
	ctx := t.Context()
	damages := []struct {
		name string
		do   func(key string) error
	}{
		{"lost", func(key string) error { return client.Del(ctx, key).Err() }},
		{"of another type", func(key string) error {
			return errors.Join(client.Del(ctx, key).Err(), client.Set(ctx, key, "x", 0).Err())
		}},
		{"without its end", func(key string) error { return client.LTrim(ctx, key, 0, 2).Err() }},
		{"with another amount", func(key string) error { return client.LSet(ctx, key, 3, "x").Err() }},
		{"with another floor", func(key string) error { return client.LSet(ctx, key, 4, "inf").Err() }},
	}
	for i, damage := range damages {
		id := strconv.Itoa(i)
		if _, err := b.Reserve(ctx, reservation(id, time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if err := damage.do(b.base("acme") + ":hold:" + nameOf("acme", id)); err != nil {
			t.Fatal(err)
		}
		if damage.name == "with another floor" {
			continue // which Settle does not need
		}
		calls := []*budgetCall{
			{Query: settlement("acme", id, []int64{1})}, {Query: settlement("acme", "none", []int64{1})},
		}
		b.settled[shardOf("acme")].Send(ctx, calls)
		if calls[1].Err != nil || calls[1].Result.Outcome != budget.Absent {
			t.Errorf("another call in the batch of a hold %s = %v, %v, want absent", damage.name, calls[1].Result.Outcome, calls[1].Err)
		}
	}
	due := b.base("acme") + ":due"
	enginetest.Eventually(t, time.Minute, "no hold is due", func() bool {
		r, err := b.Reserve(context.Background(), reservation("next", time.Minute))
		if err != nil || r.Outcome != budget.Held {
			t.Fatalf("Reserve beside malformed holds = %v, %v, want held", r.Outcome, err)
		}
		n, err := client.ZCount(ctx, due, "-inf", "("+strconv.FormatInt(r.Deadline.UnixMicro(), 10)).Result()
		return err == nil && n == 0
	})
	for i, damage := range damages {
		left, err := client.PTTL(ctx, b.base("acme")+":hold:"+nameOf("acme", strconv.Itoa(i))).Result()
		if err != nil || damage.name != "lost" && (left <= budget.Retention/2 || left > budget.Retention+time.Minute) {
			t.Errorf("time to live of a hold %s = %v, %v, want %v", damage.name, left, err, budget.Retention)
		}
	}
	r, err := b.Settle(ctx, "acme", "next", []int64{7})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range client.Keys(ctx, "*").Val() {
		if key != due && client.PTTL(ctx, key).Val() == -1 {
			t.Errorf("key %s does not expire", key)
		}
	}
	if want := (budget.Count{Spent: 7, Held: 10 * int64(len(damages))}); r.Counts[0] != want {
		t.Errorf("Settle beside malformed holds: counts = %+v, want %+v", r.Counts[0], want)
	}
}

// TestBrokenCounter: a counter that is no number does not keep the other calls of a batch
// from being counted.
func TestBrokenCounter(t *testing.T) {
	t.Parallel()
	client, b := newBudgets(t)
	broken := reservation("broken", time.Minute)
	broken.Entries[0].Account = "key/broken"
	name := b.base("acme") + ":counter:" + nameOf("acme", "key/broken", "day") + ":" + strconv.FormatInt(broken.Entries[0].Start.UnixMicro(), 10)
	for i, held := range []string{"1.5", "inf", "-inf", "nan", "x", "9007199254740992"} {
		if err := client.HSet(t.Context(), name, "ends", 1, "max", 1, "spent", 0, "held", held).Err(); err != nil {
			t.Fatal(err)
		}
		calls := []*budgetCall{{Query: hold("reserve", broken)}, {Query: hold("reserve", reservation(held, time.Minute))}}
		b.holds[shardOf("acme")].Send(t.Context(), calls)
		if calls[0].Err == nil || !strings.Contains(calls[0].Err.Error(), "malformed number in a budget") || calls[1].Err != nil || calls[1].Result.Counts[0] != (budget.Count{Held: 10 * int64(i+1)}) {
			t.Errorf("Reserve with a counter that holds %s: error = %v, want one; beside it %+v, %v", held, calls[0].Err, calls[1].Result, calls[1].Err)
		}
	}
}

// TestLostCounter: a counter is kept after its end, which the last reservation gives it. One
// that is gone is not made again.
func TestLostCounter(t *testing.T) {
	t.Parallel()
	client, b := newBudgets(t)
	r := reservation("1", time.Minute)
	if _, err := b.Reserve(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	name := b.base("acme") + ":counter:" + nameOf("acme", "key/ci", "day") + ":" + strconv.FormatInt(r.Entries[0].Start.UnixMicro(), 10)
	if left := client.PTTL(t.Context(), name).Val(); left <= budget.CounterRetention || left > budget.CounterRetention+2*time.Hour {
		t.Errorf("time to live of a counter = %v, want %v after its end", left, budget.CounterRetention)
	}
	later := r
	later.ID, later.Entries = "2", slices.Clone(r.Entries)
	later.Entries[0].End = r.Entries[0].End.Add(time.Minute)
	if _, err := b.Reserve(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	counters, _, err := b.Read(t.Context(), "acme", "key/ci", "day", r.Entries[0].Start)
	if want := later.Entries[0].End.Truncate(time.Microsecond); err != nil || len(counters) != 1 || !counters[0].End.Equal(want) {
		t.Errorf("Read after a reservation with another end = %+v, %v, want the end %v", counters, err, want)
	}
	if n := client.Del(t.Context(), name).Val(); n != 1 {
		t.Fatalf("%d counters are called %s, want 1", n, name)
	}
	if _, err := b.Settle(t.Context(), "acme", "1", []int64{1}); err != nil {
		t.Error(err)
	}
	if client.Exists(t.Context(), name).Val() != 0 {
		t.Error("Settle makes a counter that is gone")
	}
	if counters, _, err := b.List(t.Context(), "acme", 9); err != nil || len(counters) != 0 {
		t.Errorf("List without the counter = %+v, %v, want none", counters, err)
	}
}

// TestBatchSize: a call weighs as much as the counters that it reads.
func TestBatchSize(t *testing.T) {
	var b Budgets
	b.init(nil)
	r := budget.Reservation{Entries: make([]budget.Entry, 3)}
	for n := range budgetShards {
		holds, settled := b.holds[n].Weigh(hold("reserve", r)), b.settled[n].Weigh(settlement("acme", "1", make([]int64, 2)))
		if holds != 3 || settled != 2 || b.holds[n].Limit != budgets.Batch || b.settled[n].Limit != budgets.Batch {
			t.Errorf("weights of calls of 3 and 2 counters = %d, %d in batches of %d, %d", holds, settled, b.holds[n].Limit, b.settled[n].Limit)
		}
	}
}
