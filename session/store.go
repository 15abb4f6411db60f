// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound means that the session does not exist or is expired.
var ErrNotFound = errors.New("session: session not found")

// ErrConflict means that the session was changed concurrently, or that the new
// ID already exists.
var ErrConflict = errors.New("session: session changed concurrently, or ID already exists")

// Store keeps the records of sessions. [Memory] is a store for one process; the store
// module has others. Package sessiontest contains the tests that every implementation
// must pass.
//
//   - All methods are safe for concurrent use, also by several processes, and each
//     is atomic: it checks its conditions and makes its change in one step. A
//     change is durable and visible to every reader before the method returns.
//   - The current time, and every time that is derived from it, comes from one
//     clock, that of the engine if it has one. Times are stored in microseconds and
//     returned in UTC; durations are truncated to microseconds.
//   - A session is expired when the current time is not before Expires, or not
//     before LastSeen + Idle. All methods treat an expired session as missing. The
//     store removes it eventually.
//   - Every error except [ErrNotFound] and [ErrConflict] means that the store is
//     unavailable. A method whose context is done before it begins changes nothing
//     and returns an error. An implementation bounds the duration of a call.
//   - Each returned record has AsOf set.
//   - Strings are UTF-8 without control characters and are returned unchanged.
//     IDs, Issuer, Subject and SID compare byte by byte; SID and Subject may be
//     empty.
//
// Implements ASVS 5.0 §7.3.1.
type Store interface {
	// Create adds a record with ID, Issuer, Subject, SID, Label, Idle, Principal
	// and Tokens. The store sets Created and LastSeen to the current time, Expires
	// to the current time + lifetime, Version to 1, and Claimed to zero. If a
	// session that is not expired has the ID, Create returns ErrConflict and leaves
	// the other record unchanged. It replaces an expired session.
	Create(ctx context.Context, r Record, lifetime time.Duration) (Record, error)

	// Get returns the record, or ErrNotFound.
	Get(ctx context.Context, id string) (Record, error)

	// Swap changes the record with the ID if it has the given Version. It returns
	// ErrNotFound if there is none, and ErrConflict if it has another Version, or
	// if c.ID is a different ID that already exists. LastSeen becomes the current
	// time, Claimed the current time + c.Claim, or zero if c.Claim is zero, and
	// Version grows by one. Other fields, such as Expires, do not change.
	//
	// If c.ID is a new ID, it replaces the old ID of the record, which becomes
	// free.
	Swap(ctx context.Context, id string, version int64, c Change) (Record, error)

	// Touch sets LastSeen to the current time if LastSeen is not after the current
	// time - every. It reports whether it changed the record. It does not change
	// Version. For a missing session it returns false.
	Touch(ctx context.Context, id string, every time.Duration) (bool, error)

	// Delete removes a session. It returns nil if there is none.
	Delete(ctx context.Context, id string) error

	// DeleteAll removes the matching sessions and returns how many of them were not
	// expired.
	DeleteAll(ctx context.Context, s Selector) (int, error)

	// List returns at most limit of the sessions that match: those with the latest
	// LastSeen first, and those with the same LastSeen by ascending ID. Principal
	// and Tokens are empty.
	List(ctx context.Context, s Selector, limit int) ([]Record, error)
}

// Session describes a session. It contains no secrets.
type Session struct {
	// ID is the SHA-256 of the name of the cookie and the secret in it, in
	// base64url. It is the Credential of the principal and safe to log: it does
	// not reveal the secret. It changes when the session is renewed.
	ID string

	// Issuer and Subject identify the user of the session.
	Issuer, Subject string

	// SID is the sid claim, the ID of the session at the issuer (OpenID Connect
	// Back-Channel Logout 1.0), "" if unknown.
	SID string

	// Label is a name for lists, such as the browser.
	Label string

	Created  time.Time
	LastSeen time.Time     // within about a minute
	Expires  time.Time     // the absolute timeout
	Idle     time.Duration // the idle timeout, after LastSeen
}

// Record is a stored session. It contains no secret in the clear.
type Record struct {
	Session

	// Principal is the principal as JSON, with the data of the session: see [Data].
	Principal string

	// Tokens are the sealed tokens, "" for none.
	Tokens string

	// Claimed is the end of a claim: until then one process refreshes the tokens
	// and the others wait. Zero for no claim.
	Claimed time.Time

	// Version counts the changes, from 1 on.
	Version int64

	// AsOf is the time of the store when the record was read.
	AsOf time.Time
}

// Change contains the new values for [Store.Swap].
type Change struct {
	ID        string // the current ID or a new one
	Principal string
	Tokens    string
	Claim     time.Duration // not negative
}

// Selector matches the sessions of Issuer with Subject and SID, where an empty field
// matches any. If Subject and SID are both empty, it matches no session. It never
// matches the session whose ID is Except.
type Selector struct {
	Issuer, Subject, SID string
	// Implements ASVS 5.0 §7.4.3.
	Except string
}
