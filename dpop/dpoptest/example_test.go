// SPDX-License-Identifier: Apache-2.0

package dpoptest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/dpop/dpoptest"
)

// Test a store with the real database.
func Example() {
	_ = func(t *testing.T) {
		dpoptest.TestStore(t, func(*testing.T) dpop.ReplayStore {
			return dpop.NewMemory(0) // your store, empty
		})
	}
	// Output:
}
