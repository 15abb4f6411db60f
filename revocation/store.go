// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"time"
)

// Store keeps revocations. [Memory] is an implementation for one process; the
// store module has others. The tests in package revocationtest are the contract
// that every implementation must pass.
//
//   - Methods are safe for concurrent use by several processes. A revocation is
//     durable and visible to every reader before Revoke returns.
//   - One clock, that of the database engine if it has one, yields the current
//     time ("now") and all times derived from it. Times have microsecond
//     precision and are returned in UTC.
//   - Every error means that the store is unavailable. If the context is
//     already done, a method changes nothing and returns an error.
//     Implementations limit the duration of a call.
//   - Strings are compared byte by byte.
type Store interface {
	// Revoke records that target is revoked now, replacing the time of an earlier
	// revocation. The record is kept for lifetime, or until the end of an earlier
	// record of target, whichever is later. After that it has no effect and is
	// eventually removed.
	Revoke(ctx context.Context, target Target, lifetime time.Duration) error

	// Find returns the time of the last revocation of each target, in the same
	// order, and the zero time for targets that are not revoked. It is called for
	// every request with a token, so it should make only one query.
	Find(ctx context.Context, targets []Target) ([]time.Time, error)
}

// Target selects the tokens of Issuer whose claim Kind has the value Value.
type Target struct {
	Kind   Kind
	Issuer string
	Value  string
}

// Kind is the claim by which tokens are revoked.
type Kind string

// Kinds of [Target].
const (
	Token   Kind = "jti"
	Subject Kind = "sub"
	Client  Kind = "client_id"
	Family  Kind = "sid"
)
