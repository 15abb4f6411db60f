// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
)

// crowd are agents of three tenants with random roles.
type crowd struct {
	*world
	random *rand.Rand
	agents []agent.Agent
}

var allScopes = []string{"data:read", "data:write", "external:invoke", "exec:sandbox", "profile"}

func (c *crowd) some(of []string) []string {
	var chosen []string
	for _, s := range of {
		if c.random.IntN(3) > 0 {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

func newCrowd(t *testing.T, seed uint64) *crowd {
	c := &crowd{random: rand.New(rand.NewPCG(seed, 1))}
	table := make(map[string]agent.Role)
	for n := range 6 {
		scopes := c.some(allScopes[:4])
		if len(scopes) == 0 {
			scopes = allScopes[:1]
		}
		limits := agent.Limits{PerRequest: c.random.Int64N(3) * 100, PerDay: c.random.Int64N(3) * 1000, Total: c.random.Int64N(3) * 10}
		table[fmt.Sprint("role", n)] = agent.Role{Scopes: scopes, Limits: limits}
	}
	maps.Copy(table, roles)
	c.world = newWorld(t, func(config *agent.Config, _ *agent.ServerConfig) { config.Roles = table })
	for n := range 9 {
		id := fmt.Sprint("agent", n)
		if _, ok := agentKeys[id]; !ok {
			agentKeys[id] = newParty()
		}
		a := newAgent(id, []string{"acme", "globex", "initech"}[n%3], fmt.Sprint("role", c.random.IntN(6)))
		a.Limits.PerRequest = c.random.Int64N(3) * 70
		c.agents = append(c.agents, must(c.registry.Register(t.Context(), agent.Registration{Agent: a})))
	}
	return c
}

// Authority never grows and the tenant never changes in random chains of delegations,
// of persons with random scopes, some already delegated by their own issuer.
func TestAuthorityNeverGrows(t *testing.T) {
	chains := 60
	if os.Getenv("GATEHOUSE_SLOW") != "" {
		chains = 400
	}
	succeeded, refused, longest := 0, 0, 0
	for seed := range uint64(chains / 20) {
		c := newCrowd(t, seed)
		for range 20 {
			claims := object{
				"sub": fmt.Sprint("person", c.random.IntN(3)), "scope": strings.Join(c.some(allScopes), " "),
				"tenant": []string{"acme", "globex", "initech"}[c.random.IntN(3)], "exp": time.Now().Unix() + 60 + c.random.Int64N(2000),
				"max_tokens_per_day": 1 + c.random.Int64N(3000),
			}
			if c.random.IntN(4) == 0 {
				claims["act"] = chainOf(c.agents[c.random.IntN(len(c.agents))].ID)
			}
			token, parent := person(claims), claimsOf(person(claims))
			parent["subject_issuer"] = idp
			for range 6 {
				a := c.agents[c.random.IntN(len(c.agents))]
				if c.random.IntN(5) > 0 { // mostly one of the tenant
					for a.Tenant != parent["tenant"] {
						a = c.agents[c.random.IntN(len(c.agents))]
					}
				}
				asked := c.some(allScopes)
				got := c.ask(exchangeRequest(a.ID, token, "scope", strings.Join(asked, " ")))
				if got.AccessToken == "" {
					refused++
					continue
				}
				child := claimsOf(got.AccessToken)
				c.check(t, parent, child, a, asked)
				p, err := c.admit(got.AccessToken)
				if err != nil || p.Tenant != parent["tenant"] || p.Scopes.String() != child["scope"] || p.Key() != (gatehouse.Key{Issuer: idp, Subject: parent["sub"].(string)}) {
					t.Errorf("Admit = %+v, %v", p, err)
				}
				token, parent = got.AccessToken, child
				succeeded++
				longest = max(longest, p.Actors.Len())
			}
		}
	}
	if succeeded < chains || refused < chains/2 || longest != 4 {
		t.Errorf("%d exchanges succeeded, %d were refused, the longest chain has %d actors: the test is about too few", succeeded, refused, longest)
	}
}

// check compares a token with the one for which it was exchanged by an agent.
func (c *crowd) check(t *testing.T, parent, child object, a agent.Agent, asked []string) {
	t.Helper()
	has := strings.Fields(parent["scope"].(string))
	granted := c.registry.Scopes(a)
	for scope := range strings.FieldsSeq(child["scope"].(string)) {
		if !slices.Contains(has, scope) || !granted.Has(scope) || len(asked) > 0 && !slices.Contains(asked, scope) {
			t.Errorf("scope %q of %v: the subject has %v, the agent %v, asked %v", scope, child["scope"], has, granted, asked)
		}
	}
	for _, name := range []string{"tenant", "sub", "subject_issuer"} {
		if child[name] != parent[name] {
			t.Errorf("%s = %v, was %v", name, child[name], parent[name])
		}
	}
	if child["tenant"] != a.Tenant {
		t.Errorf("tenant = %v, the agent is of %v", child["tenant"], a.Tenant)
	}
	if child["exp"].(float64) > parent["exp"].(float64) || child["exp"].(float64)-child["iat"].(float64) > 900 {
		t.Errorf("exp = %v, was %v", child["exp"], parent["exp"])
	}
	for _, name := range []string{"max_tokens_per_request", "max_tokens_per_day", "token_budget"} {
		before, capped := parent[name].(float64)
		if after, ok := child[name].(float64); capped && (!ok || after > before) {
			t.Errorf("%s = %v, was %v", name, child[name], parent[name])
		}
	}
	act := object{"sub": a.ID}
	if parent["act"] != nil {
		act["act"] = parent["act"]
	}
	if diff := cmp.Diff(any(act), child["act"]); diff != "" {
		t.Errorf("act (-want +got):\n%s", diff)
	}
}
