// SPDX-License-Identifier: Apache-2.0

package budgettest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/budget/budgettest"
)

// Test a store with the real database.
func Example() {
	_ = func(t *testing.T) {
		budgettest.TestStore(t, func(*testing.T) budget.Store {
			return budget.NewMemory(0) // your store, empty
		})
	}
	// Output:
}
