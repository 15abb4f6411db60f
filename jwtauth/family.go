// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// ErrFamilyNotFound says that there is no family of refresh tokens of the given
// id, or none any more.
var ErrFamilyNotFound = errors.New("jwtauth: no such family of refresh tokens")

// Grant is what a refresh token stands for: who has logged in, for which
// client, and what was granted. It is the same for all tokens of a family.
type Grant struct {
	Subject  string // required, at most 255 bytes without control characters
	Client   string // client_id, to which the tokens are bound; required, as Subject
	Tenant   string // "" for none
	Scopes   gatehouse.Scopes
	AuthTime time.Time        // when the person logged in, zero for none; kept to the microsecond
	Metadata gatehouse.Claims // what the application puts beside it
}

// Family is a line of refresh tokens, each the successor of the one before,
// that began with one login. Nothing in it is secret.
type Family struct {
	// ID is the public name of the family, safe to log: the sid of the access
	// tokens that are issued beside its tokens.
	ID string

	Grant

	// Created is when the family began, Expires when it ends at the latest.
	// Rotation never moves it.
	Created, Expires time.Time
	// Rotated is when the newest token was made, zero for the first.
	Rotated time.Time
	// GraceEnds is until when the token before the newest is answered with the
	// newest again, zero if there was none.
	GraceEnds time.Time
	// Ended is when the family was ended before its time, zero if it was not.
	Ended time.Time

	// Generation counts the tokens that the family has had, 1 for a new one.
	Generation int64
}

// FamilyStore keeps families of refresh tokens. [MemoryFamilies] is one for a
// single process; the modules under store have others. The package jwtauthtest
// holds the contract as tests, which every implementation must pass.
//
//   - All methods are safe for concurrent use, by several processes too, and
//     each is atomic: its conditions are checked and its change is made in one
//     step. A change is durable and visible to every reader, wherever it is,
//     before the method returns.
//   - Time is the store's: what is now, and every time that follows from it,
//     comes from one clock, that of the engine where it has one. Times are
//     kept to the microsecond and returned in UTC.
//   - Records are copied in and out, and each that is returned has AsOf set.
//   - Every error but [ErrFamilyNotFound] means that the store cannot tell now.
//     A method whose context is over before it begins changes nothing and
//     returns an error. An implementation bounds how long a call may take.
//   - A record is removed some time after Expires, and never before, so that
//     what is stored does not grow with what has been. The methods then return
//     ErrFamilyNotFound.
//   - Strings are UTF-8 without control characters and are returned byte by
//     byte, Metadata too. They compare byte by byte.
type FamilyStore interface {
	// Create adds a record of ID, Grant, Key and Current. The store sets
	// Created to its now, Expires to now + lifetime and Generation to 1; the
	// rest is zero, whatever it was. An ID that is taken is an error and leaves
	// the other record as it was.
	Create(ctx context.Context, r FamilyRecord, lifetime time.Duration) (FamilyRecord, error)

	// Find returns the record, also of a family that is over.
	Find(ctx context.Context, id string) (FamilyRecord, error)

	// Rotate decides on a token that was presented. It returns
	// ErrFamilyNotFound if there is no such family or if Key is not its own,
	// and then changes nothing. Otherwise the first of these applies:
	//
	//   - FamilyOver, if Ended is set or Expires is not after now. Nothing
	//     changes.
	//   - FamilyReused, if Client is not the family's. The family ends: Ended
	//     becomes now and Successor empty.
	//   - FamilyRotated, if Secret is Current. Current becomes Previous, Next
	//     becomes Current, Successor is that of the presentation, Rotated
	//     becomes now, GraceEnds the earlier of Expires and now + Grace, and
	//     Generation grows by one.
	//   - FamilyReplayed, if Secret is Previous and GraceEnds is after now.
	//     Nothing changes.
	//   - FamilyReused, in every other case. The family ends, as above.
	//
	// The record that is returned is that after the change.
	Rotate(ctx context.Context, id string, p Presentation) (FamilyRecord, FamilyOutcome, error)

	// End sets Ended to now and Successor to empty if Ended is zero, and
	// changes nothing otherwise. There is no way back.
	End(ctx context.Context, id string) (FamilyRecord, error)

	// EndAll ends at most limit of the families that match and are not over,
	// and returns the records of those that it has ended. Fewer than limit
	// means that none were left. A filter without a field matches nothing.
	EndAll(ctx context.Context, f FamilyFilter, limit int) ([]FamilyRecord, error)
}

// FamilyRecord is a family as it is stored. It holds hashes in place of secrets
// and the newest token sealed, so it is not secret, but it is nobody's business
// outside of a [FamilyStore].
type FamilyRecord struct {
	Family

	// Key is the hash of the secret that all tokens of the family share.
	Key SecretHash
	// Current is the hash of the secret of the newest token.
	Current SecretHash
	// Previous is the hash of the secret of the token before it, zero if there
	// was none.
	Previous SecretHash
	// Successor is the secret of the newest token, sealed with that of the
	// token before it. Empty if there is none to be had.
	Successor []byte

	// AsOf is the store's now at which the record was read.
	AsOf time.Time
}

// SecretHash is the SHA-256 of a secret. The secrets are 256 random bits, so
// that neither the hash nor how long it takes to compare one says anything of
// them.
type SecretHash [sha256.Size]byte

// Presentation is what [FamilyStore.Rotate] decides on, and what it puts in if
// the token is good.
type Presentation struct {
	Key, Secret SecretHash // of the token that was presented
	Client      string     // who presented it

	Next      SecretHash    // of the token that is to succeed it
	Successor []byte        // Next's secret, sealed; nil without grace
	Grace     time.Duration // not negative
}

// FamilyOutcome is what [FamilyStore.Rotate] has decided.
type FamilyOutcome string

// The outcomes.
const (
	FamilyRotated  FamilyOutcome = "rotated"
	FamilyReplayed FamilyOutcome = "replayed"
	FamilyReused   FamilyOutcome = "reused"
	FamilyOver     FamilyOutcome = "over"
)

// FamilyFilter chooses families. Those match that have every field which is
// set; at least one must be.
type FamilyFilter struct{ Subject, Client string }
