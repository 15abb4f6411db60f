// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

func TestFaults(t *testing.T) {
	contract.Faulty[agent.Store]{
		New: func(fault string) agent.Store {
			return &faulty{&contract.Table[agent.Record]{
				Fault: contract.Fault(fault), NotFound: agent.ErrNotFound, Exists: errExists, Records: make(map[string]*agent.Record),
				Clone: func(r agent.Record) agent.Record { r.Details = bytes.Clone(r.Details); return r },
				AsOf:  func(*agent.Record) *time.Time { return new(time.Time) }, // records have none
			}}
		},
		Wait: func(s agent.Store) { s.(*faulty).Wait() },
	}.TestFaults(t, slices.Concat(rules, races), faults)
}

var errExists = errors.New("exists")

// faulty is a store with one fault, or without any.
type faulty struct {
	*contract.Table[agent.Record]
}

var faults = slices.Concat(contract.ClockFaults(), contract.FieldFaults[agent.Record]("register", "Created", "Decommissioned"),
	contract.CreateFaults("register"), contract.FindFaults("find"), contract.ChangeFaults("decommission"), contract.ListFaults("list"), []string{
		"register does nothing", "register keeps the details", "register keeps the generation", "register always counts", "register keeps the time",
		"register always changes the time", "register takes another tenant", "register folds the tenant", "register takes tenants by prefix", "register revives", "register changes a decommissioned one",
		"register says decommissioned first", "register answers with the old record", "register forgets a decommission meanwhile", "register answers early",
		"register ignores case of details", "register shares memory", "register deletes the record",
		"decommission takes another tenant", "decommission folds the tenant", "decommission trims the tenant", "decommission takes tenants by prefix", "decommission keeps the generation",
		"decommission counts again", "decommission again moves the time", "decommission keeps the time of the change", "decommission ends all", "decommission shares memory",
		"find skips decommissioned", "find reports not found for canceled", "find normalizes the ID",
		"list takes every tenant", "list takes tenants by prefix", "list ignores after", "list includes after",
		"list skips decommissioned", "list folds case in the order", "list returns no details",
		"details are shared in", "details are cut at a zero", "ID is cut", "tenant is trimmed",
	})

func (f *faulty) key(id string) string {
	switch f.Fault {
	case "ID is cut":
		return id[:min(len(id), 200)]
	case "find normalizes the ID":
		return strings.ReplaceAll(id, "e\u0301", "é")
	}
	return id
}

// other reports whether a tenant is another one.
func (f *faulty) other(method, a, b string) bool {
	switch {
	case f.Is(method, "takes another tenant"), f.Is(method, "folds the tenant") && strings.EqualFold(a, b),
		f.Is(method, "takes tenants by prefix") && strings.HasPrefix(a, b), f.Is(method, "trims the tenant") && strings.TrimSpace(a) == strings.TrimSpace(b):
		return false
	}
	return a != b
}

func (f *faulty) Register(ctx context.Context, id, tenant string, details []byte) (agent.Record, error) {
	id = f.key(id)
	if !f.Is("details are shared in") {
		details = bytes.Clone(details)
	}
	if before, _, cut := bytes.Cut(details, []byte{0}); cut && f.Is("details are cut at a zero") {
		details = before
	}
	if f.Is("tenant is trimmed") {
		tenant = strings.TrimSpace(tenant)
	}
	r, err := f.Create(ctx, "register", id, nil, func(now time.Time) agent.Record {
		return agent.Record{ID: id, Tenant: tenant, Details: details, Generation: 1, Created: now, Changed: now}
	})
	if !errors.Is(err, errExists) {
		return r, err
	}
	return f.Change(ctx, "register", id, func(r *agent.Record, now time.Time) error { return f.change(r, tenant, details, now) })
}

// change changes a record that exists.
func (f *faulty) change(r *agent.Record, tenant string, details []byte, now time.Time) error {
	if f.Is("register forgets a decommission meanwhile") {
		before := r.Decommissioned
		contract.Yield(&f.Mutex)
		*r = *f.Records[r.ID]
		r.Decommissioned = before
	}
	ended := !r.Decommissioned.IsZero()
	same := bytes.Equal(r.Details, details) || f.Is("register ignores case of details") && bytes.EqualFold(r.Details, details)
	switch {
	case ended && f.Is("register says decommissioned first"):
		return agent.ErrDecommissioned
	case f.other("register", r.Tenant, tenant):
		return agent.ErrConflict
	case ended && f.Is("register revives"):
		r.Decommissioned = time.Time{}
	case ended:
		if f.Is("register changes a decommissioned one") {
			changed := *r
			changed.Details, f.Records[r.ID] = details, &changed
		}
		return agent.ErrDecommissioned
	}
	if (!same || f.Is("register always counts")) && !f.Is("register keeps the generation") {
		r.Generation++
	}
	if !same && !f.Is("register keeps the time") || f.Is("register always changes the time") {
		r.Changed = now
	}
	if !same && !f.Is("register keeps the details") {
		r.Details = details
	}
	return nil
}

func (f *faulty) Find(ctx context.Context, id string) (agent.Record, error) {
	r, err := f.Table.Find(ctx, "find", f.key(id))
	switch {
	case err != nil && f.Is("find reports not found for canceled"), f.Is("find skips decommissioned") && !r.Decommissioned.IsZero():
		return agent.Record{}, agent.ErrNotFound
	}
	return r, err
}

func (f *faulty) Decommission(ctx context.Context, tenant, id string) (agent.Record, error) {
	return f.Change(ctx, "decommission", f.key(id), func(r *agent.Record, now time.Time) error {
		if f.other("decommission", r.Tenant, tenant) {
			return agent.ErrNotFound
		}
		first := r.Decommissioned.IsZero()
		if first && !f.Is("decommission keeps the generation") || f.Is("decommission counts again") {
			r.Generation++
		}
		if first || f.Is("decommission again moves the time") {
			r.Decommissioned = now
			if !f.Is("decommission keeps the time of the change") {
				r.Changed = now
			}
		}
		for id, other := range f.Records {
			if f.Is("decommission ends all") {
				ended := *other
				ended.Decommissioned, f.Records[id] = now, &ended
			}
		}
		return nil
	})
}

func (f *faulty) List(ctx context.Context, tenant, after string, limit int) ([]agent.Record, error) {
	match := func(r *agent.Record, _ time.Time) bool {
		mine := r.Tenant == tenant || f.Is("list takes every tenant") || f.Is("list takes tenants by prefix") && strings.HasPrefix(r.Tenant, tenant)
		later := r.ID > after || f.Is("list ignores after") || f.Is("list includes after") && r.ID == after
		return mine && later && (r.Decommissioned.IsZero() || !f.Is("list skips decommissioned"))
	}
	found, err := f.Table.List(ctx, "list", limit, match, func(a, b *agent.Record) int {
		if f.Is("list folds case in the order") {
			return cmp.Compare(strings.ToLower(a.ID), strings.ToLower(b.ID))
		}
		return cmp.Compare(a.ID, b.ID)
	})
	for n := range found {
		if f.Is("list returns no details") {
			found[n].Details = []byte("?")
		}
	}
	return found, err
}
