// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const touchEvery = time.Minute

// usage counts how often each key is used, and writes it to the store at the
// first use and then at most once a minute. It knows 16,384 keys; of more than
// that it forgets some, and with them what was not yet written.
type usage struct {
	start  time.Time
	shards [shardCount]usageShard
}

type usageShard struct {
	sync.RWMutex
	keys map[string]*keyUsage
	_    [32]byte
}

type keyUsage struct {
	uses atomic.Int64 // not yet written
	next atomic.Int64 // when to write, as time since start
}

func newUsage() *usage {
	u := &usage{start: time.Now()}
	for i := range u.shards {
		u.shards[i].keys = make(map[string]*keyUsage)
	}
	return u
}

// count counts one use of a key. A write that fails is made good with a later
// one and is nobody's problem: whether a key is good does not depend on it.
func (u *usage) count(ctx context.Context, store Store, record *Record, now time.Time) {
	key := u.of(record.ID)
	key.uses.Add(1)
	elapsed, next := int64(time.Since(u.start)), key.next.Load()
	if elapsed < next {
		return
	}
	// Another process may have written less than a minute ago.
	wait := touchEvery
	fresh := !record.LastUsed.IsZero() && now.Sub(record.LastUsed) < touchEvery
	if fresh {
		wait -= now.Sub(record.LastUsed)
	}
	if !key.next.CompareAndSwap(next, elapsed+int64(wait)) || fresh {
		return // somebody else is at it, or it is not yet time
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	uses := key.uses.Load()
	if written, err := store.Touch(ctx, record.ID, uses, touchEvery); written && err == nil {
		key.uses.Add(-uses)
	}
}

func (u *usage) of(id string) *keyUsage {
	s := &u.shards[shardOf(id)]
	s.RLock()
	key := s.keys[id]
	s.RUnlock()
	if key != nil {
		return key
	}
	s.Lock()
	defer s.Unlock()
	if key = s.keys[id]; key == nil {
		makeRoom(s.keys)
		key = new(keyUsage)
		s.keys[id] = key
	}
	return key
}
