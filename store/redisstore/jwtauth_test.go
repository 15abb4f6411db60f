// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/jwtauth/jwtauthtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestTokenContracts has the stores of refresh tokens and of revocations keep
// their contracts, in a cluster too.
func TestTokenContracts(t *testing.T) {
	contracts := func(t *testing.T, client redis.UniversalClient) {
		jwtauthtest.TestFamilies(t, func(t *testing.T) jwtauth.FamilyStore { return newStore(t, client).Families() })
		jwtauthtest.TestRevocations(t, func(t *testing.T) jwtauth.RevocationStore { return newStore(t, client).Revocations() })
	}
	t.Run("server", func(t *testing.T) { contracts(t, connect(t, enginetest.StartRedis(t, "appendonly no").URL())) })
	t.Run("cluster", func(t *testing.T) { contracts(t, startCluster(t)) })
}
