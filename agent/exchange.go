// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// exchange returns a delegated token, RFC 8693. The subject token belongs to a person,
// perhaps with a chain of agents. The authenticated client becomes the current actor.
//
// Implements RFC 8693 §2.1 (actor), §4.1 (chain).
func (s *Server) exchange(r *http.Request, c *client, asked gatehouse.Scopes) (*issue, *gatehouse.Error) {
	a := &c.entry.agent
	form := r.PostForm
	invalid := func(reason gatehouse.Reason, cause string) *gatehouse.Error {
		return refuse(codeInvalidRequest, reason, a.ID, errors.New(cause))
	}
	switch {
	case form.Get("subject_token") == "":
		return nil, invalid(ReasonRequest, "subject_token: required")
	case form.Get("subject_token_type") != typeAccessToken:
		return nil, invalid(ReasonRequest, "subject_token_type is not that of an access token")
	case form.Has("actor_token") || form.Has("actor_token_type"):
		return nil, invalid(ReasonRequest, "actor_token is not supported: the client is the actor")
	case form.Has("requested_token_type") && form.Get("requested_token_type") != typeAccessToken:
		return nil, invalid(ReasonRequest, "requested_token_type is not that of an access token")
	}
	subject, f, e := s.subject(r, form.Get("subject_token"))
	if e != nil {
		if e.Code.Status() == http.StatusServiceUnavailable {
			return nil, e
		}
		refusal := *e
		refusal.Code = codeInvalidRequest
		return nil, &refusal
	}
	switch {
	case f.details:
		return nil, refuse(codeInvalidDetails, ReasonDetails, a.ID, errors.New("the subject token has authorization_details, which this server cannot keep"))
	case subject.Tenant != a.Tenant: // the tenant of an agent is never empty
		return nil, invalid(ReasonSubject, "the subject token has no tenant, or another one than the agent")
	case f.mayAct != "" && !mayAct(f.mayAct, a.ID, []string{s.registry.config.Issuer, subject.Issuer}):
		return nil, invalid(ReasonMayAct, "may_act of the subject token does not name the agent")
	// The verifier allows for clock skew, but the new token would be expired.
	case subject.Expires.Unix() <= time.Now().Unix():
		return nil, invalid(ReasonSubject, "the subject token has expired")
	case subject.Actors.Len() >= maxActors:
		return nil, invalid(ReasonDepth, fmt.Sprintf("the chain would have more than %d actors", maxActors))
	case f.bound && c.presents == nil && (s.config.DPoP == nil || len(r.Header["Dpop"]) == 0): // sign verifies the proof
		return nil, invalid(ReasonConfirmation, "the subject token is bound to a key, and the request proves none")
	}
	scopes := intersect(subject.Scopes, c.entry.scopes)
	if asked.Len() > 0 {
		scopes = intersect(scopes, asked)
	}
	if scopes.Len() == 0 {
		return nil, refuse(codeInvalidScope, ReasonScope, a.ID, fmt.Errorf("scope: the person has %q, the agent %q, the request %q: nothing in common", subject.Scopes.String(), c.entry.scopes.String(), asked.String()))
	}
	claims := map[string]any{claimSubjectIssuer: subject.Issuer}
	if f.mayAct != "" {
		claims[claimMayAct] = json.RawMessage(f.mayAct)
	}
	generations := []int64{a.Generation}
	chain := []gatehouse.Actor{{Subject: a.ID}}
	for _, actor := range slices.Collect(subject.Actors.All()) {
		e, err := s.registry.lookup(r.Context(), actor.Subject) // checked by subject
		if err != nil {
			return nil, asError(err)
		}
		if !e.exists() {
			return nil, invalid(ReasonUnknown, "the subject token has a prior actor that is not in the registry")
		}
		generations = append(generations, e.agent.Generation)
		chain = append(chain, gatehouse.Actor{Subject: actor.Subject})
	}
	claims[claimGenerations] = generations
	return s.sign(r, c, &issue{agent: c.entry.agent, parent: subject.Credential, token: jwtauth.AccessToken{
		Subject: subject.Subject, Client: a.ID, Tenant: subject.Tenant, Scopes: scopes, Actors: gatehouse.NewActors(chain...),
		AuthTime: subject.AuthTime, NotAfter: subject.Expires, Claims: f.limits.and(c.entry.limits).claims(claims),
	}})
}

// subject verifies a subject token. It returns the person, with the scopes that the
// person and all agents of the chain have in common.
func (s *Server) subject(r *http.Request, token string) (gatehouse.Principal, facts, *gatehouse.Error) {
	// The request comes from the client: its headers prove nothing about the person.
	proof, err := s.subjects.VerifyRequest(r, "", token)
	if err != nil {
		return gatehouse.Principal{}, facts{}, asError(err)
	}
	p, e := s.registry.complete(r.Context(), proof.Principal())
	if e != nil {
		return gatehouse.Principal{}, facts{}, e
	}
	if p.Kind != gatehouse.KindUser {
		return gatehouse.Principal{}, facts{}, reject(p, ReasonSubject, errors.New("agent: the subject token is not that of a person"))
	}
	f, err := readFacts(p.Claims)
	if err != nil {
		return gatehouse.Principal{}, facts{}, reject(p, ReasonSubject, err)
	}
	return p, f, nil
}

// mayAct reports whether a claim may_act names an agent. If may_act has an iss, it must
// be one of issuers: agents have the same ID in act claims of all issuers.
//
// Implements RFC 8693 §4.4.
func mayAct(claim, id string, issuers []string) bool {
	named := false
	err := strictjson.Object(claim, strictjson.Limits{Depth: 2, Members: 8}, func(name, value string) error {
		text, _ := strictjson.String(value)
		switch {
		case name == "sub" || name == "client_id":
			if text != id {
				return errFacts
			}
			named = true
		case name == "iss" && slices.Contains(issuers, text):
		default: // a member that the server cannot check
			return errFacts
		}
		return nil
	})
	return err == nil && named
}
