// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"time"
)

// The errors of a [Store] and of a [Registry].
var (
	// ErrNotFound: there is no such agent, or it belongs to another tenant.
	ErrNotFound = errors.New("agent not found")
	// ErrConflict: the ID belongs to an agent of another tenant.
	ErrConflict = errors.New("agent ID belongs to another tenant")
	// ErrDecommissioned: the agent is decommissioned. Its ID cannot be used again.
	ErrDecommissioned = errors.New("agent is decommissioned")
)

// ErrInvalid is the error of [Registry.Register] for a [Registration] that is invalid. A
// retry cannot succeed. Any other error of the store is a [*gatehouse.Error]:
// [gatehouse.Refuse] writes 503 for it.
var ErrInvalid = errors.New("invalid registration")

// invalid is an error that is also an [ErrInvalid], with the same text.
type invalid struct{ error }

func (invalid) Is(target error) bool { return target == ErrInvalid }
func (i invalid) Unwrap() error      { return i.error }

// Store keeps agents. [Memory] is an implementation for one process; the store module
// has others. The tests in package agenttest are the contract that every
// implementation must pass.
//
//   - Methods are safe for concurrent use by several processes. Each one is atomic. A
//     change is durable and visible to every reader before the method returns.
//   - One clock, that of the database engine if it has one, yields the current time
//     ("now"). Times have microsecond precision and are returned in UTC.
//   - Records are copied in and out, and are never removed.
//   - Every error except those of this package means that the store is unavailable. If
//     the context is already done, a method changes nothing and returns an error.
//     Implementations limit the duration of a call.
//   - Strings and Details are stored and compared byte by byte.
type Store interface {
	// Register adds a record with Generation 1, Created and Changed now. If the ID
	// exists, the first case that applies decides:
	//
	//   - [ErrConflict], if Tenant differs. No change.
	//   - [ErrDecommissioned], if Decommissioned is set. No change.
	//   - No change, if Details are the same.
	//   - Otherwise Details are replaced, Changed is set to now, and Generation grows
	//     by 1.
	//
	// Register returns the record after the change.
	Register(ctx context.Context, id, tenant string, details []byte) (Record, error)

	// Find returns a record, also if it is decommissioned, or [ErrNotFound].
	Find(ctx context.Context, id string) (Record, error)

	// Decommission sets Decommissioned and Changed to now and lets Generation grow by
	// 1. If Decommissioned is set already, nothing changes. It returns the record
	// after the change, or [ErrNotFound] if there is none with this ID and Tenant.
	Decommission(ctx context.Context, tenant, id string) (Record, error)

	// List returns at most limit records of a tenant, also decommissioned ones, whose
	// ID is greater than after, ordered by ID byte by byte.
	List(ctx context.Context, tenant, after string, limit int) ([]Record, error)
}

// Record is a stored agent.
type Record struct {
	ID, Tenant string
	Details    []byte // the other fields of the agent, as the registry encodes them
	Generation int64

	Created, Changed, Decommissioned time.Time
}
