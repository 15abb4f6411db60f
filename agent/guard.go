// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// Guard returns an authenticator that accepts the credentials that inner accepts, with
// additional rules for agents. Wrap every authenticator of the gate.
//
//   - A token is rejected with 401 if the calling agent is unknown, or if the chain has
//     more than 4 actors. It is also rejected if an agent in sub (of the own issuer) or
//     anywhere in act is decommissioned, is of another tenant than the token, or has
//     changed its registration since the token was issued.
//   - An API key whose metadata has a member "agent" is rejected in the same way.
//   - The scopes of the principal are limited to those of the agent that is calling:
//     the current actor, RFC 8693 section 4.1.
//   - For an agent's own token the Kind is [gatehouse.KindAgent]. For any other
//     credential with that Kind, Guard sets it to gatehouse.KindService.
//   - A delegated token has no Roles. If the own [Server] has issued it, the Issuer of
//     the principal is that of the person, so that [gatehouse.Principal.Key] is the
//     same as without an agent, and the Issuer of the actors is the own one.
//
// If the store of the registry is unavailable, the response to a credential of an agent
// is 503. Other credentials are not affected. Guard panics if inner is nil.
func (r *Registry) Guard(inner gatehouse.Authenticator) gatehouse.Authenticator {
	if inner == nil {
		panic("agent: Guard: nil authenticator")
	}
	return guard{inner, r, inner.Reads()}
}

type guard struct {
	gatehouse.Authenticator
	registry *Registry
	reads    gatehouse.Reads
}

// Authenticate implements [gatehouse.Authenticator].
func (g guard) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	proof, err := g.Authenticator.Authenticate(r)
	if err != nil {
		return proof, err
	}
	before := proof.Principal()
	p, refusal := g.registry.complete(r.Context(), before)
	switch {
	case refusal != nil:
		return gatehouse.Proof{}, g.refusal(r, refusal)
	case p == before:
		return proof, nil
	}
	changed := gatehouse.NewProof(&p)
	changed.Header, changed.Tenants = proof.Header, proof.Tenants
	return changed, nil
}

// refusal returns the refusal with the code that inner declares for an invalid credential.
func (g guard) refusal(r *http.Request, e *gatehouse.Error) *gatehouse.Error {
	if e.Code != gatehouse.CodeInvalidToken {
		return e
	}
	refusal := *e
	for _, h := range g.reads.Headers {
		if r.Header.Get(h.Name) != "" && h.Invalid != (gatehouse.Code{}) {
			refusal.Code = h.Invalid
		}
	}
	for _, s := range g.reads.Schemes {
		if _, err := gatehouse.Authorization(r, s.Name); err == nil && s.Invalid != (gatehouse.Code{}) {
			refusal.Code = s.Invalid
		}
	}
	return &refusal
}
