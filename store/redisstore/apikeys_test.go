// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

func TestAPIKeysContract(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	apikeytest.TestStore(t, func(t *testing.T) apikey.Store { return newStore(t, client).APIKeys() })
	apikeytest.TestWatcher(t, func(t *testing.T) (apikey.Store, apikey.Watcher) {
		keys := newStore(t, client).APIKeys()
		return keys, keys
	})
}
