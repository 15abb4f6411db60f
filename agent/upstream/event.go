// SPDX-License-Identifier: Apache-2.0

package upstream

import "github.com/gatehouse-go/gatehouse"

// Events of a [Transport].
const (
	// EventRejected: the upstream rejected the credential with 401.
	EventRejected gatehouse.EventType = "upstream_rejected"
	// EventUnavailable: a call got no response. The cause has the reason, without the
	// address.
	EventUnavailable gatehouse.EventType = "upstream_unavailable"
)

// Events of a [Rotator]. Credential is the ID of the credential.
const (
	// EventCreating: a credential is about to be created.
	EventCreating gatehouse.EventType = "upstream_creating"
	// EventCreated: the provider created the credential.
	EventCreated gatehouse.EventType = "upstream_created"
	// EventActivated: the provider accepts the credential, and calls use it from now on.
	EventActivated gatehouse.EventType = "upstream_activated"
	// EventDrained: the revocation of the credential begins, because no call uses it, the
	// time limit is reached, or it was never activated.
	EventDrained gatehouse.EventType = "upstream_drained"
	// EventRevoked: the provider revoked the credential.
	EventRevoked gatehouse.EventType = "upstream_revoked"
	// EventFailed: a step failed and will be retried. It has [AttrStep].
	EventFailed gatehouse.EventType = "upstream_failed"
	// EventReplacing: the provider rejects the active credential, and its replacement
	// begins.
	EventReplacing gatehouse.EventType = "upstream_replacing"
	// EventDecommissioned: the revocation of all credentials begins.
	EventDecommissioned gatehouse.EventType = "upstream_decommissioned"
)

// EventMemoryStore reports that [NewRotator] was called with a [Memory]. Use it in tests
// only: when it is lost, its credentials are never revoked.
const EventMemoryStore gatehouse.EventType = "upstream_memory_store"

// Attributes of the events.
const (
	// AttrUpstream is the name of the upstream.
	AttrUpstream = "upstream"
	// AttrStep is the step that failed: "load", "create", "probe" or "revoke".
	AttrStep = "step"
)
