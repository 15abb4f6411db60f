// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// ErrNotFound means that the token family does not exist, or that its record
// was removed after it expired.
var ErrNotFound = errors.New("token family not found")

// Grant is what a user granted to a client at a login. All refresh tokens of a
// family have the same Grant.
type Grant struct {
	Subject  string // required, at most 255 bytes of UTF-8 without control characters
	Client   string // client_id that the tokens are issued to; required, same limits as Subject
	Tenant   string // "" for none
	Scopes   gatehouse.Scopes
	AuthTime time.Time        // time of the login, zero if unknown; kept to the microsecond
	Metadata gatehouse.Claims // data of the application, returned unchanged
}

// Family is a token family: the refresh tokens that descend from one login, each
// issued in exchange for the one before. It contains no secret.
type Family struct {
	// ID is the public identifier, which is safe to log. Access tokens that are
	// issued with a refresh token of the family carry it as sid.
	ID string

	Grant

	// Created is the time of the login and Expires the absolute timeout. Rotation
	// never changes them.
	Created, Expires time.Time
	// Rotated is the time of the last rotation, zero before the first.
	Rotated time.Time
	// GraceEnds is the end of the grace period, in which Rotate accepts the previous
	// token. It is zero before the first rotation.
	GraceEnds time.Time
	// Revoked is the time of revocation, zero if the family is not revoked.
	Revoked time.Time

	// Generation counts the tokens of the family, starting with 1.
	Generation int64
}

// Store keeps token families. [Memory] is an implementation for one process; the
// store module has others. The tests in package refreshtest are the contract
// that every implementation must pass.
//
//   - Methods are safe for concurrent use by several processes. Each one is
//     atomic: it checks its conditions and makes its change in one step. The
//     change is durable and visible to every reader before the method returns.
//   - One clock, that of the database engine if it has one, yields the current
//     time ("now") and all times derived from it. Times have microsecond
//     precision and are returned in UTC.
//   - Records are copied in and out. Returned records have AsOf set.
//   - Every error other than [ErrNotFound] means that the store is unavailable.
//     If the context is already done, a method changes nothing and returns an
//     error. Implementations limit the duration of a call.
//   - A record is removed some time after Expires and never before, except that
//     Memory also evicts revoked families when it is full. Methods then return
//     ErrNotFound.
//   - Strings and Metadata are stored and compared byte by byte.
type Store interface {
	// Create adds a record with the ID, Grant, Key and Current of r. It sets
	// Created to now, Expires to now + lifetime, Generation to 1 and the other
	// fields to zero. If the ID exists, Create returns an error and the existing
	// record is unchanged.
	Create(ctx context.Context, r Record, lifetime time.Duration) (Record, error)

	// Find returns a record, also if the family is revoked or expired.
	Find(ctx context.Context, id string) (Record, error)

	// Rotate checks a presented token and replaces it. If the family does not
	// exist or p.Key differs from its Key, Rotate returns ErrNotFound and changes
	// nothing. Otherwise the first case that applies decides:
	//
	//   - Revoked, if Revoked is set. No change.
	//   - Expired, if Expires is not after now. No change.
	//   - Reused, if p.Client differs from Client. Revoked is set to now,
	//     Successor is cleared.
	//   - Rotated, if p.Secret equals Current. Current moves to Previous, p.Next
	//     to Current, p.Successor to Successor; Rotated is set to now, GraceEnds
	//     to the earlier of Expires and now + p.Grace; Generation grows by 1.
	//   - Replayed, if p.Secret equals Previous and GraceEnds is after now. No
	//     change.
	//   - Reused, in every other case. Revoked is set to now, Successor is
	//     cleared.
	//
	// Rotate returns the record after the change.
	Rotate(ctx context.Context, id string, p Presentation) (Record, Outcome, error)

	// Revoke sets Revoked to now and clears Successor. If the family is already
	// revoked, nothing changes.
	Revoke(ctx context.Context, id string) (Record, error)

	// RevokeAll revokes at most limit of the active families (neither revoked nor
	// expired) that match f, and returns the records that it has changed. A
	// result shorter than limit means that no other family matched. A filter
	// without Subject and Client matches nothing.
	RevokeAll(ctx context.Context, f Filter, limit int) ([]Record, error)

	// List returns at most limit of the active families that match f, the last
	// used first: by Rotated, or Created before the first rotation, descending;
	// then by ID. A filter without Subject matches nothing.
	List(ctx context.Context, f Filter, limit int) ([]Record, error)
}

// Record is a stored token family. It contains hashes of secrets and an encrypted token:
// a reader of the store cannot learn a token.
type Record struct {
	Family

	// Key is the hash of the family secret, which all tokens of the family share.
	Key Hash
	// Current and Previous are the hashes of the secrets of the current token and
	// of its predecessor. Previous is zero before the first rotation.
	Current, Previous Hash
	// Successor is the secret of the current token, encrypted with a key derived
	// from the secret of its predecessor. It is empty without a grace period.
	Successor []byte

	// AsOf is the store's time at which the record was read.
	AsOf time.Time
}

// Hash is the SHA-256 of a secret. Secrets are 256 random bits, so comparing
// hashes does not need constant time.
type Hash [sha256.Size]byte

// Presentation is a presented token together with its replacement: the argument
// of [Store].Rotate.
type Presentation struct {
	Key, Secret Hash   // of the presented token
	Client      string // the client that presents it

	Next      Hash          // of the secret of the next token
	Successor []byte        // the encrypted secret of the next token, nil without a grace period
	Grace     time.Duration // grace period, not negative
}

// Outcome is the decision of [Store].Rotate.
type Outcome string

// Outcomes of [Store].Rotate, which defines them.
const (
	Rotated  Outcome = "rotated"
	Replayed Outcome = "replayed"
	Reused   Outcome = "reused"
	Revoked  Outcome = "revoked"
	Expired  Outcome = "expired"
)

// Filter selects token families. A family matches if it has the Subject, the Client
// or both, depending on which of them are set, and its ID is not Except. At least
// one of Subject and Client must be set.
type Filter struct{ Subject, Client, Except string }
