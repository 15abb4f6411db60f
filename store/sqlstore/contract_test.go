// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"testing"

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
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// TestContracts uses one store of each engine for all rules, and empties its table
// before each: to create tables and connections takes longer than most rules.
func TestContracts(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, _ string, s *sqlstore.Store, db *sql.DB) {
		empty := func(t *testing.T, table string) {
			t.Helper()
			execute(t, db, "DELETE FROM gatehouse_"+table)
		}
		t.Run("apikeys", func(t *testing.T) {
			apikeytest.TestStore(t, func(t *testing.T) apikey.Store { empty(t, "apikeys"); return s.APIKeys() })
		})
		t.Run("sessions", func(t *testing.T) {
			sessiontest.TestStore(t, func(t *testing.T) session.Store { empty(t, "sessions"); return s.Sessions() })
		})
		t.Run("families", func(t *testing.T) {
			refreshtest.TestStore(t, func(t *testing.T) refresh.Store { empty(t, "families"); return s.Families() })
		})
		t.Run("revocations", func(t *testing.T) {
			revocationtest.TestStore(t, func(t *testing.T) revocation.Store { empty(t, "revocations"); return s.Revocations() })
		})
		t.Run("budgets", func(t *testing.T) {
			budgettest.TestStore(t, func(t *testing.T) budget.Store {
				empty(t, "budget_holds")
				empty(t, "budget_counters")
				return s.Budgets()
			})
		})
		t.Run("agents", func(t *testing.T) {
			agenttest.TestStore(t, func(t *testing.T) agent.Store { empty(t, "agents"); return s.Agents() })
		})
		t.Run("replays", func(t *testing.T) {
			dpoptest.TestStore(t, func(t *testing.T) dpop.ReplayStore { empty(t, "replays"); return s.Replays() })
		})
		t.Run("approvals", func(t *testing.T) {
			approvaltest.TestStore(t, func(t *testing.T) approval.Store { empty(t, "approvals"); return s.Approvals() })
		})
		t.Run("upstreams", func(t *testing.T) {
			upstreamtest.TestStore(t, func(t *testing.T) upstream.Store { empty(t, "upstreams"); return s.Upstreams() })
		})
	})
}
