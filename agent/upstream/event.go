// SPDX-License-Identifier: Apache-2.0

package upstream

import "github.com/gatehouse-go/gatehouse"

// Events of a [Transport].
const (
	// EventRejected: the upstream answered 401 to the credential.
	EventRejected gatehouse.EventType = "upstream_rejected"
	// EventUnavailable: a call got no response. The cause says why, without the
	// address.
	EventUnavailable gatehouse.EventType = "upstream_unavailable"
)

// Events of a [Rotator]. Credential is the ID of the credential.
const (
	// EventCreating: a credential is about to be created.
	EventCreating gatehouse.EventType = "upstream_creating"
	// EventCreated: the provider created the credential.
	EventCreated gatehouse.EventType = "upstream_created"
	// EventActivated: the provider accepts the credential, and it is used from now on.
	EventActivated gatehouse.EventType = "upstream_activated"
	// EventDrained: the credential is to be revoked now, because no call uses it, the
	// time limit is reached, or it was never activated.
	EventDrained gatehouse.EventType = "upstream_drained"
	// EventRevoked: the provider revoked the credential.
	EventRevoked gatehouse.EventType = "upstream_revoked"
	// EventFailed: a step failed and will be tried again. It has [AttrStep].
	EventFailed gatehouse.EventType = "upstream_failed"
	// EventReplacing: the provider rejects the active credential, which is then
	// replaced.
	EventReplacing gatehouse.EventType = "upstream_replacing"
	// EventDecommissioned: all credentials are to be revoked.
	EventDecommissioned gatehouse.EventType = "upstream_decommissioned"
)

// EventMemoryStore reports that [NewRotator] was called with a [Memory]. It is for
// tests: a credential that it forgets is never revoked.
const EventMemoryStore gatehouse.EventType = "upstream_memory_store"

// Attributes of the events.
const (
	// AttrUpstream is the name of the upstream.
	AttrUpstream = "upstream"
	// AttrStep is the step that failed: "load", "create", "probe" or "revoke".
	AttrStep = "step"
)
