// SPDX-License-Identifier: Apache-2.0

// Package agent lets an API serve AI agents. It has a registry of agents, an
// authorization server that issues their tokens, and the checks for the resource server
// that accepts the tokens.
//
// A [Registry] keeps the agents with their tenant, owner, roles and public keys.
// [Registry.Guard] wraps each authenticator of the gate: it rejects a credential if an
// agent that takes part in it is decommissioned, unknown or of another tenant, and limits
// the scopes of a delegated token to those of the acting agent. [Registry.Caller]
// returns, for a policy, the agent that calls and the person for whom it calls.
//
// A [Server] is the token endpoint. An agent authenticates with a signed assertion (RFC
// 7523), a JWT-SVID or a client certificate, and gets an access token of its own, or
// exchanges the token of a person for a delegated one (RFC 8693). Delegation never adds
// authority: a delegated token has only the scopes that the person and each agent of the
// chain have. It has the tenant of the exchanged token, and expires no later.
//
// # Choices that the standards leave open
//
//   - The actor of an exchange is the authenticated client. actor_token is refused.
//   - The subject of an exchange is a person, or a person with a chain of agents: an
//     agent's own token cannot be exchanged.
//   - Roles are not delegated, only scopes are.
//   - Nested actors of a chain are history, RFC 8693 section 4.1: they add no authority.
//     But a chain with a decommissioned agent at any position is rejected.
//   - authorization_details, RFC 9396, are refused in requests and in subject tokens.
//   - may_act is enforced, and copied to the delegated token.
package agent
