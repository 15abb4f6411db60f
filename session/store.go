// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound says that there is no such session, or that it is over.
var ErrNotFound = errors.New("session: no such session")

// ErrConflict says that somebody else has changed the session in the meantime,
// or that the id of a new one is taken.
var ErrConflict = errors.New("session: changed by somebody else")

// Store keeps the records of sessions. [Memory] is one for a single process; the
// modules under store have others. The package sessiontest holds the contract
// as tests, which every implementation must pass.
//
//   - All methods are safe for concurrent use, by several processes too, and
//     each is atomic: its conditions are checked and its change is made in one
//     step. A change is durable and visible to every reader, wherever it is,
//     before the method returns.
//   - Time is the store's: what is now, and every time that follows from it,
//     comes from one clock, that of the engine where it has one. Times are kept
//     to the microsecond and returned in UTC, durations are cut to it.
//   - A session is over once now is not before Expires, or not before LastSeen +
//     Idle. It is then as if it were not there, for every method, and is
//     removed at some time.
//   - Every error but [ErrNotFound] and [ErrConflict] means that the store
//     cannot tell now. A method whose context is over before it begins changes
//     nothing and returns an error. An implementation bounds how long a call may
//     take, so that an engine that hangs is one that is down.
//   - Each record that is returned has AsOf set.
//   - Strings are UTF-8 without control characters and are returned byte by
//     byte. IDs, Issuer, Subject and SID compare byte by byte; SID and Subject
//     may be empty.
type Store interface {
	// Create adds a record of ID, Issuer, Subject, SID, Label, Idle, Principal
	// and Tokens. The store sets Created and LastSeen to its now, Expires to now
	// + lifetime, and Version to 1; Claimed is zero, whatever it was. An ID that
	// is taken by a session that is not over is ErrConflict, and leaves the
	// other record as it was. Where the old one is over it is replaced.
	Create(ctx context.Context, r Record, lifetime time.Duration) (Record, error)

	// Get returns the record, or ErrNotFound.
	Get(ctx context.Context, id string) (Record, error)

	// Swap puts c into the record of the id, but only if that has the Version
	// asked for: it returns ErrNotFound if there is none, and ErrConflict if it
	// has another, or if c.ID is another one and is taken. LastSeen becomes now,
	// Claimed becomes now + c.Claim, or zero if c.Claim is zero, and Version
	// grows by one; the rest, the deadline above all, stays as it is.
	//
	// With another c.ID the record is found under that one from then on, and
	// under the old one no more.
	Swap(ctx context.Context, id string, version int64, c Change) (Record, error)

	// Touch sets LastSeen to now if it is at least every before now, and reports
	// whether it did. It leaves the Version. For a session that is not there it
	// reports false.
	Touch(ctx context.Context, id string, every time.Duration) (bool, error)

	// Delete removes a session. That it is not there is no error.
	Delete(ctx context.Context, id string) error

	// DeleteAll removes the sessions that match and returns how many there were
	// that were not over.
	DeleteAll(ctx context.Context, s Selector) (int, error)

	// List returns at most limit of the sessions that match: those seen last
	// come first, and of those seen at the same time the lesser ID. Principal
	// and Tokens are empty.
	List(ctx context.Context, s Selector, limit int) ([]Record, error)
}

// Session is what can be told of a session. Nothing in it is secret.
type Session struct {
	// ID names the session: the SHA-256 of the name of the cookie and the secret
	// in it, in base64url. It is the Credential of its principals, safe to log,
	// and opens nothing. It changes when the session is renewed.
	ID string

	// Issuer and Subject are whose session it is.
	Issuer, Subject string

	// SID is what the issuer calls its own session, "" if it does not say: the
	// sid of OpenID Connect Back-Channel Logout 1.0.
	SID string

	// Label is what the session is called in a list, such as the kind of the
	// browser.
	Label string

	Created  time.Time
	LastSeen time.Time     // to about a minute
	Expires  time.Time     // whatever happens
	Idle     time.Duration // how long after LastSeen the session ends
}

// Record is a session as it is stored. It holds no secret in the clear.
type Record struct {
	Session

	// Principal is who is calling, as JSON.
	Principal string

	// Tokens are the sealed tokens of the issuer, "" if there are none.
	Tokens string

	// Claimed is until when one of those who share the store is renewing the
	// tokens; the others wait. Zero if nobody is.
	Claimed time.Time

	// Version counts the changes, from 1 on.
	Version int64

	// AsOf is the store's now at which the record was read.
	AsOf time.Time
}

// Change is what [Store.Swap] puts in.
type Change struct {
	ID        string // the same one, or a new one
	Principal string
	Tokens    string
	Claim     time.Duration // not negative
}

// Selector says which sessions: those of the Issuer that have the Subject and
// the SID, as far as these are set; where neither is, none match. The one whose
// ID is Except, if that is set, does not match.
type Selector struct {
	Issuer, Subject, SID string
	Except               string
}
