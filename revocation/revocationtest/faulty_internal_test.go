// SPDX-License-Identifier: Apache-2.0

package revocationtest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/revocation"
)

func TestRevocationFaults(t *testing.T) {
	contract.Faulty[revocation.Store]{
		New: func(fault string) revocation.Store {
			return &faultyRevocations{fault: fault, entries: make(map[revocation.Target]entry)}
		},
		Late: func(s revocation.Store) { s.(*faultyRevocations).late.Wait() },
	}.TestFaults(t, revocationRules, revocationFaults)
}

type entry struct{ at, ends time.Time }

// faultyRevocations is a store with one fault in it, which its name says.
// Without a fault it keeps the contract.
type faultyRevocations struct {
	fault   string
	mu      sync.Mutex
	entries map[revocation.Target]entry
	late    sync.WaitGroup
}

var revocationFaults = []string{
	"kind is ignored", "kind of tokens is that of families", "issuer is ignored", "issuer is joined to the value", "issuer and slash", "value is folded", "value is trimmed", "value is cut",
	"revoke ignores the context", "revoke does nothing", "revoke answers early", "revoke keeps the time", "revoke again shortens", "revoke again does not lengthen", "revoke forgets the oldest", "revoke forgets those that end", "revoke once only", "revoke removes first",
	"find ignores the context", "find skips what is not revoked", "find sorts", "find answers once", "find fails without a question", "find asks for one only",
	"lifetime is not looked at", "lifetime is an hour", "lifetime is cut by half", "lifetime in seconds", "lifetime ends all",
	"clock is local", "clock has nanoseconds", "clock stands still", "clock runs back",
}

func (f *faultyRevocations) is(fault string) bool { return f.fault == fault }

func (f *faultyRevocations) now() time.Time { return contract.Now(f.fault) }

// name is under what a revocation is kept.
func (f *faultyRevocations) name(r revocation.Target) revocation.Target {
	switch f.fault {
	case "kind is ignored":
		r.Kind = ""
	case "kind of tokens is that of families":
		r.Kind = revocation.Kind(strings.ReplaceAll(string(r.Kind), "jti", "sid"))
	case "issuer is ignored":
		r.Issuer = ""
	case "issuer is joined to the value":
		r.Issuer, r.Value = "", r.Issuer+":"+r.Value
	case "issuer and slash":
		r.Issuer = strings.TrimSuffix(r.Issuer, "/")
	case "value is folded":
		r.Value = strings.ToLower(r.Value)
	case "value is trimmed":
		r.Value = strings.TrimSpace(r.Value)
	case "value is cut":
		r.Value = r.Value[:min(len(r.Value), 200)]
	}
	return r
}

func (f *faultyRevocations) Revoke(ctx context.Context, r revocation.Target, lifetime time.Duration) error {
	if err := ctx.Err(); err != nil && !f.is("revoke ignores the context") {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	switch f.fault {
	case "lifetime is an hour":
		lifetime = time.Hour
	case "lifetime is cut by half":
		lifetime /= 2
	case "lifetime in seconds":
		lifetime = lifetime.Truncate(time.Second)
	}
	name := f.name(r)
	old, known := f.entries[name]
	e := entry{now, now.Add(lifetime)}
	if old.ends.After(e.ends) && !f.is("revoke again shortens") || known && f.is("revoke again does not lengthen") {
		e.ends = old.ends
	}
	if known && f.is("revoke keeps the time") {
		e.at = old.at
	}
	switch f.fault {
	case "revoke once only":
		if known && !old.ends.After(now) {
			return errors.New("known")
		}
	case "revoke removes first":
		delete(f.entries, name)
		f.mu.Unlock()
		for range 20 {
			runtime.Gosched()
		}
		f.mu.Lock()
	case "revoke does nothing":
		return nil
	case "revoke answers early":
		f.late.Go(func() {
			<-time.After(2 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.entries[name] = e
		})
		return nil
	case "revoke forgets the oldest":
		if len(f.entries) > 25 {
			for name := range f.entries {
				delete(f.entries, name)
				break
			}
		}
	case "revoke forgets those that end":
		if len(f.entries) > 25 {
			clear(f.entries)
		}
	}
	f.entries[name] = e
	return nil
}

func (f *faultyRevocations) Find(ctx context.Context, rs []revocation.Target) ([]time.Time, error) {
	if err := ctx.Err(); err != nil && !f.is("find ignores the context") {
		return nil, err
	}
	if len(rs) == 0 && f.is("find fails without a question") {
		return nil, errors.New("no question")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var times []time.Time
	seen := make(map[revocation.Target]bool)
	for i, r := range rs {
		e := f.entries[f.name(r)]
		if !e.ends.After(now) && !f.is("lifetime is not looked at") {
			if f.is("lifetime ends all") && !e.ends.IsZero() {
				clear(f.entries)
			}
			e.at = time.Time{}
		}
		if e.at.IsZero() && f.is("find skips what is not revoked") {
			continue
		}
		if seen[r] && f.is("find answers once") || i > 1 && f.is("find asks for one only") {
			e.at = time.Time{}
		}
		seen[r] = true
		times = append(times, e.at)
	}
	if f.is("find sorts") {
		for i, j := 0, len(times)-1; i < j; i, j = i+1, j-1 {
			times[i], times[j] = times[j], times[i]
		}
	}
	return times, nil
}
