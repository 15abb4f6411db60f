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
	if _, err := m.Register(t.Context(), "a", "acme", []byte("x")); err != nil {
		t.Errorf("Register(known) error = %v, want nil", err)
	}
}
