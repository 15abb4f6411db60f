// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Rotate gives a key a new secret. The old one stays good for grace, but never
// longer than it was going to be; one that is older still is over at once. All
// else about the key stays, so limits that count by its ID do not double.
//
// The new secret is good for the Lifetime of the key, at most for
// [Config].MaxLifetime. It is hashed with the newest pepper.
//
// Generation is that of the [Key] on which the decision to rotate was made: if
// somebody else has rotated it since, the error is [ErrConflict] and nothing
// changes. Zero rotates whatever is there. A key that is revoked or expired is
// ErrConflict too, one that does not exist [ErrNotFound].
func (k *Keys) Rotate(ctx context.Context, id string, grace time.Duration, generation int64) (Issued, error) {
	if grace < 0 {
		return Issued{}, errors.New("apikey: rotate: negative grace")
	}
	old, err := k.store.Find(ctx, id) // for what never changes: the environment is part of the text
	if err != nil {
		return Issued{}, fmt.Errorf("apikey: rotate: %w", err)
	}
	text := newKeyText(Label{k.prefix, old.Environment, id})
	defer clear(text)
	record, err := k.store.Rotate(ctx, id, Rotation{
		Current: k.hasher.fresh(text), Grace: grace, MaxLifetime: k.maxLifetime, Generation: generation,
	})
	k.Invalidate(id)
	if err != nil {
		return Issued{}, fmt.Errorf("apikey: rotate: %w", err)
	}
	if err := k.emit(ctx, Event{Type: EventRotated, Key: record.Key}); err != nil {
		return Issued{}, err
	}
	return Issued{record.Key, gatehouse.NewSecret(text)}, nil
}
