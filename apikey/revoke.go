// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// revokeBatch is the number of keys that RevokeAll revokes per call of the store.
const revokeBatch = 500

// Revoke revokes a key permanently, with both of its secrets. After it returns
// nil, processes without a cache reject the key at once, and processes with a
// cache within their CacheTTL. Revoking a revoked key is not an error.
//
// Before an application revokes a key for a caller, it must check with
// [Keys.Describe] that the key belongs to that caller. Owner and Tenant of a
// key never change.
func (k *Keys) Revoke(ctx context.Context, id string) (Key, error) {
	record, err := k.store.Revoke(ctx, id)
	k.Invalidate(id)
	if err != nil {
		return Key{}, k.failed("revoke", err)
	}
	return record.Key, k.emit(ctx, EventRevoked, record.ID)
}

// RevokeAll revokes the keys of a tenant or an owner and returns their number. If it
// also returns an error, some keys may remain: call it again. It rejects a filter
// that matches every key. It may miss keys that are created during the call.
func (k *Keys) RevokeAll(ctx context.Context, f Filter) (int, error) {
	if err := f.check(); err != nil {
		return 0, invalidArgument(err)
	}
	if f.AnyTenant && f.Owner == "" {
		return 0, invalidArgument(errors.New("apikey: revoke all: the filter matches every key: set Owner, or Tenant without AnyTenant"))
	}
	var errs []error
	for n := 0; ; {
		records, err := k.store.RevokeAll(ctx, f, revokeBatch)
		if err != nil {
			k.Invalidate("") // the store may have revoked some
			return n, errors.Join(append(errs, k.failed("revoke all", err))...)
		}
		for i := range records {
			k.Invalidate(records[i].ID)
		}
		for i := range records {
			errs = append(errs, k.emit(ctx, EventRevoked, records[i].ID))
		}
		n += len(records)
		if len(records) < revokeBatch {
			return n, errors.Join(errs...)
		}
	}
}

// RevokeLeaked revokes a key of which a secret has leaked. text is the leaked text,
// as a client sends it. RevokeLeaked revokes the key if the leaked secret is still
// valid: the current one, or the previous one within the grace period. It does not
// revoke the key for a previous secret whose grace period has ended, because the
// current secret has not leaked. Key.Revoked of the result says whether the key is
// revoked.
//
// For a text that is not a key of this prefix, or has a wrong secret, RevokeLeaked
// changes nothing and returns [ErrNotFound]. An endpoint for reports of leaks
// therefore needs no authentication.
func (k *Keys) RevokeLeaked(ctx context.Context, text string) (Key, error) {
	s := k.hasher.get()
	defer k.hasher.put(s)
	label, ok := k.read(s, strings.TrimSpace(text))
	if !ok {
		return Key{}, fmt.Errorf("apikey: revoke leaked: %w", ErrNotFound)
	}
	record, err := k.store.Find(ctx, label.ID)
	if err != nil {
		return Key{}, k.failed("revoke leaked", err)
	}
	current, previous := k.match(s, &record)
	if !current && !previous {
		return Key{}, fmt.Errorf("apikey: revoke leaked: %w", ErrNotFound)
	}
	key := record.Key
	if record.Revoked.IsZero() && (current || record.GraceEnds.After(record.AsOf)) {
		// Correct also if the key was rotated since: the secret was valid.
		if key, err = k.Revoke(ctx, label.ID); key.ID == "" {
			return Key{}, err
		}
	}
	return key, errors.Join(err, k.emit(ctx, EventLeaked, key.ID))
}

// Delete removes the record of a key that is revoked or expired. It returns
// [ErrConflict] for any other key, and [ErrNotFound] for an unknown ID. The store
// removes each record [Retention] after the expiry of the key, even without Delete.
func (k *Keys) Delete(ctx context.Context, id string) error {
	err := k.store.Delete(ctx, id)
	k.Invalidate(id)
	if err != nil {
		return k.failed("delete", err)
	}
	return k.emit(ctx, EventDeleted, id)
}

// Suspend makes a key invalid until [Keys.Resume]. Suspending a suspended key is
// not an error.
func (k *Keys) Suspend(ctx context.Context, id string) (Key, error) {
	return k.suspend(ctx, id, true)
}

// Resume ends a suspension. A revoked or expired key stays invalid.
func (k *Keys) Resume(ctx context.Context, id string) (Key, error) {
	return k.suspend(ctx, id, false)
}

func (k *Keys) suspend(ctx context.Context, id string, on bool) (Key, error) {
	verb, event := "suspend", EventSuspended
	if !on {
		verb, event = "resume", EventResumed
	}
	record, err := k.store.Suspend(ctx, id, on)
	k.Invalidate(id)
	if err != nil {
		return Key{}, k.failed(verb, err)
	}
	return record.Key, k.emit(ctx, event, id)
}
