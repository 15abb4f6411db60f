// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

func TestFaults(t *testing.T) {
	contract.Faulty[agent.Store]{
		New: func(fault string) agent.Store {
			return &faulty{Fault: contract.Fault(fault), records: make(map[string]agent.Record)}
		},
		Wait: func(s agent.Store) { s.(*faulty).late.Wait() },
	}.TestFaults(t, slices.Concat(rules, races), faults)
}

// faulty is a store with one fault, or without any.
type faulty struct {
	contract.Fault
	mu      sync.Mutex
	records map[string]agent.Record
	calls   int
	late    sync.WaitGroup
}

var faults = slices.Concat(contract.ClockFaults(), contract.FieldFaults[agent.Record]("register", "Created", "Decommissioned"), []string{
	"register ignores the context", "find ignores the context", "decommission ignores the context", "list ignores the context",
	"register does nothing", "register keeps the details", "register keeps the generation", "register always counts", "register keeps the time",
	"register always changes the time", "register takes another tenant", "register folds the tenant", "register revives", "register changes a decommissioned one",
	"register says decommissioned first", "register returns the old record", "register reads then writes", "register forgets a decommission meanwhile", "register answers early", "register ignores case of details",
	"decommission does nothing", "decommission takes another tenant", "decommission folds the tenant", "decommission trims the tenant", "decommission keeps the generation",
	"decommission counts again", "decommission again moves the time", "decommission keeps the time of the change", "decommission ends all", "decommission answers early",
	"decommission invents a record", "decommission reads then writes", "decommission deletes the record", "decommission returns the old record",
	"find ignores case", "find trims", "find invents a record", "find skips decommissioned", "find reports not found for canceled", "find normalizes the ID",
	"list takes every tenant", "list takes tenants by prefix", "list ignores after", "list includes after", "list ignores the limit", "list takes the limit 0 for none",
	"list is reversed", "list is unordered", "list skips decommissioned", "list folds case in the order", "list returns no details",
	"details are shared in", "details are shared out", "details are cut at a zero", "ID is cut", "tenant is trimmed",
})

func (f *faulty) now() time.Time {
	f.calls++
	step := time.Duration(f.calls) * time.Microsecond
	switch f.Fault {
	case "clock stands still":
		step = 0
	case "clock runs back":
		step = -step
	}
	return f.Now().Add(step)
}

func (f *faulty) out(r agent.Record) agent.Record {
	if !f.Is("details are shared out") {
		r.Details = bytes.Clone(r.Details)
	}
	return r
}

func (f *faulty) key(id string) string {
	if f.Is("ID is cut") {
		return id[:min(len(id), 200)]
	}
	if f.Is("find normalizes the ID") {
		return strings.ReplaceAll(id, "e\u0301", "é")
	}
	return id
}

// set stores a record, later if the fault says so.
func (f *faulty) set(method string, r agent.Record) {
	switch {
	case f.Is(method, "does nothing"):
	case f.Is(method, "answers early"):
		f.late.Go(func() {
			<-time.After(5 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.records[f.key(r.ID)] = r
		})
	default:
		f.records[f.key(r.ID)] = r
	}
}

// other reports whether a tenant is another one.
func (f *faulty) other(method, a, b string) bool {
	switch {
	case f.Is(method, "takes another tenant"), f.Is(method, "folds the tenant") && strings.EqualFold(a, b),
		f.Is(method, "trims the tenant") && strings.TrimSpace(a) == strings.TrimSpace(b):
		return false
	}
	return a != b
}

func (f *faulty) Register(ctx context.Context, id, tenant string, details []byte) (agent.Record, error) {
	if err := f.Err(ctx, "register"); err != nil {
		return agent.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.Is("details are shared in") {
		details = bytes.Clone(details)
	}
	if before, _, cut := bytes.Cut(details, []byte{0}); cut && f.Is("details are cut at a zero") {
		details = before
	}
	if f.Is("tenant is trimmed") {
		tenant = strings.TrimSpace(tenant)
	}
	r, ok := f.records[f.key(id)]
	old := r
	f.Yield("register", &f.mu)
	if f.Is("register forgets a decommission meanwhile") {
		contract.Yield(&f.mu)
		r, ok = f.records[f.key(id)]
		r.Decommissioned = old.Decommissioned
	}
	now := f.now()
	ended := !r.Decommissioned.IsZero()
	same := bytes.Equal(r.Details, details) || f.Is("register ignores case of details") && bytes.EqualFold(r.Details, details)
	switch {
	case !ok:
		r = agent.Record{ID: id, Tenant: tenant, Details: details, Generation: 1, Created: now, Changed: now}
		f.Corrupt("register", &r)
		f.set("register", r)
		return f.out(r), nil
	case ended && f.Is("register says decommissioned first"):
		return agent.Record{}, agent.ErrDecommissioned
	case f.other("register", r.Tenant, tenant):
		return agent.Record{}, agent.ErrConflict
	case ended && f.Is("register revives"):
		r.Decommissioned = time.Time{}
	case ended:
		if f.Is("register changes a decommissioned one") {
			r.Details = details
			f.records[f.key(id)] = r
		}
		return agent.Record{}, agent.ErrDecommissioned
	}
	if !same || f.Is("register always counts") {
		if !f.Is("register keeps the generation") {
			r.Generation++
		}
	}
	if !same && !f.Is("register keeps the time") || f.Is("register always changes the time") {
		r.Changed = now
	}
	if !same && !f.Is("register keeps the details") {
		r.Details = details
	}
	f.set("register", r)
	if f.Is("register returns the old record") {
		return f.out(old), nil
	}
	return f.out(r), nil
}

func (f *faulty) Find(ctx context.Context, id string) (agent.Record, error) {
	if err := f.Err(ctx, "find"); err != nil {
		if f.Is("find reports not found for canceled") {
			return agent.Record{}, agent.ErrNotFound
		}
		return agent.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Is("find trims") {
		id = strings.TrimSpace(id)
	}
	r, ok := f.records[f.key(id)]
	for other := range f.records {
		if !ok && f.Is("find ignores case") && strings.EqualFold(other, id) {
			r, ok = f.records[other], true
		}
	}
	switch {
	case !ok && f.Is("find invents a record"):
		return agent.Record{}, nil
	case !ok, f.Is("find skips decommissioned") && !r.Decommissioned.IsZero():
		return agent.Record{}, agent.ErrNotFound
	}
	return f.out(r), nil
}

func (f *faulty) Decommission(ctx context.Context, tenant, id string) (agent.Record, error) {
	if err := f.Err(ctx, "decommission"); err != nil {
		return agent.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.records[f.key(id)]
	old := r
	f.Yield("decommission", &f.mu)
	switch {
	case !ok && f.Is("decommission invents a record"):
		return agent.Record{}, nil
	case !ok || f.other("decommission", r.Tenant, tenant):
		return agent.Record{}, agent.ErrNotFound
	}
	now, first := f.now(), r.Decommissioned.IsZero()
	if first && !f.Is("decommission keeps the generation") || f.Is("decommission counts again") {
		r.Generation++
	}
	if first || f.Is("decommission again moves the time") {
		r.Decommissioned = now
		if !f.Is("decommission keeps the time of the change") {
			r.Changed = now
		}
	}
	switch f.Fault {
	case "decommission ends all":
		for other, record := range f.records {
			record.Decommissioned = now
			f.records[other] = record
		}
	case "decommission deletes the record":
		delete(f.records, f.key(id))
		return f.out(r), nil
	}
	f.set("decommission", r)
	if f.Is("decommission returns the old record") {
		return f.out(old), nil
	}
	return f.out(r), nil
}

func (f *faulty) List(ctx context.Context, tenant, after string, limit int) ([]agent.Record, error) {
	if err := f.Err(ctx, "list"); err != nil {
		return nil, err
	}
	if f.Is("list ignores the context") && ctx.Err() != nil {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []agent.Record
	for _, r := range f.records {
		mine := r.Tenant == tenant || f.Is("list takes every tenant") || f.Is("list takes tenants by prefix") && strings.HasPrefix(r.Tenant, tenant)
		later := r.ID > after || f.Is("list ignores after") || f.Is("list includes after") && r.ID == after
		if mine && later && (r.Decommissioned.IsZero() || !f.Is("list skips decommissioned")) {
			found = append(found, f.out(r))
		}
	}
	order := func(a, b agent.Record) int { return cmp.Compare(a.ID, b.ID) }
	switch f.Fault {
	case "list is reversed":
		order = func(a, b agent.Record) int { return cmp.Compare(b.ID, a.ID) }
	case "list is unordered":
		order = func(a, b agent.Record) int { return a.Created.Compare(b.Created) }
	case "list folds case in the order":
		order = func(a, b agent.Record) int { return cmp.Compare(strings.ToLower(a.ID), strings.ToLower(b.ID)) }
	}
	slices.SortFunc(found, order)
	if f.Is("list returns no details") {
		for n := range found {
			found[n].Details = []byte("?")
		}
	}
	if !f.Is("list ignores the limit") && (limit != 0 || !f.Is("list takes the limit 0 for none")) {
		found = found[:min(len(found), max(limit, 0))]
	}
	return found, nil
}
