// SPDX-License-Identifier: Apache-2.0

package refreshtest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/refresh/refreshtest"
)

// Test a store with the real database.
func Example() {
	_ = func(t *testing.T) {
		refreshtest.TestStore(t, func(*testing.T) refresh.Store {
			return refresh.NewMemory(0) // your store, empty
		})
	}
	// Output:
}
