// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"
)

// Suspend takes a key out of use until [Keys.Resume]. To suspend it again is no
// error.
func (k *Keys) Suspend(ctx context.Context, id string) (Key, error) {
	return k.suspend(ctx, id, true, EventSuspended)
}

// Resume puts a suspended key back into use, unless it is revoked or expired.
func (k *Keys) Resume(ctx context.Context, id string) (Key, error) {
	return k.suspend(ctx, id, false, EventResumed)
}

func (k *Keys) suspend(ctx context.Context, id string, on bool, event EventType) (Key, error) {
	record, err := k.store.Suspend(ctx, id, on)
	k.Invalidate(id)
	if err != nil {
		return Key{}, fmt.Errorf("apikey: %s: %w", event, err)
	}
	return record.Key, k.emit(ctx, Event{Type: event, Key: record.Key})
}
