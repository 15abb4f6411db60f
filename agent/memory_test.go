// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/agenttest"
)

func TestMemoryContract(t *testing.T) {
	agenttest.TestStore(t, func(*testing.T) agent.Store { return agent.NewMemory(0) })
}

func TestMemoryIsBounded(t *testing.T) {
	m := agent.NewMemory(1)
	if _, err := m.Register(t.Context(), "a", "acme", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Register(t.Context(), "b", "acme", nil); err == nil || errors.Is(err, agent.ErrConflict) {
		t.Errorf("Register(second of one) error = %v, want one that says it is full", err)
	}
	for range 2 { // a change, and none
		r, err := m.Register(t.Context(), "a", "acme", []byte("x"))
		if err != nil || string(r.Details) != "x" {
			t.Fatalf("Register(known) = %q, %v, want x", r.Details, err)
		}
		r.Details[0] = 'y' // of the caller
	}
	if r, err := m.Find(t.Context(), "a"); err != nil || string(r.Details) != "x" {
		t.Errorf("Find = %q, %v, want x", r.Details, err)
	}
}
