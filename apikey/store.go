// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound says that no key has the given id.
var ErrNotFound = errors.New("apikey: no such key")

// ErrConflict says that a key is not in the state that a change asks for:
// revoked, expired, or rotated by somebody else in the meantime.
var ErrConflict = errors.New("apikey: the key is not in a state for this")

// Store keeps the records of keys. [Memory] is one for a single process; the
// modules under store have others. The package apikeytest holds the contract
// as tests, which every implementation must pass.
//
//   - All methods are safe for concurrent use, by several processes too, and
//     each is atomic: its conditions are checked and its change is made in one
//     step. A change is durable and visible to every reader, wherever it is,
//     before the method returns.
//   - Time is the store's: what is now, and every time that follows from it,
//     comes from one clock, that of the engine where it has one. Times are
//     kept to the microsecond and returned in UTC.
//   - Records are copied in and out.
//   - Every error but [ErrNotFound] and [ErrConflict] means that the store
//     cannot tell now. A method whose context is over before it begins changes
//     nothing and returns an error. An implementation bounds how long a call
//     may take, so that an engine that hangs is one that is down.
//   - Each record that is returned has AsOf set.
//   - Strings are UTF-8 without control characters and are returned byte by
//     byte, Metadata too. IDs compare byte by byte.
//   - An implementation that can tell other processes of changes does so from
//     within Rotate, Revoke, RevokeAll and Suspend; see [Watcher].
type Store interface {
	// Create adds a record of Key.ID, Owner, Tenant, Environment, Scopes,
	// Networks, Metadata and Lifetime, and of Current. The store sets Created
	// and Rotated to its now, Expires to now + Lifetime and Generation to 1;
	// the rest is zero, whatever it was. An ID that is taken is an error and
	// leaves the other record as it was.
	Create(ctx context.Context, r Record) (Record, error)

	// Find returns the record, also of a key that is over, or ErrNotFound.
	Find(ctx context.Context, id string) (Record, error)

	// Rotate makes Current the Previous, in place of an older one, which is
	// over with that. GraceEnds becomes the earlier of Expires and now + Grace.
	// Then Current becomes that of the rotation, Rotated becomes now, Expires
	// becomes now + the smaller of Lifetime and MaxLifetime, and Generation
	// grows by one.
	//
	// It returns ErrNotFound if there is no such key, and ErrConflict if the
	// key is revoked, if Expires is not after now, or if its Generation is not
	// the one asked for.
	Rotate(ctx context.Context, id string, r Rotation) (Record, error)

	// Revoke sets Revoked to now if it is zero, and leaves it otherwise. There
	// is no way back.
	Revoke(ctx context.Context, id string) (Record, error)

	// RevokeAll revokes at most limit of the keys that match and are not
	// revoked, and returns the records of those that it has revoked. Fewer than
	// limit means that none were left.
	RevokeAll(ctx context.Context, f Filter, limit int) ([]Record, error)

	// Suspend sets Suspended to now if on is true and it is zero, and to zero
	// if on is false. It does so for revoked and expired keys too, which are no
	// better for it.
	Suspend(ctx context.Context, id string, on bool) (Record, error)

	// Touch sets LastUsed to now and adds uses to Uses, but only if LastUsed is
	// zero or at least every before now. It reports whether it did. For an id
	// that does not exist it reports false.
	Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error)

	// List returns at most q.Limit records that match, in order, of those
	// behind q.After.
	List(ctx context.Context, q Query) ([]Record, error)
}

// Record is a key as it is stored. It holds hashes in place of secrets, so it
// is not secret, but it is nobody's business outside of a [Store].
type Record struct {
	Key

	// Current is the hash of the newest secret, which is good until Expires.
	Current Hash
	// Previous is the hash of the secret before it, which is good until
	// GraceEnds; zero if there was none. It stays after GraceEnds.
	Previous Hash

	// AsOf is the store's now at which the record was read.
	AsOf time.Time
}

// Hash is what is kept of a secret.
type Hash struct {
	Sum [32]byte
	// Pepper is the version of the pepper, 0 for none.
	Pepper uint32
}

// Rotation is what [Store.Rotate] puts in.
type Rotation struct {
	Current     Hash
	Grace       time.Duration // not negative
	MaxLifetime time.Duration // greater than zero
	Generation  int64         // that the key must have, 0 for any
}

// Watcher tells of changes to keys, so that a cache can drop what it holds of
// them. What a [Store] sends from within its methods, a Watcher hands on:
// Redis has publish and subscribe for it, Postgres LISTEN and NOTIFY.
type Watcher interface {
	// Watch calls changed with the id of every key that any process rotates,
	// revokes, suspends or resumes, once that is done. It calls it with "",
	// which stands for every key, whenever it may have missed something: as
	// soon as it listens, and each time that it listens anew after a break.
	//
	// It blocks until ctx is over or it cannot go on, reconnects by itself
	// where it can, and always returns an error. It does not call changed
	// after it has returned. changed is quick and safe for concurrent use.
	Watch(ctx context.Context, changed func(id string)) error
}
