// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is the error for an ID that does not exist.
var ErrNotFound = errors.New("API key not found")

// ErrConflict is the error for a change that the state of the key does not
// allow: for [Keys.Rotate], the key is revoked, expired or was rotated concurrently;
// for [Keys.Delete], it is neither revoked nor expired.
var ErrConflict = errors.New("conflict: the state of the API key does not allow it")

// ErrInvalid is the error for an invalid argument of a method of [Keys], such as a
// [Request] without Owner. A retry cannot succeed. An error of the store, other than
// [ErrNotFound] and [ErrConflict], is a [*gatehouse.Error] instead: [gatehouse.Refuse]
// writes 503 for it.
var ErrInvalid = errors.New("invalid argument")

// invalid is an error that is also an [ErrInvalid], with the same text.
type invalid struct{ error }

func (invalid) Is(target error) bool { return target == ErrInvalid }

// invalidArgument returns the joined errors as an [ErrInvalid], nil if there are
// none.
func invalidArgument(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return invalid{err}
	}
	return nil
}

// Retention is how long a [Store] keeps the record of an expired key, and of a
// revoked key after the expiry that it had. Until then, a revoked key that is
// imported from an older copy of the store stays revoked.
const Retention = 90 * 24 * time.Hour

// Store stores the records of keys. [Memory] is a store for a single process;
// the module store has others. Package apikeytest has the tests that every
// implementation must pass.
//
//   - All methods are safe for concurrent use, also by several processes. Each
//     is atomic: it checks its conditions and makes its change in one step. A
//     change is durable and visible to all readers before the method returns.
//   - The clock is that of the store: "now", and every time derived from it,
//     comes from one clock, that of the database if it has one. Times have a
//     resolution of one microsecond and are returned in UTC.
//   - Records are copied in and out.
//   - Every error other than [ErrNotFound] and [ErrConflict] means that the
//     store is unavailable. A method whose context has ended before the call
//     changes nothing and returns an error. An implementation limits the
//     duration of a call, so that a database that does not respond is treated
//     as unavailable.
//   - Each record that is returned has AsOf set.
//   - Strings are UTF-8 without control characters and are returned unchanged,
//     Metadata too. IDs are compared byte by byte.
//   - Create and Import remove up to ten records whose Expires is more than [Retention]
//     ago, in each call. Only these two and Delete remove records.
//   - An implementation that notifies other processes of changes does so in
//     Rotate, Revoke, RevokeAll, Suspend and Import; see [Watcher].
type Store interface {
	// Create adds a record with the ID, Owner, Tenant, Environment, Scopes,
	// Networks, Metadata, Lifetime and Current of r. The store sets Created and
	// Rotated to now, Expires to now + Lifetime and Generation to 1. All other
	// fields of r are ignored and zero in the record. If the ID exists, Create
	// returns an error and does not change the record.
	Create(ctx context.Context, r Record) (Record, error)

	// Find returns the record, also of a revoked or expired key, or ErrNotFound.
	Find(ctx context.Context, id string) (Record, error)

	// Rotate moves Current to Previous and discards the old Previous. It sets
	// GraceEnds to the earlier of Expires and now + Grace, Current to that of
	// the rotation, Rotated to now and Expires to now + the smaller of Lifetime
	// and MaxLifetime, and increments Generation.
	//
	// It returns ErrNotFound if the ID does not exist, and ErrConflict if the
	// key is revoked, if Expires is not after now, or if the rotation asks for
	// another Generation.
	Rotate(ctx context.Context, id string, r Rotation) (Record, error)

	// Revoke sets Revoked to now if it is zero. Nothing resets it.
	Revoke(ctx context.Context, id string) (Record, error)

	// RevokeAll revokes at most limit of the keys that match and are not
	// revoked, and returns their records. A result with fewer than limit
	// records means that no such key is left.
	RevokeAll(ctx context.Context, f Filter, limit int) ([]Record, error)

	// If on is true, Suspend sets Suspended to now unless it is already set. If on is
	// false, it sets Suspended to zero. It does so for revoked and expired keys too.
	Suspend(ctx context.Context, id string, on bool) (Record, error)

	// Touch sets LastUsed to now and adds uses to Uses if LastUsed is zero or not
	// after now - every. It reports whether it changed the record. For an unknown
	// ID it returns false.
	Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error)

	// Delete removes the record of a key that is revoked, or whose Expires is not after
	// now. It returns ErrConflict for any other key, and ErrNotFound for an unknown ID.
	Delete(ctx context.Context, id string) error

	// Import adds a record that another Store has returned, with all its fields but
	// AsOf. If the ID exists, it changes the record as follows:
	//
	//   - If r.Generation is greater: Current, Previous, Rotated, Expires, GraceEnds
	//     and Generation become those of r.
	//   - Revoked and Suspended become those of r if they are zero.
	//   - LastUsed and Uses become the greater ones.
	//
	// It returns ErrConflict and changes nothing if Owner, Tenant or Environment
	// differ. If r is not revoked, it does the same if the record is revoked, is
	// suspended while r is not, has a greater Generation, or has another Current of the
	// same Generation.
	Import(ctx context.Context, r Record) (Record, error)

	// List returns the first q.Limit records that match and follow q.After, in
	// the order of the query.
	List(ctx context.Context, q Query) ([]Record, error)
}

// Record is a key as a [Store] stores it, with the hashes of its secrets. Its text,
// JSON and log forms are those of the Key, without the hashes.
type Record struct {
	Key

	// Current is the hash of the newest secret, which is valid until Expires.
	Current Hash
	// Previous is the hash of the secret before it, which is valid until GraceEnds;
	// zero if there is none. It is not cleared after GraceEnds.
	Previous Hash

	// AsOf is the store's time at which the record was read.
	AsOf time.Time
}

// Hash is the hash of a secret.
type Hash struct {
	Sum [32]byte
	// Pepper is the Version of the [Pepper], 0 for none.
	Pepper uint32
}

// Rotation is the argument of [Store.Rotate].
type Rotation struct {
	Current     Hash
	Grace       time.Duration // not negative
	MaxLifetime time.Duration // greater than zero
	Generation  int64         // the expected Generation, 0 for any
}
