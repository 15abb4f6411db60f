// SPDX-License-Identifier: Apache-2.0

package agent

import "github.com/gatehouse-go/gatehouse"

// The codes of the token endpoint: RFC 6749 section 5.2, RFC 8707 section 2, RFC 9396
// section 5, RFC 9449 section 5.
var (
	codeInvalidRequest       = gatehouse.NewCode(400, "invalid_request", "The request is malformed, repeats a parameter, lacks a required one, or has a token that is invalid.")
	codeInvalidClient        = gatehouse.NewCode(401, "invalid_client", "The client is unknown, or its authentication is missing or failed.")
	codeUnsupportedGrantType = gatehouse.NewCode(400, "unsupported_grant_type", "The grant type is not supported.")
	codeInvalidScope         = gatehouse.NewCode(400, "invalid_scope", "The requested scope is malformed or exceeds what may be granted.")
	codeInvalidTarget        = gatehouse.NewCode(400, "invalid_target", "The requested resource or audience is unknown.")
	codeInvalidDetails       = gatehouse.NewCode(400, "invalid_authorization_details", "Authorization details are not supported.")
	codeInvalidProof         = gatehouse.NewCode(400, "invalid_dpop_proof", "The DPoP proof is invalid.")
	codeUseNonce             = gatehouse.NewCode(400, "use_dpop_nonce", "The DPoP proof requires a nonce of this server.")

	codeNotFound = gatehouse.NewCode(404, "not_found", "There is no such agent.")
)

// The events. Principal is the caller, if there is one; the attributes name the agent.
const (
	// EventRegistered: an agent was registered, or its registration has changed.
	EventRegistered gatehouse.EventType = "agent_registered"
	// EventDecommissioned: an agent was decommissioned.
	EventDecommissioned gatehouse.EventType = "agent_decommissioned"
	// EventMinted: an agent got a token of its own. Credential is its jti.
	EventMinted gatehouse.EventType = "agent_token_minted"
	// EventExchanged: an agent got a delegated token. Credential is its jti.
	EventExchanged gatehouse.EventType = "agent_token_exchanged"
	// EventMemoryStore: [New] was called with a [Memory]. Use it in development only: its
	// agents exist in one process.
	EventMemoryStore gatehouse.EventType = "agent_memory_store"
)

// The attributes of the events.
const (
	AttrAgent      = "agent"
	AttrTenant     = "agent_tenant"
	AttrGeneration = "agent_generation"
	AttrParent     = "parent_credential" // the jti of the token that was exchanged
)

// The reasons of the resource server for rejecting a credential of an agent.
const (
	// ReasonUnknown: an agent of the token or of the API key is not in the registry, or the actor belongs to another issuer. Status: 401, 403. Operator: register the agent; otherwise treat it as an attack by the issuer of the token.
	ReasonUnknown gatehouse.Reason = "agent_unknown"
	// ReasonDecommissioned: an agent of the token or of the API key, or the client of a token request, is decommissioned. Status: 401, 403. Operator: nothing; find out who still runs the agent.
	ReasonDecommissioned gatehouse.Reason = "agent_decommissioned"
	// ReasonGeneration: the registration of an agent has changed since the token was issued. Status: 401. Operator: nothing; the agent requests a new token.
	ReasonGeneration gatehouse.Reason = "agent_generation"
	// ReasonTenant: an agent is of another tenant than the token or the API key, or the token or key has no tenant. Status: 401, 403. Operator: treat it as an attack unless the issuer has the wrong tenant.
	ReasonTenant gatehouse.Reason = "agent_tenant"
	// ReasonChain: the delegation chain has more than 4 actors. Status: 401. Operator: let the agents delegate less deeply.
	ReasonChain gatehouse.Reason = "agent_chain"
	// ReasonToken: a token of the own issuer is neither an agent's own token nor a delegated one, or lacks a claim. Status: 401. Operator: check which programs have the signing key.
	ReasonToken gatehouse.Reason = "agent_token"
	// ReasonRole: the registry has an agent with a role that Config.Roles lacks. Status: 503. Operator: add the role on every server, or register the agent again.
	ReasonRole gatehouse.Reason = "agent_role"
	// ReasonStoreUnavailable: the store of the agents or of used credentials failed. Status: 503. Operator: check the database that the cause names.
	ReasonStoreUnavailable gatehouse.Reason = "agent_store_unavailable"
)

// The reasons of the token endpoint and of the decommission endpoint.
const (
	// ReasonRequest: the request is malformed or has a parameter that is not supported. Status: 400. Operator: see the cause.
	ReasonRequest gatehouse.Reason = "agent_request"
	// ReasonClient: the client is unknown or fails to authenticate. Status: 401. Operator: see the cause; check the registered keys.
	ReasonClient gatehouse.Reason = "agent_client"
	// ReasonAttestation: the evidence of the attestation is missing or invalid. Status: 401. Operator: see the cause; treat it as an attack unless the sandbox has changed.
	ReasonAttestation gatehouse.Reason = "agent_attestation"
	// ReasonScope: the agent asks for more scopes than it has, or the exchange leaves none. Status: 400. Operator: check the roles of the agent and the scopes of the person.
	ReasonScope gatehouse.Reason = "agent_scope"
	// ReasonTarget: resource or audience is not that of this server. Status: 400. Operator: correct the configuration of the client.
	ReasonTarget gatehouse.Reason = "agent_target"
	// ReasonSubject: the subject token is invalid, expired or not of a person, or its tenant is missing or not that of the agent. Status: 400. Operator: see the cause.
	ReasonSubject gatehouse.Reason = "agent_subject"
	// ReasonMayAct: the may_act claim of the subject token does not name the agent. Status: 400. Operator: treat it as an attack unless the issuer should name the agent.
	ReasonMayAct gatehouse.Reason = "agent_may_act"
	// ReasonDetails: the request or the subject token has authorization_details. Status: 400. Operator: have the issuer use scopes for this API.
	ReasonDetails gatehouse.Reason = "agent_details"
	// ReasonDepth: the new chain would have more than 4 actors. Status: 400. Operator: let the agents delegate less deeply.
	ReasonDepth gatehouse.Reason = "agent_depth"
	// ReasonConfirmation: the subject token is sender-constrained and the request proves no key. Status: 400. Operator: have the agent send a DPoP proof, or use mutual TLS.
	ReasonConfirmation gatehouse.Reason = "agent_confirmation"
	// ReasonProof: the DPoP proof or the client certificate is invalid. Status: 400. Operator: see the cause.
	ReasonProof gatehouse.Reason = "agent_proof"
	// ReasonSigning: the token could not be signed. Status: 503. Operator: see the cause.
	ReasonSigning gatehouse.Reason = "agent_signing"
	// ReasonNotEntitled: the caller of the decommission endpoint is not a user with the role, or acts through an agent. Status: 403. Operator: nothing, unless the user should have the role.
	ReasonNotEntitled gatehouse.Reason = "agent_not_entitled"
	// ReasonCrossSite: a page of another origin caused the request to the decommission endpoint. Status: 403. Operator: treat it as an attack.
	ReasonCrossSite gatehouse.Reason = "agent_cross_site"
	// ReasonNotFound: no agent of the caller's tenant has the ID. Status: 404. Operator: nothing.
	ReasonNotFound gatehouse.Reason = "agent_not_found"
)
