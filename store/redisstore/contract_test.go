// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/agenttest"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/approval/approvaltest"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/budget/budgettest"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/agent/upstream/upstreamtest"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/dpop/dpoptest"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/refresh/refreshtest"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/revocation/revocationtest"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/session/sessiontest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestContracts runs on a server and on a cluster, where all keys of one kind must be
// in one hash slot.
func TestContracts(t *testing.T) {
	t.Parallel()
	contracts := func(t *testing.T, client redis.UniversalClient) {
		t.Run("apikeys", func(t *testing.T) {
			apikeytest.TestStore(t, func(t *testing.T) apikey.Store { return newStore(t, client).APIKeys() })
			apikeytest.TestWatcher(t, func(t *testing.T) (apikey.Store, apikey.Watcher) {
				keys := newStore(t, client).APIKeys()
				return keys, keys
			})
		})
		t.Run("sessions", func(t *testing.T) {
			sessiontest.TestStore(t, func(t *testing.T) session.Store { return newStore(t, client).Sessions() })
		})
		t.Run("families", func(t *testing.T) {
			refreshtest.TestStore(t, func(t *testing.T) refresh.Store { return newStore(t, client).Families() })
		})
		t.Run("revocations", func(t *testing.T) {
			revocationtest.TestStore(t, func(t *testing.T) revocation.Store { return newStore(t, client).Revocations() })
		})
		t.Run("budgets", func(t *testing.T) {
			budgettest.TestStore(t, func(t *testing.T) budget.Store { return newStore(t, client).Budgets() })
		})
		t.Run("agents", func(t *testing.T) {
			agenttest.TestStore(t, func(t *testing.T) agent.Store { return newStore(t, client).Agents() })
		})
		t.Run("replays", func(t *testing.T) {
			dpoptest.TestStore(t, func(t *testing.T) dpop.ReplayStore { return newStore(t, client).Replays() })
		})
		t.Run("approvals", func(t *testing.T) {
			approvaltest.TestStore(t, func(t *testing.T) approval.Store { return newStore(t, client).Approvals() })
		})
		t.Run("upstreams", func(t *testing.T) {
			upstreamtest.TestStore(t, func(t *testing.T) upstream.Store { return newStore(t, client).Upstreams() })
		})
	}
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		contracts(t, startServer(t))
	})
	t.Run("cluster", func(t *testing.T) {
		enginetest.Slow(t)
		t.Parallel()
		contracts(t, startCluster(t))
	})
}
