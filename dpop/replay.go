// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

// ReplayStore records the keys of used proofs and assertions. Each may be used once.
// [Memory] is an implementation for one process; the store module has others. The tests
// in package dpoptest are the contract that every implementation must pass.
type ReplayStore interface {
	// Insert records key for lifetime, which is positive, and reports whether it was
	// absent or expired. Of several concurrent calls with one key, in any number of
	// processes, exactly one returns true. A key that is present keeps its expiry.
	//
	// The clock of the store counts the lifetime, in a resolution of milliseconds or
	// better. Expired keys are eventually removed. Every error means that the store is
	// unavailable; the key may have been recorded nevertheless. If the context is
	// already done, Insert changes nothing and returns an error. Implementations limit
	// the duration of a call.
	Insert(ctx context.Context, key [sha256.Size]byte, lifetime time.Duration) (inserted bool, err error)
}

const (
	defaultMemoryKeys = 250_000
	shardCount        = 16
)

// Memory is a [ReplayStore] for one process. Its keys are lost when the process ends: a
// used proof that has not expired can then be used once more. It is safe for concurrent
// use.
//
// Memory is bounded. If it is full of keys that have not expired, Insert returns an
// error, and the response to requests with proofs is 503 (fail closed). A key is inserted
// only after the access token and the signature of the proof were verified, so that
// callers without a token cannot fill it.
type Memory struct{ shards [shardCount]shard }

type shard struct {
	mu   sync.Mutex
	keys expiring.Map[[sha256.Size]byte, struct{}, time.Time]
	_    [64]byte // against false sharing between cores
}

var _ ReplayStore = (*Memory)(nil)

// NewMemory returns a store of about maxKeys keys, 250,000 if maxKeys is not positive. A
// key takes about 250 bytes and is kept for at most 80 s: the default suffices for 3,000
// proofs per second.
func NewMemory(maxKeys int) *Memory {
	if maxKeys <= 0 {
		maxKeys = defaultMemoryKeys
	}
	m := &Memory{}
	for i := range m.shards {
		m.shards[i].keys.Limit = (maxKeys + shardCount - 1) / shardCount
		m.shards[i].keys.Expires = func(expires *time.Time) time.Time { return *expires }
	}
	return m
}

// Insert implements [ReplayStore].
func (m *Memory) Insert(ctx context.Context, key [sha256.Size]byte, lifetime time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s := &m.shards[key[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if expires, ok := s.keys.Get(key); ok && expires.After(now) {
		return false, nil
	}
	if err := s.keys.Put(key, now.Add(lifetime), now); err != nil {
		return false, err
	}
	return true, nil
}
