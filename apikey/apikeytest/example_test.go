// SPDX-License-Identifier: Apache-2.0

package apikeytest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
)

// How a store is tested: in a test of its own package, with an engine that the
// test has started.
func Example() {
	_ = func(t *testing.T) {
		apikeytest.TestStore(t, func(t *testing.T) apikey.Store {
			return apikey.NewMemory(0) // yours, and empty
		})
		apikeytest.TestWatcher(t, func(t *testing.T) (apikey.Store, apikey.Watcher) {
			store := apikey.NewMemory(0)
			return store, store
		})
	}
	// Output:
}
