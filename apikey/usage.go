// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const touchEvery = time.Minute

// usage counts the uses of each key. It writes them to the store at the first use
// and then at most once a minute. It holds 131,072 keys; when it evicts one, the
// uses that were not yet written are lost.
type usage struct{ keys table[*keyUsage] }

type keyUsage struct {
	uses atomic.Int64 // not yet written
	next atomic.Int64 // time of the next write, in microseconds of the store's clock

	principal atomic.Pointer[gatehouse.Principal] // of the last use
}

// count counts one use of a key. A write that fails is repeated a minute later
// and does not fail the request, because the key is valid without it.
func (key *keyUsage) count(ctx context.Context, store Store, record *Record, now time.Time) {
	key.uses.Add(1)
	due, next := now.UnixMicro(), key.next.Load()
	if due < next {
		return
	}
	// Another process may have written less than a minute ago.
	from := now
	fresh := now.Sub(record.LastUsed) < touchEvery // the zero time is long ago
	if fresh {
		from = record.LastUsed
	}
	if !key.next.CompareAndSwap(next, from.Add(touchEvery).UnixMicro()) || fresh {
		return // another goroutine writes, or the write is not due
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

// add returns the entry of an ID. It keeps one that another goroutine added.
func (u usage) add(id string) (key *keyUsage) {
	u.keys.change(id, func(keys map[string]*keyUsage) {
		if key = keys[id]; key == nil {
			evict(keys, maxKeys)
			key = new(keyUsage)
			keys[id] = key
		}
	})
	return key
}

// principalOf returns the principal of a key: that of the last use if the record is
// unchanged, otherwise a new one.
func (key *keyUsage) principalOf(k *Keys, record *Record, expires time.Time) *gatehouse.Principal {
	last := key.principal.Load()
	if last != nil && last.Subject == record.Owner && last.Tenant == record.Tenant && last.Environment == record.Environment &&
		last.Scopes == record.Scopes && last.Claims == record.Metadata && last.Expires.Equal(expires) {
		return last
	}
	p := &gatehouse.Principal{
		Kind:        k.kind,
		Subject:     record.Owner,
		Issuer:      k.issuer,
		Tenant:      record.Tenant,
		Environment: record.Environment,
		Method:      Method,
		Credential:  record.ID,
		Scopes:      record.Scopes,
		Expires:     expires,
		Claims:      record.Metadata,
	}
	key.principal.Store(p)
	return p
}
