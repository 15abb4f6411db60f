// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

func TestFaults(t *testing.T) {
	contract.Faulty[budget.Store]{New: func(fault string) budget.Store {
		return &faulty{
			Memory: budget.NewMemory(0), Fault: contract.Fault(fault),
			known: map[string]budget.Reservation{}, began: map[string]time.Time{}, seen: map[string][]budget.Counter{},
		}
	}}.TestFaults(t, rules(), faults)
}

var faults = []string{
	"reserve ignores the limit", "reserve refuses at the limit", "reserve doubles the TTL", "reserve omits the counts",
	"limit is that of the first call", "limit is Max", "nothing does not fit",
	"amounts lose a bit", "settle refuses large sums",
	"reserve keeps what fits", "reserve names the last entry",
	"accounts fold case", "accounts are trimmed", "IDs fold case", "tenants share counters", "windows share counters",
	"replay is not marked", "replay extends", "other amounts are a replay", "other entries are a replay", "ended replay is held",
	"window is ignored",
	"extend ignores the limit", "extend compares the whole", "extend keeps the deadline", "extend adds", "extend takes other counters", "extend makes a hold",
	"reserve ignores the context", "extend ignores the context", "settle ignores the context", "read ignores the context", "list ignores the context", "sweep ignores the context",
	"settle is capped", "second settle charges", "settle ignores the tenant", "settle takes fewer amounts",
	"holds never expire", "expired holds are free", "expired holds are charged whole",
	"read is stale", "list is stale", "extend counts expired holds", "extend keeps the floor",
	"late settle adds", "late settle is ignored", "settle restores Max",
	"sweep ignores the limit", "sweep returns nothing",
	"one counter counts", "read ignores since", "read is reversed",
	"list ignores the limit", "list keeps the first limit", "list is reversed", "list has other tenants", "list is of one window",
	"reserve reads then writes", "settle reads then writes", "extend reads then writes",
}

// faulty is a store with one fault, or without any.
type faulty struct {
	*budget.Memory
	contract.Fault

	mu     sync.Mutex
	known  map[string]budget.Reservation // as Reserve got it first
	began  map[string]time.Time
	seen   map[string][]budget.Counter // what Read returned after the last change
	listed []budget.Counter
	ghosts int64 // what holds of a short life hold
	first  int64 // the first limit
}

func (f *faulty) ctx(ctx context.Context, method string) context.Context {
	_ = f.Err(ctx, method) // slow
	if f.Is(method, "ignores the context") {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// change returns a reservation as the store understands it.
func (f *faulty) change(r budget.Reservation) budget.Reservation {
	r.Entries = slices.Clone(r.Entries)
	if f.Is("tenants share counters") {
		for i := range r.Entries {
			r.Entries[i].Account = strings.TrimPrefix(r.Entries[i].Account, "~")
		}
		r.ID, r.Tenant = r.Tenant+r.ID, "acme"
	}
	if f.Is("IDs fold case") {
		r.ID = strings.ToLower(r.ID)
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		switch f.Fault {
		case "limit is Max":
			e.Limit = e.Max
		case "accounts fold case":
			e.Account = strings.ToLower(e.Account)
		case "accounts are trimmed":
			e.Account = strings.TrimSpace(e.Account)
		case "windows share counters":
			e.Window = "day"
		case "amounts lose a bit":
			if e.Amount > 1<<52 {
				e.Amount &^= 1
			}
		case "one counter counts":
			e.Since = e.Start
		case "window is ignored":
			e.Next = e.Start.AddDate(1, 0, 0)
		case "expired holds are free":
			e.Floor = 0
		case "expired holds are charged whole":
			e.Floor = e.Amount
		}
	}
	return r
}

func yield() {
	for range 20 {
		runtime.Gosched()
	}
}

func (f *faulty) Reserve(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	ctx, ttl := f.ctx(ctx, "reserve"), r.TTL
	f.mu.Lock()
	old, replay := f.known[r.Tenant+"/"+r.ID]
	if !replay {
		first := r
		first.Entries = slices.Clone(r.Entries)
		f.known[r.Tenant+"/"+r.ID], f.began[r.ID] = first, time.Now()
	}
	f.mu.Unlock()
	original := r
	r = f.change(r)
	for i := range r.Entries {
		e := &r.Entries[i]
		switch f.Fault {
		case "reserve ignores the limit":
			e.Limit = budget.MaxAmount
		case "reserve refuses at the limit":
			e.Limit--
		case "limit is that of the first call":
			f.mu.Lock()
			if f.first == 0 {
				f.first = e.Limit
			}
			e.Limit = f.first
			f.mu.Unlock()
		case "nothing does not fit":
			if e.Amount == 0 {
				counters, _, _ := f.Memory.Read(ctx, r.Tenant, e.Account, e.Window, e.Start)
				if len(counters) > 0 && counters[0].Spent+counters[0].Held > e.Limit {
					return budget.Result{Outcome: budget.Exceeded, At: time.Now().UTC().Truncate(time.Microsecond), Counts: []budget.Count{counters[0].Count}}, nil
				}
			}
		case "reserve reads then writes":
			counters, _, _ := f.Memory.Read(ctx, r.Tenant, e.Account, e.Window, e.Start)
			yield()
			fits := len(counters) == 0 && e.Amount <= e.Limit || len(counters) > 0 && counters[0].Spent+counters[0].Held+e.Amount <= e.Limit
			if fits && e.Since.Equal(e.Start) {
				e.Limit = budget.MaxAmount
			}
		}
	}
	switch f.Fault {
	case "holds never expire":
		r.TTL *= 1000
	case "reserve doubles the TTL":
		r.TTL *= 2
	case "other amounts are a replay":
		if replay && len(old.Entries) == len(r.Entries) {
			for i := range r.Entries {
				r.Entries[i].Amount = old.Entries[i].Amount
			}
		}
	case "other entries are a replay":
		if replay {
			r.Entries = f.change(old).Entries
		}
	}
	result, err := f.Memory.Reserve(ctx, r)
	if f.Is("holds never expire") && result.Outcome == budget.Held && !result.Deadline.IsZero() {
		result.Deadline = result.Deadline.Add(ttl - r.TTL)
	}
	if err == nil && result.Outcome == budget.Exceeded && len(r.Entries) > 1 {
		switch f.Fault {
		case "reserve keeps what fits":
			kept := r
			kept.ID, kept.Entries = "kept"+r.ID, r.Entries[:result.Entry]
			_, _ = f.Memory.Reserve(ctx, kept)
		case "reserve names the last entry":
			result.Entry = len(r.Entries) - 1
		}
	}
	if result.Replayed {
		switch f.Fault {
		case "replay is not marked":
			result.Replayed = false
		case "replay extends":
			if result.Outcome == budget.Held {
				return f.Memory.Extend(ctx, r)
			}
		case "ended replay is held":
			if result.Outcome == budget.Settled {
				result.Outcome, result.Deadline, result.Charged = budget.Held, result.At.Add(1), nil
			}
		}
	}
	if f.Is("reserve omits the counts") {
		result.Counts = nil
	}
	if ttl < time.Second && !replay {
		for _, e := range original.Entries {
			f.ghosts += e.Amount - e.Floor
		}
	}
	f.remember(original)
	return result, err
}

// remember records what Read and List return now.
func (f *faulty) remember(r budget.Reservation) {
	if !f.Is("read is stale") && !f.Is("list is stale") {
		return
	}
	for _, e := range r.Entries {
		f.seen[r.Tenant+e.Account], _, _ = f.Memory.Read(context.Background(), r.Tenant, e.Account, e.Window, e.Since)
	}
	f.listed, _, _ = f.Memory.List(context.Background(), r.Tenant, 100)
}

func (f *faulty) Extend(ctx context.Context, r budget.Reservation) (budget.Result, error) {
	ctx = f.ctx(ctx, "extend")
	original := r
	r = f.change(r)
	f.mu.Lock()
	first, ok := f.known[r.Tenant+"/"+r.ID]
	f.mu.Unlock()
	for i := range r.Entries {
		e := &r.Entries[i]
		switch f.Fault {
		case "extend ignores the limit":
			e.Limit = budget.MaxAmount
		case "extend compares the whole":
			e.Limit -= min(e.Amount, 50)
		case "extend counts expired holds":
			if f.ghosts > 0 {
				e.Limit -= f.ghosts
			}
		case "extend keeps the floor":
			if ok && i < len(first.Entries) {
				e.Floor = first.Entries[i].Floor
			}
		case "extend adds":
			if ok && i < len(first.Entries) {
				e.Amount += first.Entries[i].Amount
			}
		case "extend reads then writes":
			counters, _, _ := f.Memory.Read(ctx, r.Tenant, e.Account, e.Window, e.Start)
			yield()
			if ok && i < len(first.Entries) && len(counters) == 1 && e.Since.Equal(e.Start) && counters[0].Spent+counters[0].Held+e.Amount-first.Entries[i].Amount <= e.Limit {
				e.Limit = budget.MaxAmount
			}
		}
	}
	switch {
	case f.Is("extend keeps the deadline"):
		r.TTL = time.Minute
	case f.Is("extend takes other counters") && ok:
		r.Entries = f.change(first).Entries
	case f.Is("extend makes a hold") && !ok:
		return f.Memory.Reserve(ctx, r)
	}
	result, err := f.Memory.Extend(ctx, r)
	if f.Is("extend reads then writes") && result.Outcome == budget.Held {
		f.mu.Lock()
		f.known[r.Tenant+"/"+r.ID] = r
		f.mu.Unlock()
	}
	f.remember(original)
	return result, err
}

func (f *faulty) Settle(ctx context.Context, tenant, id string, amounts []int64) (budget.Result, error) {
	ctx = f.ctx(ctx, "settle")
	charged := slices.Clone(amounts)
	f.mu.Lock()
	first, ok := f.known[tenant+"/"+id]
	late := ok && time.Since(f.began[id]) > first.TTL
	f.mu.Unlock()
	if f.Is("tenants share counters") {
		tenant, id = "acme", tenant+id
	}
	if f.Is("IDs fold case") {
		id = strings.ToLower(id)
	}
	switch f.Fault {
	case "settle is capped":
		for i := range charged {
			charged[i] = min(charged[i], 60)
		}
	case "settle ignores the tenant":
		tenant = "acme"
	case "settle refuses large sums":
		if charged[0] == budget.MaxAmount {
			if c, _, _ := f.Memory.Read(ctx, tenant, "a", "day", time.Time{}); len(c) == 1 && c[0].Spent > 0 {
				return budget.Result{}, errors.New("overflow")
			}
		}
	case "settle restores Max":
		if ok {
			first.ID += " again"
			_, _ = f.Memory.Reserve(ctx, first)
			_, _ = f.Memory.Settle(ctx, tenant, first.ID, make([]int64, len(first.Entries)))
		}
	case "settle takes fewer amounts":
		if ok {
			charged = charged[:min(len(charged), len(first.Entries))]
		}
	case "second settle charges":
		result, err := f.Memory.Settle(ctx, tenant, id, charged)
		if result.Replayed {
			again := f.known[tenant+"/"+id]
			again.ID = fmt.Sprint(id, "again", time.Now())
			_, _ = f.Memory.Reserve(ctx, again)
			return f.Memory.Settle(ctx, tenant, again.ID, charged)
		}
		return result, err
	case "late settle adds":
		if late {
			charged[0] += first.Entries[0].Floor
		}
	case "late settle is ignored":
		if late {
			return budget.Result{Outcome: budget.Settled, At: time.Now().UTC().Truncate(time.Microsecond), Charged: charged}, nil
		}
	case "settle reads then writes":
		f.mu.Lock()
		_, done := f.began["settled"+tenant+id]
		f.mu.Unlock()
		yield()
		result, err := f.Memory.Settle(ctx, tenant, id, charged)
		if result.Outcome == budget.Settled {
			f.mu.Lock()
			f.began["settled"+tenant+id] = time.Now()
			f.mu.Unlock()
			result.Replayed = done
		}
		return result, err
	}
	result, err := f.Memory.Settle(ctx, tenant, id, charged)
	f.remember(first)
	return result, err
}

func (f *faulty) Read(ctx context.Context, tenant, account, window string, since time.Time) ([]budget.Counter, time.Time, error) {
	switch f.Fault {
	case "tenants share counters":
		tenant = "acme"
	case "accounts fold case":
		account = strings.ToLower(account)
	case "accounts are trimmed":
		account = strings.TrimSpace(account)
	case "read ignores since":
		since = time.Time{}
	}
	counters, at, err := f.Memory.Read(f.ctx(ctx, "read"), tenant, account, window, since)
	if f.Is("read is stale") && err == nil {
		counters = f.seen[tenant+account]
	}
	if f.Is("read is reversed") {
		slices.Reverse(counters)
	}
	return counters, at, err
}

func (f *faulty) List(ctx context.Context, tenant string, limit int) ([]budget.Counter, time.Time, error) {
	if f.Is("list ignores the limit") {
		limit = 100
	}
	counters, at, err := f.Memory.List(f.ctx(ctx, "list"), tenant, limit)
	switch f.Fault {
	case "list is stale":
		if err == nil {
			counters = f.listed[:min(len(f.listed), limit)]
		}
	case "list is reversed":
		slices.Reverse(counters)
	case "list keeps the first limit":
		for i := range counters {
			if counters[i].Account == "b" {
				counters[i].Max = 100
			}
		}
	case "list has other tenants":
		others, _, _ := f.Memory.List(ctx, "other", limit)
		counters = append(counters, others...)
	case "list is of one window":
		counters = slices.DeleteFunc(counters, func(c budget.Counter) bool { return c.Window != "day" })
	}
	return counters, at, err
}

func (f *faulty) Sweep(ctx context.Context, limit int) (int, error) {
	if f.Is("sweep ignores the limit") {
		limit = 1000
	}
	n, err := f.Memory.Sweep(f.ctx(ctx, "sweep"), limit)
	if f.Is("sweep returns nothing") {
		n = 0
	}
	return n, err
}
