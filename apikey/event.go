// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/gatehouse-go/gatehouse"
)

// Changes of keys. Credential is the ID of the key; [Keys.Describe] returns the
// key. Principal is the caller that the context carries, see
// [gatehouse.FromContext].
const (
	EventCreated   gatehouse.EventType = "apikey_created"
	EventRotated   gatehouse.EventType = "apikey_rotated"
	EventRevoked   gatehouse.EventType = "apikey_revoked"
	EventSuspended gatehouse.EventType = "apikey_suspended"
	EventResumed   gatehouse.EventType = "apikey_resumed"
	EventDeleted   gatehouse.EventType = "apikey_deleted"
	// EventLeaked: the key was reported to [Keys.RevokeLeaked]. If that revoked
	// it, EventRevoked comes first.
	EventLeaked gatehouse.EventType = "apikey_leaked"
)

// EventMemoryStore reports that [New] was called with a [Memory]. Use it in development only:
// its keys and revocations exist in one process, and are lost when the process ends.
const EventMemoryStore gatehouse.EventType = "apikey_memory_store"

// Events of [Thresholds].
const (
	// EventNewNetwork: a key is used from a new network. It has [AttrNetwork].
	EventNewNetwork gatehouse.EventType = "apikey_new_network"
	// EventBurst: a key is used much more often than on average. It has
	// [AttrNetwork] and [AttrCount].
	EventBurst gatehouse.EventType = "apikey_burst"
	// EventUsedAfterRevocation: a revoked key is used, with a valid secret. It
	// has [AttrNetwork].
	EventUsedAfterRevocation gatehouse.EventType = "apikey_used_after_revocation"
	// EventFailures: many keys from one network were rejected. It has
	// [AttrNetwork], [AttrCount] and no Credential.
	EventFailures gatehouse.EventType = "apikey_failures"
)

// Attributes of the events of [Thresholds].
const (
	// AttrNetwork is the network of the client: a /24 of IPv4 or a /48 of IPv6,
	// for [EventFailures] a /32 or a /64. Absent if the address is unknown.
	AttrNetwork = "network"
	// AttrCount is the number of requests in the current minute.
	AttrCount = "count"
)

// emit reports a change of a key.
func (k *Keys) emit(ctx context.Context, t gatehouse.EventType, id string) error {
	if k.observer == nil {
		return nil
	}
	level := slog.LevelInfo
	if t == EventLeaked {
		level = slog.LevelWarn
	}
	actor, _ := gatehouse.FromContext(ctx)
	return gatehouse.Report(ctx, k.observer, gatehouse.Event{
		Type: t, Level: level, Principal: actor, Issuer: k.issuer, Credential: id,
	})
}

// signal is an event of a threshold.
type signal struct {
	event   gatehouse.EventType
	network netip.Prefix
	count   int // 0 for none
	minute  int64
}

func (k *Keys) report(ctx context.Context, id string, s signal) error {
	if k.observer == nil {
		return nil
	}
	if s.event == EventFailures {
		id = ""
	}
	var attrs []slog.Attr
	if s.network.IsValid() {
		attrs = append(attrs, slog.String(AttrNetwork, s.network.String()))
	}
	if s.count > 0 {
		attrs = append(attrs, slog.Int(AttrCount, s.count))
	}
	return gatehouse.Report(ctx, k.observer, gatehouse.Event{
		Type: s.event, Level: slog.LevelWarn, Issuer: k.issuer, Credential: id, Attrs: attrs,
	})
}
