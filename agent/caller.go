// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Caller identifies the agent that takes part in a request, and its authority.
type Caller struct {
	// Agent is the agent that calls: the subject of its own token, the current actor of a
	// delegated token, or the agent to which an API key belongs. Its ID is "" if no agent
	// takes part.
	Agent Agent

	// Own is true if the agent calls with a token of its own. Delegated is true if it
	// calls on behalf of Subject. Both are false for an API key, and without an agent.
	Own, Delegated bool

	// Subject is the person on whose behalf an agent calls, with the issuer that
	// authenticated the person. Without delegation it is the caller.
	Subject gatehouse.Key

	// Attestation is the name, in Config.Attestations, of the attestation for this
	// token, "" for none. Only an agent's own token has one.
	Attestation string
}

// Caller returns the agent that takes part in the request of p, for a policy. An
// authenticator of [Registry.Guard] must have accepted p. Caller checks all agents of p
// again, so it can also check a long request. The error is a [*gatehouse.Error]: the
// refusal, or 503 if the store is unavailable.
//
// Without Guard, no caller counts as an agent with its own token.
func (r *Registry) Caller(ctx context.Context, p gatehouse.Principal) (Caller, error) {
	c, _, err := r.resolve(ctx, p, p.Kind == gatehouse.KindAgent)
	if err != nil {
		return Caller{}, err
	}
	return c, nil
}

// resolve checks every agent that takes part in p. It returns the caller and the entry of
// the agent that calls, nil if there is none. own is true if p has an agent's own token
// from this server; otherwise the actors of the chain are checked.
func (r *Registry) resolve(ctx context.Context, p gatehouse.Principal, own bool) (Caller, *entry, *gatehouse.Error) {
	caller := Caller{Subject: p.Key()}
	key := p.Method == methodKey
	if !own && !key && p.Actors.Len() == 0 {
		return caller, nil, nil
	}
	f, err := readFacts(p.Claims)
	if err != nil {
		return Caller{}, nil, reject(p, ReasonToken, err)
	}
	var ids []string
	switch {
	case key && !f.hasAgent:
		return caller, nil, nil
	case key:
		ids = []string{f.agent}
	case own:
		ids, caller.Own, caller.Attestation = []string{p.Subject}, true, f.attestation
	default:
		caller.Delegated = true
		for actor := range p.Actors.All() {
			id := actor.Subject
			if actor.Issuer != "" && actor.Issuer != r.config.Issuer && actor.Issuer != p.Issuer {
				id = "" // unknown, whatever its name
			}
			ids = append(ids, id)
		}
		if len(ids) > maxActors {
			return Caller{}, nil, reject(p, ReasonChain, fmt.Errorf("agent: the chain has %d actors, at most %d are accepted", len(ids), maxActors))
		}
	}
	var current *entry
	for n, id := range ids {
		e, err := r.lookup(ctx, id)
		if err != nil {
			return Caller{}, nil, asError(err)
		}
		// RFC 8693 section 4.1: prior actors are history, and another issuer may have its
		// own. But one that is in this registry must be active.
		if n > 0 && !e.exists() && f.generationOf(n) == 0 {
			continue
		}
		if refusal := checkAgent(p, e, f.generationOf(n)); refusal != nil {
			return Caller{}, nil, refusal
		}
		if current == nil {
			current = e
		}
	}
	caller.Agent = current.agent.clone()
	return caller, current, nil
}

// checkAgent checks one agent that takes part in p. generation is the generation in the
// token, 0 if the token has none.
func checkAgent(p gatehouse.Principal, e *entry, generation int64) *gatehouse.Error {
	a := &e.agent
	refusal := func(reason gatehouse.Reason, cause string) *gatehouse.Error {
		return reject(p, reason, fmt.Errorf("agent: %.64q %s", a.ID, cause))
	}
	switch {
	case !e.exists():
		return reject(p, ReasonUnknown, errors.New("agent: an agent of the request is not in the registry"))
	case !a.Active():
		return refusal(ReasonDecommissioned, "is decommissioned")
	case a.Tenant != p.Tenant:
		return refusal(ReasonTenant, "is of another tenant than the credential")
	case generation != 0 && generation != a.Generation:
		return refusal(ReasonGeneration, "has changed its registration since the token was issued")
	}
	return nil
}

func reject(p gatehouse.Principal, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reason, Issuer: p.Issuer, Credential: p.Credential, Cause: cause}
}

// asError converts the error of a function that returns only a *gatehouse.Error.
func asError(err error) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	return unavailable(ReasonStoreUnavailable, err)
}

// complete returns a principal that a token or a key of an agent has authenticated, with
// the changes that [Registry.Guard] describes.
func (r *Registry) complete(ctx context.Context, p gatehouse.Principal) (gatehouse.Principal, *gatehouse.Error) {
	minted := p.Method == jwtauth.Method && p.Issuer == r.config.Issuer
	var f facts
	if minted {
		var err error
		if f, err = readFacts(p.Claims); err != nil {
			return p, reject(p, ReasonToken, err)
		}
		if cause := checkMinted(p, f); cause != nil {
			return p, reject(p, ReasonToken, cause)
		}
	}
	own := minted && p.Actors.Len() == 0
	caller, e, refusal := r.resolve(ctx, p, own)
	switch {
	case refusal != nil:
		return p, refusal
	case e == nil:
		if p.Kind == gatehouse.KindAgent {
			p.Kind = gatehouse.KindService
		}
		return p, nil
	}
	p.Scopes = intersect(p.Scopes, e.scopes)
	switch {
	case own:
		p.Kind, p.Roles = gatehouse.KindAgent, gatehouse.Roles{}
	case caller.Delegated:
		p.Roles = gatehouse.Roles{}
		if minted {
			p.Kind, p.Issuer = gatehouse.KindUser, f.subjectIssuer
			p.Actors = issued(p.Actors, r.config.Issuer)
		}
	}
	if !own && p.Kind == gatehouse.KindAgent {
		p.Kind = gatehouse.KindService
	}
	return p, nil
}

// issued returns a chain whose actors have the issuer.
func issued(chain gatehouse.Actors, issuer string) gatehouse.Actors {
	var all []gatehouse.Actor
	for a := range chain.All() {
		a.Issuer = issuer
		all = append(all, a)
	}
	return gatehouse.NewActors(all...)
}

// intersect returns the scopes that both sets have.
func intersect(a, b gatehouse.Scopes) gatehouse.Scopes {
	if b.HasAll(a) {
		return a
	}
	var both []string
	for scope := range a.All() {
		if b.Has(scope) {
			both = append(both, scope)
		}
	}
	scopes, _ := gatehouse.NewScopes(both...) // they are those of a
	return scopes
}
