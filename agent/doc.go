// SPDX-License-Identifier: Apache-2.0

// Package agent has what an API needs to serve AI agents: a registry of agents, the
// authorization server that issues their tokens, and the checks of the resource
// server that accepts them.
//
// A [Registry] knows the agents: tenant, owner, roles, public keys. [Registry.Guard]
// wraps each authenticator of the gate: it rejects a credential if an agent that takes
// part in it is decommissioned, unknown or of another tenant, and limits the scopes of
// a delegated token to those of the acting agent. [Registry.Caller] tells a policy
// which agent is calling and for which person.
//
// A [Server] is the token endpoint. An agent authenticates with a signed assertion
// (RFC 7523), a JWT-SVID or a client certificate, and gets an access token of its own,
// or exchanges the token of a person for a delegated one (RFC 8693). Authority only
// shrinks on the way: a delegated token has the scopes that the person and each agent
// of the chain have, expires no later than the token that it was exchanged for, and
// has the same tenant.
//
// # Choices that the standards leave open
//
//   - The actor of an exchange is the authenticated client. actor_token is refused.
//   - The subject of an exchange is a person, or a person with a chain of agents: an
//     agent's own token cannot be exchanged.
//   - Roles are not delegated, only scopes are.
//   - Nested actors of a chain are history, RFC 8693 section 4.1: they add nothing to
//     the authority. But a chain with an agent that is decommissioned is rejected,
//     wherever it is in the chain.
//   - authorization_details, RFC 9396, are refused in requests and in subject tokens.
//   - may_act is obeyed, and kept in the delegated token.
package agent
