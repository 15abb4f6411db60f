// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gatehouse-go/gatehouse"
)

// Caps are limits that a credential carries. Nil is no limit.
type Caps struct {
	PerRequest *int64 // tokens of one request, max_tokens_per_request
	PerDay     *int64 // tokens of a day in UTC, max_tokens_per_day
	PerToken   *int64 // tokens in the whole life of the token, token_budget
}

// methodKey is the [gatehouse.Method] of package apikey.
const methodKey gatehouse.Method = "api_key"

// CapsOf returns the limits in the claims of a token, or in the metadata of an API key.
// It returns a [*gatehouse.Error] of [gatehouse.CodeAccessDenied] if a limit is not an
// integer from 0 to [MaxAmount]: an invalid limit is never treated as missing.
func CapsOf(p gatehouse.Principal) (Caps, error) {
	var claims struct {
		PerRequest json.RawMessage `json:"max_tokens_per_request"`
		PerDay     json.RawMessage `json:"max_tokens_per_day"`
		PerToken   json.RawMessage `json:"token_budget"`
	}
	if err := p.Claims.Decode(&claims); err != nil {
		return Caps{}, badClaims(p, err)
	}
	var caps Caps
	for _, c := range []struct {
		name string
		raw  json.RawMessage
		to   **int64
	}{
		{"max_tokens_per_request", claims.PerRequest, &caps.PerRequest},
		{"max_tokens_per_day", claims.PerDay, &caps.PerDay},
		{"token_budget", claims.PerToken, &caps.PerToken},
	} {
		if c.raw == nil {
			continue
		}
		n, err := strconv.ParseUint(string(c.raw), 10, 63)
		if err != nil || n > MaxAmount {
			return Caps{}, badClaims(p, fmt.Errorf("budget: claim %s: must be an integer from 0 to %d", c.name, int64(MaxAmount)))
		}
		limit := int64(n)
		*c.to = &limit
	}
	if caps.PerToken != nil && p.Credential == "" {
		return Caps{}, badClaims(p, errors.New("budget: claim token_budget: the token has no jti"))
	}
	return caps, nil
}

func badClaims(p gatehouse.Principal, cause error) *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeAccessDenied, Reason: ReasonClaims, Issuer: p.Issuer, Credential: p.Credential, Cause: cause,
	}
}

// Smallest returns the smaller value of each limit.
func (c Caps) Smallest(other Caps) Caps {
	return Caps{smaller(c.PerRequest, other.PerRequest), smaller(c.PerDay, other.PerDay), smaller(c.PerToken, other.PerToken)}
}

func smaller(a, b *int64) *int64 {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

// Lines returns a budget for PerDay and one for PerToken. PerDay limits the API key or
// the subject of the token, for each day in UTC. PerToken limits the token, identified by
// its jti, so copies of a token share it. If the application adds a line for the same
// account and window, the smallest limit applies.
func (c Caps) Lines(p gatehouse.Principal) []Line {
	var lines []Line
	if c.PerDay != nil {
		account := SubjectAccount(p)
		if p.Method == methodKey {
			account = KeyAccount(p)
		}
		lines = append(lines, Line{Account: account, Window: Day(nil), Max: *c.PerDay})
	}
	if c.PerToken != nil {
		lines = append(lines, Line{
			Account: Account{Tenant: p.Tenant, Per: "token", Name: gatehouse.Key{Issuer: p.Issuer, Subject: p.Credential}.String()},
			Window:  Life(p.Expires), Max: *c.PerToken,
		})
	}
	return lines
}

// KeyAccount is the account of an API key in its tenant, by its ID.
func KeyAccount(p gatehouse.Principal) Account {
	return Account{Tenant: p.Tenant, Per: "key", Name: p.Credential}
}

// SubjectAccount is the account of the subject in its tenant, by issuer and subject.
func SubjectAccount(p gatehouse.Principal) Account {
	return Account{Tenant: p.Tenant, Per: "subject", Name: p.Key().String()}
}

// AgentAccount is the account of the agent that makes the call, in its tenant. The agent
// is the current actor, or the subject if the subject is an agent. It returns false if
// there is no agent.
func AgentAccount(p gatehouse.Principal) (Account, bool) {
	agent := p.Key()
	if actor, ok := p.Actors.Current(); ok {
		if agent.Subject = actor.Subject; actor.Issuer != "" {
			agent.Issuer = actor.Issuer
		}
	} else if p.Kind != gatehouse.KindAgent {
		return Account{}, false
	}
	return Account{Tenant: p.Tenant, Per: "agent", Name: agent.String()}, true
}
