// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"time"
)

// RevocationStore keeps what was revoked. [MemoryRevocations] is one for a
// single process; the modules under store have others. The package jwtauthtest
// holds the contract as tests, which every implementation must pass.
//
//   - All methods are safe for concurrent use, by several processes too. What
//     was revoked is durable and visible to every reader, wherever it is,
//     before Revoke returns.
//   - Time is the store's: what is now, and every time that follows from it,
//     comes from one clock, that of the engine where it has one. Times are
//     kept to the microsecond and returned in UTC.
//   - Every error means that the store cannot tell now. A method whose context
//     is over before it begins changes nothing and returns an error. An
//     implementation bounds how long a call may take.
//   - Strings are UTF-8 without control characters and compare byte by byte.
type RevocationStore interface {
	// Revoke notes that r is revoked now, and keeps that for lifetime, or for
	// longer if it has been told to before. The time of an earlier revocation of
	// the same r gives way to now. What was kept for its lifetime counts no more
	// and is removed some time afterwards.
	Revoke(ctx context.Context, r Revocation, lifetime time.Duration) error

	// Find returns, for each of its arguments, when it was last revoked, zero
	// if it is not. It is asked in every request, so it is one question to the
	// engine.
	Find(ctx context.Context, rs []Revocation) ([]time.Time, error)
}

// Revocation names what is revoked: of the tokens of one issuer, the one or
// those whose claim of this kind is Value.
type Revocation struct {
	Kind   RevocationKind
	Issuer string
	Value  string
}

// RevocationKind is a claim by which tokens are revoked.
type RevocationKind string

// The kinds.
const (
	RevokedToken   RevocationKind = "jti"
	RevokedSubject RevocationKind = "sub"
	RevokedClient  RevocationKind = "client_id"
	RevokedFamily  RevocationKind = "sid"
)
