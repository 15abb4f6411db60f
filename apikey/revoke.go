// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// revokeBatch is how many keys are revoked in one step of the store.
const revokeBatch = 500

// Revoke withdraws a key for good, with both of its secrets. Once it returns
// nil, no process accepts the key whose cache is off, and the others not for
// longer than their CacheTTL. To revoke a key again is no error.
//
// Before it revokes for somebody else, an application must check that the key
// is theirs: see [Keys.Describe]. Owner and tenant of a key never change.
func (k *Keys) Revoke(ctx context.Context, id string) (Key, error) {
	record, err := k.store.Revoke(ctx, id)
	k.Invalidate(id)
	if err != nil {
		return Key{}, fmt.Errorf("apikey: revoke: %w", err)
	}
	return record.Key, k.emit(ctx, Event{Type: EventRevoked, Key: record.Key})
}

// RevokeAll revokes the keys of a tenant or an owner and returns how many it
// has revoked, also where it fails half-way; then it is called again. A filter
// that matches every key is refused. Keys made in the meantime may be missed.
func (k *Keys) RevokeAll(ctx context.Context, f Filter) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if f.AnyTenant && f.Owner == "" {
		return 0, errors.New("apikey: revoke all: the filter matches every key")
	}
	var errs []error
	for n := 0; ; {
		records, err := k.store.RevokeAll(ctx, f, revokeBatch)
		if err != nil {
			k.Invalidate("") // what the store has done is not known
			return n, errors.Join(append(errs, fmt.Errorf("apikey: revoke all: %w", err))...)
		}
		for i := range records {
			k.Invalidate(records[i].ID)
		}
		for i := range records {
			errs = append(errs, k.emit(ctx, Event{Type: EventRevoked, Key: records[i].Key}))
		}
		n += len(records)
		if len(records) < revokeBatch {
			return n, errors.Join(errs...)
		}
	}
}

// RevokeLeaked takes the text of a key that has turned up where it should not
// be, and revokes the key if the text is one of its secrets: the newest, or
// the one before while its grace lasts. A secret that rotation has already
// ended changes nothing: the key that has replaced it has not leaked. Whether
// it was revoked is in the Key.
//
// A text that is no key of ours, or a wrong secret for a real id, is
// [ErrNotFound] and changes nothing; so anybody may be let report leaks.
func (k *Keys) RevokeLeaked(ctx context.Context, text string) (Key, error) {
	s := k.hasher.get()
	defer k.hasher.put(s)
	label, ok := k.read(s, strings.TrimSpace(text))
	if !ok {
		return Key{}, ErrNotFound
	}
	record, err := k.store.Find(ctx, label.ID)
	if err != nil {
		return Key{}, fmt.Errorf("apikey: leaked: %w", err)
	}
	current, previous := k.match(s, &record)
	if !current && !previous {
		return Key{}, ErrNotFound
	}
	key := record.Key
	if record.Revoked.IsZero() && (current || record.GraceEnds.After(record.AsOf)) {
		// A rotation in between makes no difference: the secret is or was good.
		if key, err = k.Revoke(ctx, label.ID); key.ID == "" {
			return Key{}, err
		}
	}
	return key, errors.Join(err, k.emit(ctx, Event{Type: EventLeaked, Key: key}))
}
