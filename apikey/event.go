// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"net/netip"
	"slices"

	"github.com/gatehouse-go/gatehouse"
)

// EventType is the type of an [Event].
type EventType string

// Changes of keys.
const (
	EventCreated   EventType = "created"
	EventRotated   EventType = "rotated"
	EventRevoked   EventType = "revoked"
	EventSuspended EventType = "suspended"
	EventResumed   EventType = "resumed"
	// EventLeaked: the key was reported to [Keys.RevokeLeaked]. If that revoked
	// it, EventRevoked comes first.
	EventLeaked EventType = "leaked"
)

// Events of [Thresholds].
const (
	// EventNewNetwork: a key is used from a new network.
	EventNewNetwork EventType = "new_network"
	// EventBurst: a key is used much more often than on average.
	EventBurst EventType = "burst"
	// EventUsedAfterRevocation: a revoked key is used, with a valid secret.
	EventUsedAfterRevocation EventType = "used_after_revocation"
	// EventFailures: many keys from one network were rejected.
	EventFailures EventType = "failures"
)

// Event is a change of a key or an event of [Thresholds]. It contains no secret.
type Event struct {
	Type EventType

	// Key is the key after the change, zero for [EventFailures].
	Key Key

	// Network is the network of the client: a /24 of IPv4 or a /48 of IPv6, for
	// [EventFailures] a /32 or a /64. It is zero if the address of the client is
	// unknown, and for changes.
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

// report emits the events of a request. It returns the error of the request.
func (k *Keys) report(ctx context.Context, id string, events ...Event) error {
	for _, e := range events {
		if err := k.emit(ctx, e); err != nil {
			return &gatehouse.Error{
				Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonObserverFailed, Credential: id, Cause: err,
			}
		}
	}
	return nil
}
