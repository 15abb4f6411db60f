// SPDX-License-Identifier: Apache-2.0

package revocationtest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/revocation/revocationtest"
)

// Test a store with the real database.
func Example() {
	_ = func(t *testing.T) {
		revocationtest.TestStore(t, func(*testing.T) revocation.Store {
			return revocation.NewMemory(0) // your store, empty
		})
	}
	// Output:
}
