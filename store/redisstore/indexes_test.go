// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func ids(records []apikey.Record) string {
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

// Keys created in the same microsecond are listed in the byte order of their ids,
// so that each is on exactly one page.
func TestListPagesOfOneMicrosecond(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	s := newStoreAt(t, client, "pages")
	keys := s.APIKeys()
	names := []string{"A", "B", "Ba", "Z", "a", "aa", "b", "é"}
	var at time.Time
	for _, id := range names {
		r := must(keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}))(t)
		if at.IsZero() {
			at = r.Created
			continue
		}
		score := redis.Z{Score: float64(at.UnixMicro()), Member: id}
		must(client.ZAdd(t.Context(), "{pages}:apikeys:1:made:all", score).Result())(t)
		must(client.HSet(t.Context(), "{pages}:apikeys:1:key:"+id, "created", at.UnixMicro()).Result())(t)
	}
	slices.Sort(names)
	for limit := 1; limit <= len(names)+1; limit++ {
		var all []apikey.Record
		query := apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: limit}
		for range names {
			page := must(keys.List(t.Context(), query))(t)
			all = append(all, page...)
			if len(page) < limit {
				break
			}
			last := page[len(page)-1]
			query.After = apikey.Position{Time: last.Created, ID: last.ID}
		}
		if got, want := ids(all), strings.Join(names, " "); got != want {
			t.Errorf("List() in pages of %d = %s, want %s", limit, got, want)
		}
	}
}

// No two pairs of tenant and owner share an index, whatever their names contain, and no two
// pairs of tenant and actor the limit of pending approvals.
func TestIndexPerTenantAndOwner(t *testing.T) {
	t.Parallel()
	s := newStore(t, startServer(t))
	for i, call := range []approval.Call{
		{Tenant: "t", Actor: gatehouse.Key{Issuer: "x:i", Subject: "a"}}, {Tenant: "t:x", Actor: gatehouse.Key{Issuer: "i", Subject: "a"}},
	} {
		a := approval.Approval{ID: string(rune('a' + i)), Call: call, Rule: approval.Rule{Count: 1}}
		if err := third(s.Approvals().Request(t.Context(), a, approval.Limits{Lifetime: time.Hour, Pending: 1, Bytes: 9}, false)); err != nil {
			t.Errorf("Request(%+v) error = %v, want nil", call, err)
		}
	}
	keys := s.APIKeys()
	pairs := []struct{ tenant, owner string }{
		{"t", "oo"}, {"to", "o"}, {"", "too"}, {"1:t", "o"}, {"1", ":to"}, {"1:", "to"}, {"3:1:t", "o"}, {"all", "all"},
	}
	for i, pair := range pairs {
		r := apikey.Record{Key: apikey.Key{ID: string(rune('a' + i)), Tenant: pair.tenant, Owner: pair.owner, Lifetime: time.Hour}}
		must(keys.Create(t.Context(), r))(t)
	}
	for i, pair := range pairs {
		filter := apikey.Filter{Tenant: pair.tenant, Owner: pair.owner}
		got, err := keys.List(t.Context(), apikey.Query{Filter: filter, Limit: 10})
		if err != nil || ids(got) != string(rune('a'+i)) {
			t.Errorf("List(%+v) = %s, %v, want %c", pair, ids(got), err, 'a'+i)
		}
		got, err = keys.RevokeAll(t.Context(), filter, 10)
		if err != nil || ids(got) != string(rune('a'+i)) {
			t.Errorf("RevokeAll(%+v) = %s, %v, want %c", pair, ids(got), err, 'a'+i)
		}
	}
}

// Rotate changes the place of a key in the index by expiry.
func TestRotateUpdatesExpiryIndex(t *testing.T) {
	t.Parallel()
	keys := newStore(t, startServer(t)).APIKeys()
	for i, id := range []string{"a", "b", "c"} {
		r := apikey.Record{Key: apikey.Key{ID: id, Tenant: "t", Owner: "o", Lifetime: time.Duration(i+1) * time.Hour}}
		must(keys.Create(t.Context(), r))(t)
	}
	must(keys.Rotate(t.Context(), "c", apikey.Rotation{MaxLifetime: time.Minute}))(t)
	list := func(want map[time.Duration]string) {
		t.Helper()
		for _, f := range []apikey.Filter{{AnyTenant: true}, {Tenant: "t"}, {AnyTenant: true, Owner: "o"}, {Tenant: "t", Owner: "o"}} {
			for within, want := range want {
				got, err := keys.List(t.Context(), apikey.Query{Filter: f, ExpiresWithin: within, Limit: 10})
				if err != nil || ids(got) != want {
					t.Errorf("List(%+v, within %v) = %s, %v, want %s", f, within, ids(got), err, want)
				}
			}
		}
	}
	list(map[time.Duration]string{time.Minute + time.Second: "c", 90 * time.Minute: "c a", 3 * time.Hour: "c a b"})

	// So does Import of a newer record, but not that of a known one.
	for _, test := range []struct {
		id      string
		newer   int64
		revoked bool
	}{{"a", 1, false}, {"b", 1, true}, {"c", 0, false}} {
		r := must(keys.Find(t.Context(), test.id))(t)
		old := r.Expires
		r.Expires = r.AsOf.Add(2 * time.Minute)
		if r.Generation += test.newer; test.revoked {
			r.Revoked = r.AsOf
		}
		got, err := keys.Import(t.Context(), r)
		if want := map[int64]time.Time{0: old, 1: r.Expires}[test.newer]; err != nil || !got.Expires.Equal(want) {
			t.Errorf("Import(%s, %d newer): Expires = %v, %v, want %v", test.id, test.newer, got.Expires, err, want)
		}
	}
	list(map[time.Duration]string{time.Minute + time.Second: "c", 90 * time.Minute: "c a", 3 * time.Hour: "c a"})
}

// Approvals that have expired, are decided or lost leave the pending ones of the tenant.
func TestEndedApprovalsLeaveIndex(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	clock := newClock(client)
	approvals := newStoreAt(t, client, "expired").Approvals()
	request := func(id string) {
		t.Helper()
		a := approval.Approval{ID: id, Call: approval.Call{Tenant: "t", Tool: id, Arguments: "{}"}, Rule: approval.Rule{Count: 1}}
		if err := third(approvals.Request(t.Context(), a, approval.Limits{Lifetime: time.Minute, Pending: 10, Bytes: 100}, false)); err != nil {
			t.Fatal(err)
		}
		if got := client.ZRange(t.Context(), "{expired}:approvals:1:tenant:t", 0, -1).Val(); !slices.Equal(got, []string{id}) {
			t.Errorf("pending approvals = %q, want %q", got, id)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		clock.now.Add(time.Minute.Microseconds())
		request(id)
	}
	if err := third(approvals.Decide(t.Context(), "t", "c", approval.Decision{})); err != nil {
		t.Fatal(err)
	}
	request("d")
	must(client.Del(t.Context(), "{expired}:approvals:1:approval:d").Result())(t) // an hour after its expiry
	request("e")
}

// Records that expired long ago leave every index, ten with each new one.
func TestSweepLeavesNoIndex(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	clock := newClock(client)
	keys := newStoreAt(t, client, "swept").APIKeys()
	create := func(tenant, id string) {
		t.Helper()
		must(keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Tenant: tenant, Owner: tenant, Lifetime: time.Hour}}))(t)
	}
	for id := range 12 {
		create("old", string(rune('a'+id)))
	}
	clock.now.Add((apikey.Retention + time.Hour).Microseconds())
	for n, left := range []int64{2, 0} {
		create("new", string(rune('x'+n)))
		for _, index := range []string{"live:tenant:old", "live:owner:old", "live:both:3:oldold", "live:all", "made:tenant:old", "made:all", "ends"} {
			want := left
			if !strings.Contains(index, "old") {
				want += int64(n) + 1
			}
			if got := client.ZCard(t.Context(), "{swept}:apikeys:1:"+index).Val(); got != want {
				t.Errorf("index %s has %d members after %d new keys, want %d", index, got, n+1, want)
			}
		}
	}
}

// Counters that have ended leave the index of the tenant.
func TestEndedCountersLeaveIndex(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	clock := newClock(client)
	budgets := newStoreAt(t, client, "counted").Budgets()
	for range 3 {
		start := time.UnixMicro(clock.now.Load())
		end := start.Add(time.Hour)
		must(budgets.Reserve(t.Context(), budget.Reservation{Tenant: "t", ID: start.String(), TTL: time.Minute, Entries: []budget.Entry{
			{Account: "a", Window: "day", Start: start, Since: start, Next: end, End: end, Max: 9, Limit: 9, Amount: 1},
		}}))(t)
		for _, name := range must(client.Keys(t.Context(), "*:budgets:*:tenant:*").Result())(t) {
			if n := client.ZCard(t.Context(), name).Val(); n != 1 {
				t.Errorf("index %s has %d members, want 1", name, n)
			}
		}
		clock.now.Add(time.Hour.Microseconds())
	}
}
