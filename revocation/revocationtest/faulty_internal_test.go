// SPDX-License-Identifier: Apache-2.0

package revocationtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/revocation"
)

func TestFaults(t *testing.T) {
	contract.Faulty[revocation.Store]{
		New: func(fault string) revocation.Store {
			return &faulty{Fault: contract.Fault(fault), records: make(map[revocation.Target]record)}
		},
		Wait: func(s revocation.Store) { s.(*faulty).late.Wait() },
	}.TestFaults(t, rules, faults)
}

type record struct{ revoked, expires time.Time }

// faulty is a store with one fault, or without any.
type faulty struct {
	contract.Fault
	mu      sync.Mutex
	records map[revocation.Target]record
	late    sync.WaitGroup
}

var faults = append([]string{
	"kind is ignored", "kinds of token and family are the same", "issuer is ignored", "issuer is joined to the value", "issuer without slash",
	"value is folded", "value is trimmed", "value is cut",
	"revoke ignores the context", "revoke does nothing", "revoke answers early", "revoke keeps the time", "revoke again shortens", "revoke again does not lengthen",
	"revoke evicts one", "revoke evicts all", "revoke fails for expired", "revoke removes, then writes",
	"find ignores the context", "find skips what is not revoked", "find reverses", "find returns repeated targets once", "find fails without targets", "find finds two",
	"lifetime is ignored", "lifetime is an hour", "lifetime is halved", "lifetime in seconds", "lifetime ends all",
}, contract.ClockFaults()...)

// key returns the key under which a target is stored.
func (f *faulty) key(t revocation.Target) revocation.Target {
	switch f.Fault {
	case "kind is ignored":
		t.Kind = ""
	case "kinds of token and family are the same":
		t.Kind = revocation.Kind(strings.ReplaceAll(string(t.Kind), "jti", "sid"))
	case "issuer is ignored":
		t.Issuer = ""
	case "issuer is joined to the value":
		t.Issuer, t.Value = "", t.Issuer+":"+t.Value
	case "issuer without slash":
		t.Issuer = strings.TrimSuffix(t.Issuer, "/")
	case "value is folded":
		t.Value = strings.ToLower(t.Value)
	case "value is trimmed":
		t.Value = strings.TrimSpace(t.Value)
	case "value is cut":
		t.Value = t.Value[:min(len(t.Value), 200)]
	}
	return t
}

func (f *faulty) Revoke(ctx context.Context, target revocation.Target, lifetime time.Duration) error {
	if err := f.Err(ctx, "revoke"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.Now()
	switch f.Fault {
	case "lifetime is an hour":
		lifetime = time.Hour
	case "lifetime is halved":
		lifetime /= 2
	case "lifetime in seconds":
		lifetime = lifetime.Truncate(time.Second)
	}
	key := f.key(target)
	old, known := f.records[key]
	r := record{now, now.Add(lifetime)}
	if old.expires.After(r.expires) && !f.Is("revoke again shortens") || known && f.Is("revoke again does not lengthen") {
		r.expires = old.expires
	}
	if known && f.Is("revoke keeps the time") {
		r.revoked = old.revoked
	}
	switch f.Fault {
	case "revoke fails for expired":
		if known && !old.expires.After(now) {
			return errors.New("exists")
		}
	case "revoke removes, then writes":
		delete(f.records, key)
		contract.Yield(&f.mu)
	case "revoke does nothing":
		return nil
	case "revoke answers early":
		f.late.Go(func() {
			<-time.After(2 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.records[key] = r
		})
		return nil
	case "revoke evicts one", "revoke evicts all":
		for other := range f.records {
			if len(f.records) > 25 {
				delete(f.records, other)
			}
			if f.Is("revoke evicts one") {
				break
			}
		}
	}
	f.records[key] = r
	return nil
}

func (f *faulty) Find(ctx context.Context, targets []revocation.Target) ([]time.Time, error) {
	if err := f.Err(ctx, "find"); err != nil {
		return nil, err
	}
	if len(targets) == 0 && f.Is("find fails without targets") {
		return nil, errors.New("no targets")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.Now()
	var times []time.Time
	for i, target := range targets {
		r := f.records[f.key(target)]
		if !r.expires.After(now) && !f.Is("lifetime is ignored") {
			if f.Is("lifetime ends all") && !r.expires.IsZero() {
				clear(f.records)
			}
			r.revoked = time.Time{}
		}
		if r.revoked.IsZero() && f.Is("find skips what is not revoked") {
			continue
		}
		if f.Is("find returns repeated targets once") && slices.Contains(targets[:i], target) || i > 1 && f.Is("find finds two") {
			r.revoked = time.Time{}
		}
		times = append(times, r.revoked)
	}
	if f.Is("find reverses") {
		slices.Reverse(times)
	}
	return times, nil
}
