// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// methodKey is the Method of package apikey.
const methodKey gatehouse.Method = "api_key"

// maxActors is the longest delegation chain, the same for package jwtauth.
const maxActors = 4

// The claims of the tokens of a [Server], beside those of RFC 9068 and RFC 8693.
const (
	claimType          = "type"           // "agent" in a token that an agent has for itself
	claimGenerations   = "agents"         // the generation of each agent that takes part, by ID
	claimSubjectIssuer = "subject_issuer" // the issuer of the person, in a delegated token
	claimAttestation   = "attestation"    // what the agent has proved for its own token
	claimPerRequest    = "max_tokens_per_request"
	claimPerDay        = "max_tokens_per_day"
	claimBudget        = "token_budget"
	claimMayAct        = "may_act"
	claimDetails       = "authorization_details"

	typeAgent = "agent"
)

// metadataAgent is the member of the metadata of an API key that names the agent to
// which the key belongs.
const metadataAgent = "agent"

// Caller says which agent takes part in a request, and how.
type Caller struct {
	// Agent is the agent that is calling: the subject of its own token, the current
	// actor of a delegated token, or the agent to which an API key belongs. Its ID is
	// "" if no agent takes part.
	Agent Agent

	// Own is true if the agent calls with a token of its own. Delegated is true if it
	// calls on behalf of Subject. Both are false for an API key, and without an agent.
	Own, Delegated bool

	// Subject is the person on whose behalf an agent calls, by the issuer that has
	// authenticated the person. Without delegation it is the caller itself.
	Subject gatehouse.Key

	// Attestation is the name in Config.Attestations of what the agent has proved for
	// this token, "" for nothing. Only an own token has it.
	Attestation string
}

// Caller returns what a policy needs to know about the agent that takes part in the
// request of p, a caller that an authenticator of [Registry.Guard] has accepted. It
// checks all agents of p again, so that it can be used for a long request. The error
// is a [*gatehouse.Error]: the refusal, or 503 if the store is unavailable.
//
// Without Guard, no caller has an agent of its own.
func (r *Registry) Caller(ctx context.Context, p gatehouse.Principal) (Caller, error) {
	c, _, err := r.resolve(ctx, p, p.Kind == gatehouse.KindAgent)
	if err != nil {
		return Caller{}, err
	}
	return c, nil
}

// facts are the claims of a credential that this package reads.
type facts struct {
	kind, subjectIssuer, attestation string
	agent                            string // of the metadata of a key
	generations                      map[string]int64
	limits                           Limits
	mayAct                           string // raw
	details, bound                   bool
}

var factLimits = strictjson.Limits{Depth: 16, Members: 4096}

var errFacts = errors.New("agent: a claim is malformed")

// readFacts reads the claims of an accepted credential. A claim of the wrong type is
// an error.
func readFacts(claims gatehouse.Claims) (f facts, err error) {
	err = strictjson.Object(claims.String(), factLimits, func(name, value string) error {
		ok := true
		switch name {
		case claimType:
			f.kind, _ = strictjson.String(value) // of another issuer it may be anything
		case claimSubjectIssuer:
			f.subjectIssuer, _ = strictjson.String(value)
		case claimAttestation:
			f.attestation, _ = strictjson.String(value)
		case metadataAgent:
			f.agent, _ = strictjson.String(value)
		case claimGenerations:
			f.generations, ok = readGenerations(value)
		case claimPerRequest:
			f.limits.TokensPerRequest, ok = jose.NumericDate(value)
		case claimPerDay:
			f.limits.TokensPerDay, ok = jose.NumericDate(value)
		case claimBudget:
			f.limits.Budget, ok = strictjson.String(value)
		case claimMayAct:
			f.mayAct = value
		case claimDetails:
			f.details = true
		case "cnf":
			f.bound = true
		}
		if !ok {
			return errFacts
		}
		return nil
	})
	return f, err
}

func readGenerations(value string) (map[string]int64, bool) {
	generations := make(map[string]int64)
	err := strictjson.Object(value, strictjson.Limits{Depth: 1, Members: 2 * maxActors}, func(id, value string) error {
		n, ok := jose.NumericDate(value)
		if !ok {
			return errFacts
		}
		generations[id] = n
		return nil
	})
	return generations, err == nil
}

// resolve checks every agent that takes part in p and returns the caller and the entry
// of the agent that is calling, nil without one. own says that p has a token of the
// own issuer for an agent itself; a chain is judged by its actors.
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
	case key && f.agent == "":
		return caller, nil, nil
	case key:
		ids = []string{f.agent}
	case own:
		ids, caller.Own, caller.Attestation = []string{p.Subject}, true, f.attestation
	default:
		caller.Delegated = true
		for actor := range p.Actors.All() {
			if actor.Issuer != "" && actor.Issuer != r.config.Issuer && actor.Issuer != p.Issuer {
				return Caller{}, nil, reject(p, ReasonUnknown, errors.New("agent: an actor is one of another issuer"))
			}
			ids = append(ids, actor.Subject)
		}
		if len(ids) > maxActors {
			return Caller{}, nil, reject(p, ReasonChain, fmt.Errorf("agent: the chain has %d actors, at most %d are accepted", len(ids), maxActors))
		}
	}
	var current *entry
	for _, id := range ids {
		e, e503 := r.lookup(ctx, id)
		if e503 != nil {
			return Caller{}, nil, asError(e503)
		}
		if refusal := checkAgent(p, e, f.generations); refusal != nil {
			return Caller{}, nil, refusal
		}
		if current == nil {
			current = e
		}
	}
	caller.Agent = current.agent.clone()
	return caller, current, nil
}

// checkAgent checks one agent that takes part in p.
func checkAgent(p gatehouse.Principal, e *entry, generations map[string]int64) *gatehouse.Error {
	a := &e.agent
	generation, stated := generations[a.ID]
	switch {
	case a.ID == "":
		return reject(p, ReasonUnknown, errors.New("agent: an agent that takes part is not in the registry"))
	case !a.Active():
		return reject(p, ReasonDecommissioned, fmt.Errorf("agent: %.64q is decommissioned", a.ID))
	case a.Tenant != p.Tenant:
		return reject(p, ReasonTenant, fmt.Errorf("agent: %.64q is of another tenant than the credential", a.ID))
	case stated && generation != a.Generation:
		return reject(p, ReasonGeneration, fmt.Errorf("agent: the registration of %.64q has changed since the token was issued", a.ID))
	}
	return nil
}

func reject(p gatehouse.Principal, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reason, Issuer: p.Issuer, Credential: p.Credential, Cause: cause}
}

// asError returns the error of a function that returns none but *gatehouse.Error.
func asError(err error) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	return unavailable(ReasonStoreUnavailable, err)
}

// complete returns a caller that a token or a key of an agent has authenticated, as a
// policy may see it: see [Registry.Guard].
func (r *Registry) complete(ctx context.Context, p gatehouse.Principal) (gatehouse.Principal, Caller, *gatehouse.Error) {
	minted := p.Method == jwtauth.Method && p.Issuer == r.config.Issuer
	var f facts
	if minted {
		var err error
		if f, err = readFacts(p.Claims); err != nil {
			return p, Caller{}, reject(p, ReasonToken, err)
		}
		if cause := checkMinted(p, f); cause != nil {
			return p, Caller{}, reject(p, ReasonToken, cause)
		}
	}
	own := minted && p.Actors.Len() == 0
	caller, e, refusal := r.resolve(ctx, p, own)
	switch {
	case refusal != nil:
		return p, Caller{}, refusal
	case e == nil:
		if p.Kind == gatehouse.KindAgent {
			p.Kind = gatehouse.KindService
		}
		return p, caller, nil
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
			caller.Subject = p.Key()
		}
	}
	if !own && p.Kind == gatehouse.KindAgent {
		p.Kind = gatehouse.KindService
	}
	return p, caller, nil
}

// checkMinted checks that a token of the own issuer is one that a [Server] mints.
func checkMinted(p gatehouse.Principal, f facts) error {
	var ids []string
	if p.Actors.Len() == 0 {
		if f.kind != typeAgent || p.Subject != p.Client {
			return errors.New("agent: a token of the own issuer without actor is not that of an agent")
		}
		ids = []string{p.Subject}
	} else {
		current, _ := p.Actors.Current()
		if f.kind == typeAgent || f.subjectIssuer == "" || current.Subject != p.Client {
			return errors.New("agent: a delegated token of the own issuer has no subject_issuer, or another client than its actor")
		}
		for actor := range p.Actors.All() {
			ids = append(ids, actor.Subject)
		}
	}
	for _, id := range ids {
		if f.generations[id] == 0 {
			return errors.New("agent: a token of the own issuer does not state the generation of each agent")
		}
	}
	return nil
}

// issued returns a chain whose actors have an issuer.
func issued(chain gatehouse.Actors, issuer string) gatehouse.Actors {
	var all []gatehouse.Actor
	for a := range chain.All() {
		if a.Issuer == "" {
			a.Issuer = issuer
		}
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
