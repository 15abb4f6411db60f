// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// methodKey is the Method of package apikey.
const methodKey gatehouse.Method = "api_key"

// maxActors is the longest delegation chain, the same for package jwtauth.
const maxActors = 4

// The claims of the tokens of a [Server], beside those of RFC 9068 and RFC 8693.
const (
	claimType          = "type"           // "agent" in an agent's own token
	claimGenerations   = "generations"    // generations of the agents: of sub, or of each act, the current actor first
	claimSubjectIssuer = "subject_issuer" // the issuer of the person, in a delegated token
	claimAttestation   = "attestation"    // the name of the attestation for an agent's own token
	claimPerRequest    = "max_tokens_per_request"
	claimPerDay        = "max_tokens_per_day"
	claimTotal         = "token_budget"
	claimMayAct        = "may_act"
	claimDetails       = "authorization_details"

	typeAgent = "agent"
)

// metadataAgent is the member of the metadata of an API key that names the agent to
// which the key belongs.
const metadataAgent = "agent"

// facts are the claims of a credential that this package reads.
type facts struct {
	kind, subjectIssuer, attestation string
	agent                            string // of the metadata of a key
	hasAgent                         bool   // it has one, perhaps not a string
	generations                      []int64
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
			f.kind, _ = strictjson.String(value) // a claim of another issuer may have any type
		case claimSubjectIssuer:
			f.subjectIssuer, _ = strictjson.String(value)
		case claimAttestation:
			f.attestation, _ = strictjson.String(value)
		case metadataAgent:
			f.hasAgent = true
			f.agent, _ = strictjson.String(value)
		case claimGenerations:
			f.generations, ok = readGenerations(value)
		case claimPerRequest:
			f.limits.PerRequest, ok = readCount(value)
		case claimPerDay:
			f.limits.PerDay, ok = readCount(value)
		case claimTotal:
			f.limits.Total, ok = readCount(value)
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

// generationOf returns the generation of the agent at a position, 0 if the token has
// none.
func (f facts) generationOf(n int) int64 {
	if n < len(f.generations) {
		return f.generations[n]
	}
	return 0
}

func readGenerations(value string) (generations []int64, ok bool) {
	err := json.Unmarshal([]byte(value), &generations)
	return generations, err == nil && !slices.ContainsFunc(generations, func(n int64) bool { return n <= 0 })
}

// readCount reads a positive integer.
func readCount(value string) (int64, bool) {
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil && n > 0
}

// checkMinted checks that a token of the own issuer has the form that a [Server] issues.
func checkMinted(p gatehouse.Principal, f facts) error {
	agents := 1
	if p.Actors.Len() == 0 {
		if f.kind != typeAgent || p.Subject != p.Client {
			return errors.New("agent: a token of the own issuer without actor is not that of an agent")
		}
	} else {
		agents = p.Actors.Len()
		current, _ := p.Actors.Current()
		if f.kind == typeAgent || f.subjectIssuer == "" || current.Subject != p.Client {
			return errors.New("agent: a delegated token of the own issuer has no subject_issuer, or another client than its actor")
		}
	}
	if len(f.generations) != agents {
		return errors.New("agent: a token of the own issuer does not state the generation of each agent")
	}
	return nil
}
