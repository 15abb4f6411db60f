// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// The errors of this package that callers distinguish.
var (
	// ErrNotFound means that the tenant has no such approval, or that its record was
	// removed after it expired.
	ErrNotFound = errors.New("approval not found")
	// ErrTooMany means that too many approvals of the actor wait for a decision.
	ErrTooMany = errors.New("approval: too many approvals wait for a decision")
)

// Store keeps approvals. [Memory] is an implementation for one process; the store
// module has others. The tests in package approvaltest are the contract that every
// implementation must pass.
//
//   - Methods are safe for concurrent use by several processes. Each one is
//     atomic: it checks its conditions and makes its change in one step. The
//     change is durable and visible to every reader before the method returns.
//   - One clock, that of the database engine if it has one, yields the current
//     time ("now") and all times derived from it. Times have microsecond
//     precision and are returned in UTC.
//   - Approvals are copied in and out. Returned ones have AsOf set.
//   - Every error other than [ErrNotFound] and [ErrTooMany] means that the store is
//     unavailable. If the context is already done, a method changes nothing and
//     returns an error. Implementations limit the duration of a call.
//   - A record is removed some time after Expires and never before. Methods then
//     return ErrNotFound.
//   - Strings are stored and compared byte by byte. Comments and arguments can
//     contain any character of UTF-8.
//   - An approval of another tenant is not found.
//
// An approval is open if it is pending or approved and has not expired; see
// [Approval.Status].
type Store interface {
	// Request returns the open approval with the digest of a, if there is one. If there
	// is none and again is false, it returns a denied approval with the digest that has
	// not expired. If there is neither, it adds an approval with the ID, Call and Rule
	// of a: Created is now, Expires is now + Limits.Lifetime, the other fields are
	// zero, and added is true. It returns ErrTooMany instead if the limits of a.Tenant
	// and a.Actor are reached; concurrent calls can exceed the limits by their number.
	// If the ID exists, Request returns an error.
	Request(ctx context.Context, a Approval, limits Limits, again bool) (_ Approval, added bool, _ error)

	// Find returns an approval of any status.
	Find(ctx context.Context, tenant, id string) (Approval, error)

	// Decide appends d, with the Time now, if the approval is pending and d.Decider has
	// not decided, and reports whether it has done so. It returns the approval after
	// the change.
	Decide(ctx context.Context, tenant, id string, d Decision) (_ Approval, decided bool, _ error)

	// Claim sets Used to now in the approval of digest that is approved and has not
	// expired. Of several calls exactly one succeeds. If there is none, it returns
	// ErrNotFound.
	Claim(ctx context.Context, tenant string, digest Digest) (Approval, error)

	// List returns the first of the approvals that are pending and for which
	// [Filter.Matches] is true, at most limit. Arguments of more than maxBytes are left out:
	// they are empty. The order is by turns of the actors, so that an actor with many
	// approvals cannot hide those of another: the latest approval of each Actor, then
	// the second latest of each, and so on. Within a turn the order is by Created, the
	// latest first, and then by ID.
	List(ctx context.Context, f Filter, limit, maxBytes int) ([]Approval, error)
}

// Limits are the limits of Request.
type Limits struct {
	Lifetime time.Duration // of the approval
	Pending  int           // approvals of the tenant and the actor that are pending, with the new one
	Bytes    int           // of their Arguments together
}

// Filter selects the approvals that one person may decide on.
type Filter struct {
	Tenant  string
	Decider gatehouse.Key
	Roles   gatehouse.Roles
}

// Matches reports whether the person may decide on a: a has the same Tenant, and
// Decider has not decided. With Consent, Decider must be the Subject; otherwise Decider
// must have one of the Roles and be neither Subject nor Actor.
func (f Filter) Matches(a Approval) bool { return f.entitled(a) && !a.Decided(f.Decider) }

func (f Filter) entitled(a Approval) bool {
	switch {
	case f.Tenant != a.Tenant:
		return false
	case a.Consent:
		return f.Decider == a.Subject
	case f.Decider == a.Subject || f.Decider == a.Actor:
		return false
	}
	for role := range a.Roles.All() {
		if f.Roles.Has(role) {
			return true
		}
	}
	return false
}
