// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"net/netip"
	"slices"

	"github.com/gatehouse-go/gatehouse"
)

// EventType is what has happened to a key.
type EventType string

// Changes.
const (
	EventCreated   EventType = "created"
	EventRotated   EventType = "rotated"
	EventRevoked   EventType = "revoked"
	EventSuspended EventType = "suspended"
	EventResumed   EventType = "resumed"
	// EventLeaked: the key was reported by [Keys.RevokeLeaked]. Where it was
	// revoked for it, EventRevoked comes first.
	EventLeaked EventType = "leaked"
)

// What [Thresholds] are set for.
const (
	// EventNewNetwork: a key is used from a network that it was not used from
	// before.
	EventNewNetwork EventType = "new_network"
	// EventBurst: a key is used much more than it mostly is.
	EventBurst EventType = "burst"
	// EventUsedAfterRevocation: the right secret of a revoked key.
	EventUsedAfterRevocation EventType = "used_after_revocation"
	// EventFailures: many keys were refused that came from one network.
	EventFailures EventType = "failures"
)

// Event is something that has happened to a key. Nothing in it is secret.
type Event struct {
	Type EventType

	// Key is the key after the change, zero for [EventFailures].
	Key Key

	// Network is where the request came from, as a /24 of IPv4 or a /48 of
	// IPv6; zero if that cannot be told, and for changes. For [EventFailures]
	// it is a /32 or a /64.
	Network netip.Prefix

	// Count is the number of requests in the current minute, for [EventBurst]
	// and [EventFailures].
	Count int
}

func (k *Keys) emit(ctx context.Context, e Event) error {
	if k.events == nil {
		return nil
	}
	e.Key.Networks = slices.Clone(e.Key.Networks) // the cache may share it
	return k.events(ctx, e)
}

// unrecorded is the refusal where the application did not take an event.
func unrecorded(id string, err error) error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonObserverFailed, Credential: id, Cause: err,
	}
}
