// SPDX-License-Identifier: Apache-2.0

package upstreamtest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/agent/upstream/upstreamtest"
)

// Test a store with the real database.
func Example() {
	_ = func(t *testing.T) {
		upstreamtest.TestStore(t, func(*testing.T) upstream.Store {
			return &upstream.Memory{} // your store, empty
		})
	}
	// Output:
}
