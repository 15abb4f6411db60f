// SPDX-License-Identifier: Apache-2.0

package approvaltest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/approval/approvaltest"
)

// Test a store with the real database.
func Example() {
	_ = func(t *testing.T) {
		approvaltest.TestStore(t, func(*testing.T) approval.Store {
			return approval.NewMemory(0) // your store, empty
		})
	}
	// Output:
}
