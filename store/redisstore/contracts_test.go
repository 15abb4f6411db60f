// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/refresh/refreshtest"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/revocation/revocationtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestTokenContracts has the stores of refresh tokens and of revocations keep
// their contracts, in a cluster too.
func TestTokenContracts(t *testing.T) {
	contracts := func(t *testing.T, client redis.UniversalClient) {
		refreshtest.TestStore(t, func(t *testing.T) refresh.Store { return newStore(t, client).Families() })
		revocationtest.TestStore(t, func(t *testing.T) revocation.Store { return newStore(t, client).Revocations() })
	}
	t.Run("server", func(t *testing.T) { contracts(t, connect(t, enginetest.StartRedis(t, "appendonly no").URL())) })
	t.Run("cluster", func(t *testing.T) { contracts(t, startCluster(t)) })
}
