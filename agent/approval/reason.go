// SPDX-License-Identifier: Apache-2.0

package approval

import "github.com/gatehouse-go/gatehouse"

// Types of events. Event.Credential is empty; the attributes are approval (its ID),
// tool, arguments_sha256, subject, actor, tenant, and for a decision approve, the
// status after it and reason_sha256. Event.Principal is the decider.
const (
	// EventRequested: an approval was requested.
	EventRequested gatehouse.EventType = "approval_requested"
	// EventDecided: a person approved or denied, or tried to and was refused.
	EventDecided gatehouse.EventType = "approval_decided"
	// EventClaimed: an approval was claimed: the call is about to be dispatched.
	EventClaimed gatehouse.EventType = "approval_claimed"
	// EventHookFailed: Config.Requested or Config.Decided returned an error.
	EventHookFailed gatehouse.EventType = "approval_hook_failed"
	// EventMemoryStore: [New] was called with a [Memory]. Use it in development only: its
	// approvals exist in one process, and are lost when the process ends.
	EventMemoryStore gatehouse.EventType = "approval_memory_store"
)

// The error codes of this package.
var (
	// CodeRequired: the call needs an approval, see [RequiredError].
	CodeRequired = gatehouse.NewCode(403, "approval_required", "A person must approve this call.")
	// CodeTooMany: too many approvals of the caller wait for a decision.
	CodeTooMany = gatehouse.NewCode(429, "too_many_approvals", "Too many calls of this caller wait for approval.")
	// CodeNotFound: the caller's tenant has no such approval.
	CodeNotFound = gatehouse.NewCode(404, "not_found", "There is no such approval.")
	// CodeEnded: the approval is decided, used or expired, or the caller has decided.
	CodeEnded = gatehouse.NewCode(409, "approval_ended", "The approval is decided, used or expired, or you have decided already.")
	// CodeMethod: the resource has no such method.
	CodeMethod = gatehouse.NewCode(405, "method_not_allowed", "The resource does not support this method.")
	// CodeMalformed: the body of the request is not a decision.
	CodeMalformed = gatehouse.NewCode(400, "invalid_request", "The request must be a decision: approve or deny, and a reason.")
)

// The reasons why a request is refused.
const (
	// ReasonRequired: the call needs an approval that it does not have. Status: 403. Operator:
	// nothing; a person decides.
	ReasonRequired gatehouse.Reason = "approval_required"
	// ReasonDenied: an approval of the same call was denied and has not expired. Status: 403. Operator: nothing, unless the agent repeats the call.
	ReasonDenied gatehouse.Reason = "approval_denied"
	// ReasonTooMany: the approvals of the actor that wait for a decision have reached Config.MaxPending or MaxPendingBytes. Status: 429. Operator: check the agent, which requests more approvals than people decide on.
	ReasonTooMany gatehouse.Reason = "approval_too_many"
	// ReasonCall: the call cannot be approved: a field is missing, too long or not canonical. Status: 400. Operator: see the cause; check the tool and the client.
	ReasonCall gatehouse.Reason = "approval_call"
	// ReasonNotFound: the tenant of the caller has no such approval. Status: 404. Operator: nothing, unless a caller guesses.
	ReasonNotFound gatehouse.Reason = "approval_not_found"
	// ReasonNotEntitled: the caller may not decide: it is an agent, has a delegated token, is the caller of the tool itself, or lacks the role. Status: 403. Operator: treat attempts of agents as attacks.
	ReasonNotEntitled gatehouse.Reason = "approval_not_entitled"
	// ReasonEnded: the approval is decided, used or expired, or this person has already decided. Status: 409. Operator: nothing.
	ReasonEnded gatehouse.Reason = "approval_ended"
	// ReasonMalformed: the request is not a decision in JSON or from the form. Status: 400, 405. Operator: check the client.
	ReasonMalformed gatehouse.Reason = "approval_malformed"
	// ReasonCrossSite: a page of another origin caused the request. Status: 403. Operator: treat it as an attack, or check Config.URL and the Host header that a proxy sends.
	ReasonCrossSite gatehouse.Reason = "approval_cross_site"
	// ReasonUnavailable: the store failed. Status: 503. Operator: check the store.
	ReasonUnavailable gatehouse.Reason = "approval_unavailable"
)
