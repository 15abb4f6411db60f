// SPDX-License-Identifier: Apache-2.0

package tool

import "github.com/gatehouse-go/gatehouse"

// EventCall is the type of a decision on the call of a tool. Event.Decision is Allowed
// immediately before the call runs, and otherwise Denied or Unavailable. The attributes
// are tool, class, version, arguments_sha256, subject, actor, tenant and approval. If
// an approval is required, the refusal has its ID.
const EventCall gatehouse.EventType = "tool_call"

// CodeArguments is the code for arguments that do not match the type of the tool.
var CodeArguments = gatehouse.NewCode(400, "invalid_arguments", "The arguments are not those of the tool.")

// The reasons why a call is refused.
const (
	// ReasonUnlisted: the table does not list the tool. Status: 403. Operator: check the name; add the tool to the table.
	ReasonUnlisted gatehouse.Reason = "tool_unlisted"
	// ReasonProof: the class of the tool needs another kind of credential. Status: 403. Operator:
	// check which token the agent uses; treat many such calls as an attack.
	ReasonProof gatehouse.Reason = "tool_proof"
	// ReasonAttestation: the class of the tool needs an attested agent. Status: 403. Operator: attest the agent, or check where it runs.
	ReasonAttestation gatehouse.Reason = "tool_attestation"
	// ReasonBinding: the token is not bound to the key that the class of the tool needs. Status: 401. Operator: have the agent use a client certificate or DPoP.
	ReasonBinding gatehouse.Reason = "tool_binding"
	// ReasonScope: the credential lacks a scope of the tool. Status: 403. Operator: nothing; the
	// agent requests a token with the scopes.
	ReasonScope gatehouse.Reason = "tool_scope"
	// ReasonArguments: the arguments have a duplicate, unknown or missing member, a wrong type, or a number that is not exact as a double. Status: 400. Operator: check the agent.
	ReasonArguments gatehouse.Reason = "tool_arguments"
	// ReasonConstraint: Tool.Check denied the arguments. Status: 403. Operator: see the cause.
	ReasonConstraint gatehouse.Reason = "tool_constraint"
	// ReasonFacts: Config.Facts denied the caller. Status: 403. Operator: see the cause.
	ReasonFacts gatehouse.Reason = "tool_facts"
	// ReasonTenant: the call needs an approval and the caller has no tenant. Status: 403. Operator: give the caller a tenant.
	ReasonTenant gatehouse.Reason = "tool_tenant"
	// ReasonUnavailable: Config.Facts, Tool.Check or the store of approvals failed. Status: 503. Operator: see the cause.
	ReasonUnavailable gatehouse.Reason = "tool_unavailable"
)
