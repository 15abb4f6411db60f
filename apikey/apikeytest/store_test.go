// SPDX-License-Identifier: Apache-2.0

package apikeytest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
)

func TestMemory(t *testing.T) {
	apikeytest.TestStore(t, func(*testing.T) apikey.Store { return apikey.NewMemory(0) })
	apikeytest.TestWatcher(t, func(*testing.T) (apikey.Store, apikey.Watcher) {
		m := apikey.NewMemory(0)
		return m, m
	})
}
