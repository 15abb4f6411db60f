// SPDX-License-Identifier: Apache-2.0

package upstreamtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

func TestMemory(t *testing.T) {
	TestStore(t, func(*testing.T) upstream.Store { return &upstream.Memory{} })
}

func TestFaults(t *testing.T) {
	contract.Faulty[upstream.Store]{
		New: func(fault string) upstream.Store {
			return &faulty{Fault: contract.Fault(fault), records: make(map[string]upstream.Record)}
		},
	}.TestFaults(t, rules, faults)
}

// faulty is a store with one fault, or without any.
type faulty struct {
	contract.Fault
	mu      sync.Mutex
	records map[string]upstream.Record
}

var faults = slices.Concat(contract.ClockFaults(), []string{
	"absent records are an error", "absent records have no time", "load creates",
	"data is cut at a zero", "data is trimmed", "data is cut", "revision stands still", "swap does not write",
	"swap ignores the revision", "swap takes older revisions", "swap takes newer revisions", "swap creates for any revision",
	"swap fails otherwise", "a refused swap writes",
	"names are folded", "names are trimmed", "names are cut", "all names are one",
	"load ignores the context", "swap ignores the context", "swap conflicts after the context",
	"load shares data", "swap shares data", "swap reads then writes",
})

func (f *faulty) name(name string) string {
	switch f.Fault {
	case "names are folded":
		return strings.ToLower(name)
	case "names are trimmed":
		return strings.TrimSpace(name)
	case "names are cut":
		return name[:min(len(name), 127)]
	case "all names are one":
		return ""
	}
	return name
}

func (f *faulty) data(data []byte) []byte {
	switch f.Fault {
	case "data is cut at a zero":
		data, _, _ = cutZero(data)
	case "data is trimmed":
		data = []byte(strings.TrimSpace(string(data)))
	case "data is cut":
		data = data[:min(len(data), 65535)]
	case "swap shares data":
		return data
	}
	return slices.Clone(data)
}

func cutZero(data []byte) (before, after []byte, found bool) {
	at := slices.Index(data, 0)
	if at < 0 {
		return data, nil, false
	}
	return data[:at], data[at+1:], true
}

func (f *faulty) Load(ctx context.Context, name string) (upstream.Record, error) {
	if err := f.Err(ctx, "load"); err != nil {
		return upstream.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name = f.name(name)
	r, ok := f.records[name]
	switch {
	case !ok && f.Is("absent records are an error"):
		return r, errors.New("absent")
	case !ok && f.Is("load creates"):
		f.records[name] = upstream.Record{Revision: 1}
	}
	if !f.Is("load shares data") {
		r.Data = slices.Clone(r.Data)
	}
	if ok || !f.Is("absent records have no time") {
		r.AsOf = f.Now()
	}
	return r, nil
}

func (f *faulty) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	if err := f.Err(ctx, "swap"); err != nil {
		if f.Is("swap conflicts after the context") {
			return upstream.ErrConflict
		}
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name = f.name(name)
	old, ok := f.records[name]
	conflict := old.Revision != revision
	f.Yield("swap", &f.mu)
	switch f.Fault {
	case "swap ignores the revision":
		conflict = false
	case "swap takes older revisions":
		conflict = conflict && (revision > old.Revision || !ok)
	case "swap takes newer revisions":
		conflict = conflict && (revision < old.Revision || !ok)
	case "swap creates for any revision":
		conflict = conflict && ok
	}
	switch {
	case conflict && f.Is("a refused swap writes"):
		f.records[name] = upstream.Record{Revision: old.Revision, Data: f.data(data)}
		return upstream.ErrConflict
	case conflict && f.Is("swap fails otherwise"):
		return errors.New("conflict")
	case conflict:
		return upstream.ErrConflict
	case f.Is("swap does not write"):
		return nil
	}
	next := revision + 1
	if f.Is("revision stands still") {
		next = max(revision, 1)
	}
	f.records = maps.Clone(f.records)
	f.records[name] = upstream.Record{Revision: next, Data: f.data(data)}
	return nil
}
