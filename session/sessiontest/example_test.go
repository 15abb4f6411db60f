// SPDX-License-Identifier: Apache-2.0

package sessiontest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/session/sessiontest"
)

// A store is tested in its own package, with an engine that the test has started.
func Example() {
	_ = func(t *testing.T) {
		sessiontest.TestStore(t, func(t *testing.T) session.Store {
			return session.NewMemory(0) // your store, empty
		})
	}
	// Output:
}
