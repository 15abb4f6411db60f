// SPDX-License-Identifier: Apache-2.0

package agenttest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/agenttest"
)

// Test a store with the real database.
func Example() {
	_ = func(t *testing.T) {
		agenttest.TestStore(t, func(*testing.T) agent.Store {
			return agent.NewMemory(0) // your store, empty
		})
	}
	// Output:
}
