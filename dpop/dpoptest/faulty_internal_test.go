// SPDX-License-Identifier: Apache-2.0

package dpoptest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

func TestFaults(t *testing.T) {
	contract.Faulty[dpop.ReplayStore]{
		New: func(fault string) dpop.ReplayStore {
			return &faulty{Fault: contract.Fault(fault), expires: make(map[key]time.Time), racers: make(map[key]int)}
		},
		Wait: func(s dpop.ReplayStore) { s.(*faulty).late.Wait() },
	}.TestFaults(t, rules, faults)
}

// faulty is a store with one fault, or without any.
type faulty struct {
	contract.Fault
	mu      sync.Mutex
	expires map[key]time.Time
	racers  map[key]int // calls that have begun
	late    sync.WaitGroup
}

var faults = []string{
	"insert always inserts", "insert never inserts", "insert does not record", "insert records late", "insert fails for present keys",
	"keys are cut at a zero", "keys are cut", "keys have 31 bytes", "keys are folded", "keys lose the high bit",
	"lifetime is ignored", "lifetime is a second", "lifetime is halved", "lifetime in seconds", "lifetime ends all",
	"insert again extends", "insert again shortens",
	"insert ignores the context", "insert evicts one", "insert evicts all",
	"insert reads then writes", "insert refuses all racers",
}

// key returns the key under which a key is stored.
func (f *faulty) key(k key) key {
	switch f.Fault {
	case "keys are cut at a zero":
		for n := range k {
			if k[n] == 0 {
				clear(k[n:])
				break
			}
		}
	case "keys are cut":
		clear(k[16:])
	case "keys have 31 bytes":
		k[31] = 0
	case "keys are folded":
		for n, c := range k {
			if 'A' <= c && c <= 'Z' {
				k[n] += 'a' - 'A'
			}
		}
	case "keys lose the high bit":
		for n := range k {
			k[n] &= 0x7f
		}
	}
	return k
}

func (f *faulty) Insert(ctx context.Context, k key, lifetime time.Duration) (bool, error) {
	if err := f.Err(ctx, "insert"); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k = f.key(k)
	switch f.Fault {
	case "lifetime is a second":
		lifetime = time.Second
	case "lifetime is halved":
		lifetime /= 2
	case "lifetime in seconds":
		lifetime = (lifetime + time.Second - 1).Truncate(time.Second)
	}
	if f.Is("insert refuses all racers") {
		pause := func() {
			f.mu.Unlock()
			defer f.mu.Lock()
			<-time.After(time.Millisecond)
		}
		f.racers[k]++
		pause()
		raced := f.racers[k] > 1
		pause()
		if f.racers[k]--; raced {
			return false, nil
		}
	}
	now := time.Now()
	expires, known := f.expires[k]
	present := known && (expires.After(now) || f.Is("lifetime is ignored"))
	if known && !present && f.Is("lifetime ends all") {
		clear(f.expires)
	}
	f.Yield("insert", &f.mu)
	if present {
		later := now.Add(lifetime)
		if f.Is("insert again extends") && later.After(expires) || f.Is("insert again shortens") && later.Before(expires) {
			f.expires[k] = later
		}
		if f.Is("insert fails for present keys") {
			return false, errors.New("exists")
		}
		return f.Is("insert always inserts"), nil
	}
	f.evict()
	switch f.Fault {
	case "insert does not record":
		return true, nil
	case "insert never inserts":
		return false, nil
	case "insert records late":
		f.late.Go(func() {
			<-time.After(2 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.expires[k] = now.Add(lifetime)
		})
		return true, nil
	}
	f.expires[k] = now.Add(lifetime)
	return true, nil
}

// evict removes keys that have not expired, of a store that thinks that it is full.
func (f *faulty) evict() {
	for other := range f.expires {
		if len(f.expires) < 270 || !f.Is("insert evicts all") && !f.Is("insert evicts one") {
			return
		}
		delete(f.expires, other)
		if f.Is("insert evicts one") {
			return
		}
	}
}
