// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
)

// TestAgentsAreCopies: a caller that changes an agent which the registry returned does
// not change the registry, whose records are cached.
func TestAgentsAreCopies(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	bound := newAgent("helper-1", "acme", "executor")
	bound.Attestation, bound.Certificates = "key", []string{"dns:helper.example.com"}
	must(w.registry.Register(ctx, agent.Registration{Agent: bound}))
	registered := agent.Agent{ID: "copied", Tenant: "acme", Roles: must(gatehouse.NewRoles("writer")), Keys: []string{stranger.jwk}}
	p, err := w.admit(w.token(t, tokenRequest("helper-1")))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, id string
		call     func() (agent.Agent, error)
	}{
		{"Register", "copied", func() (agent.Agent, error) {
			return w.registry.Register(ctx, agent.Registration{Agent: registered})
		}},
		{"Register again", "copied", func() (agent.Agent, error) {
			return w.registry.Register(ctx, agent.Registration{Agent: registered})
		}},
		{"Find", "helper-1", func() (agent.Agent, error) { return w.registry.Find(ctx, "helper-1") }},
		{"Caller", "helper-1", func() (agent.Agent, error) {
			c, err := w.registry.Caller(ctx, p)
			return c.Agent, err
		}},
	} {
		a, err := test.call()
		if err != nil {
			t.Fatalf("%s error = %v", test.name, err)
		}
		want := a.Keys[0]
		a.Keys[0] = "changed"
		if len(a.Certificates) > 0 {
			a.Certificates[0] = "changed"
		}
		// Caller answers from the cache.
		c, err := w.registry.Caller(ctx, p)
		if err != nil || test.id == "helper-1" && (c.Agent.Keys[0] != want || c.Agent.Certificates[0] != bound.Certificates[0]) {
			t.Errorf("after a change of the result of %s: Caller() = %+v, %v, want the key %s", test.name, c.Agent, err, want)
		}
	}
	if registered.Keys[0] != stranger.jwk {
		t.Error("Register has returned the slice of its argument")
	}
}
