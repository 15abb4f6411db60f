// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const touchEvery = time.Minute

// usage counts how often each key is used, and writes it to the store at the
// first use and then at most once a minute. It knows 16,384 keys; of more than
// that it forgets some, and with them what was not yet written.
type usage struct{ keys table[*keyUsage] }

type keyUsage struct {
	uses atomic.Int64 // not yet written
	next atomic.Int64 // when to write, in microseconds of the store's clock

	principal atomic.Pointer[gatehouse.Principal] // of the last use
}

// count counts one use of a key. A write that fails is made good with a later
// one and is nobody's problem: whether a key is good does not depend on it.
func (key *keyUsage) count(ctx context.Context, store Store, record *Record, now time.Time) {
	key.uses.Add(1)
	due, next := now.UnixMicro(), key.next.Load()
	if due < next {
		return
	}
	// Another process may have written less than a minute ago.
	from := now
	fresh := now.Sub(record.LastUsed) < touchEvery // zero is long ago
	if fresh {
		from = record.LastUsed
	}
	if !key.next.CompareAndSwap(next, from.Add(touchEvery).UnixMicro()) || fresh {
		return // somebody else is at it, or it is not yet time
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	uses := key.uses.Load()
	if written, _ := store.Touch(ctx, record.ID, uses, touchEvery); written {
		key.uses.Add(-uses)
	}
}

func (u usage) of(id string) *keyUsage {
	if key, ok := u.keys.load(id); ok {
		return key
	}
	return u.add(id)
}

// add makes room for an id, unless somebody else was first.
func (u usage) add(id string) (key *keyUsage) {
	u.keys.change(id, func(keys map[string]*keyUsage) {
		if key = keys[id]; key == nil {
			makeRoom(keys)
			key = new(keyUsage)
			keys[id] = key
		}
	})
	return key
}
