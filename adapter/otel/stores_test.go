// SPDX-License-Identifier: Apache-2.0

package gateotel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	gateotel "github.com/gatehouse-go/gatehouse/adapter/otel"
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
)

// Every store keeps its contract when it is timed, and every call is timed. A store in
// a struct is not recognized as an in-memory store.
func TestStoresKeepTheirContracts(t *testing.T) {
	telemetry, reader := newTelemetry(t, gateotel.Config{})
	for name, contract := range map[string]struct {
		test       func(*testing.T)
		operations []string
	}{
		"apikey": {func(t *testing.T) {
			apikeytest.TestStore(t, func(*testing.T) apikey.Store { return telemetry.APIKeys(struct{ apikey.Store }{apikey.NewMemory(0)}) })
		}, []string{"create", "find", "rotate", "revoke", "revoke_all", "suspend", "touch", "delete", "import", "list"}},
		"session": {func(t *testing.T) {
			sessiontest.TestStore(t, func(*testing.T) session.Store {
				return telemetry.Sessions(struct{ session.Store }{session.NewMemory(0)})
			})
		}, []string{"create", "get", "swap", "touch", "delete", "delete_all", "list"}},
		"refresh": {func(t *testing.T) {
			refreshtest.TestStore(t, func(*testing.T) refresh.Store {
				return telemetry.Families(struct{ refresh.Store }{refresh.NewMemory(0)})
			})
		}, []string{"create", "find", "rotate", "revoke", "revoke_all", "list"}},
		"revocation": {func(t *testing.T) {
			revocationtest.TestStore(t, func(*testing.T) revocation.Store {
				return telemetry.Revocations(struct{ revocation.Store }{revocation.NewMemory(0)})
			})
		}, []string{"revoke", "find"}},
		"replay": {func(t *testing.T) {
			dpoptest.TestStore(t, func(*testing.T) dpop.ReplayStore {
				return telemetry.Replays(struct{ dpop.ReplayStore }{dpop.NewMemory(0)})
			})
		}, []string{"insert"}},
		"budget": {func(t *testing.T) {
			budgettest.TestStore(t, func(*testing.T) budget.Store { return telemetry.Budgets(struct{ budget.Store }{budget.NewMemory(0)}) })
		}, []string{"reserve", "extend", "settle", "read", "list", "sweep"}},
		"approval": {func(t *testing.T) {
			approvaltest.TestStore(t, func(*testing.T) approval.Store {
				return telemetry.Approvals(struct{ approval.Store }{approval.NewMemory(0)})
			})
		}, []string{"request", "find", "decide", "claim", "list"}},
		"agent": {func(t *testing.T) {
			agenttest.TestStore(t, func(*testing.T) agent.Store { return telemetry.Agents(struct{ agent.Store }{agent.NewMemory(0)}) })
		}, []string{"register", "find", "decommission", "list"}},
		"upstream": {func(t *testing.T) {
			upstreamtest.TestStore(t, func(*testing.T) upstream.Store {
				return telemetry.Upstreams(struct{ upstream.Store }{new(upstream.Memory)})
			})
		}, []string{"load", "swap"}},
	} {
		t.Run(name, func(t *testing.T) {
			contract.test(t)
			series := collect(t, reader)
			for _, operation := range contract.operations {
				if series[fmt.Sprintf("gatehouse.store.duration{operation=%s,store=%s}", operation, name)] == 0 {
					t.Errorf("%s is not timed", operation)
				}
				if operation == "create" || operation == "request" {
					continue // these fail for the malformed records of the contracts
				}
				if failed := fmt.Sprintf("gatehouse.store.duration{error.type=_OTHER,operation=%s,store=%s}", operation, name); series[failed] > 0 {
					t.Errorf("%s = %v, want 0: the answers of a store are no failures", failed, series[failed])
				}
			}
		})
	}
}

// failing is a store that fails.
type failing struct {
	apikey.Store
	err    error
	before func() // called by Find
}

func (f failing) Find(context.Context, string) (apikey.Record, error) {
	if f.before != nil {
		f.before()
	}
	return apikey.Record{}, f.err
}

// What a store answers is no failure, and an error of a store does not become an
// attribute with its text.
func TestStoreFailures(t *testing.T) {
	telemetry, reader := newTelemetry(t, gateotel.Config{})
	for _, err := range []error{
		nil, apikey.ErrNotFound, fmt.Errorf("find: %w", apikey.ErrNotFound), apikey.ErrConflict,
		fmt.Errorf("find: %w", context.DeadlineExceeded), context.Canceled, errors.New("dial tcp 10.0.0.1: refused"),
	} {
		if _, got := telemetry.APIKeys(failing{err: err}).Find(t.Context(), "id"); got != err {
			t.Errorf("Find() error = %v, want %v", got, err)
		}
	}
	want := `gatehouse.store.duration{error.type=_OTHER,operation=find,store=apikey} 1
gatehouse.store.duration{error.type=canceled,operation=find,store=apikey} 1
gatehouse.store.duration{error.type=timeout,operation=find,store=apikey} 1
gatehouse.store.duration{operation=find,store=apikey} 4
`
	wantMetrics(t, reader, want)
}

// An in-memory store and a nil store stay what they are: the package that uses them
// reports the first and refuses the second.
func TestMemoryStoresStayThemselves(t *testing.T) {
	telemetry, _ := newTelemetry(t, gateotel.Config{})
	keys, sessions, families, revocations := apikey.NewMemory(0), session.NewMemory(0), refresh.NewMemory(0), revocation.NewMemory(0)
	replays, budgets, approvals, agents, upstreams := dpop.NewMemory(0), budget.NewMemory(0), approval.NewMemory(0), agent.NewMemory(0), new(upstream.Memory)
	for name, same := range map[string]bool{
		"APIKeys": telemetry.APIKeys(keys) == keys, "Sessions": telemetry.Sessions(sessions) == sessions, "Families": telemetry.Families(families) == families,
		"Revocations": telemetry.Revocations(revocations) == revocations, "Replays": telemetry.Replays(replays) == replays,
		"Budgets": telemetry.Budgets(budgets) == budgets, "Approvals": telemetry.Approvals(approvals) == approvals,
		"Agents": telemetry.Agents(agents) == agents, "Upstreams": telemetry.Upstreams(upstreams) == upstreams,
		"nil": telemetry.APIKeys(nil) == nil && telemetry.Sessions(nil) == nil && telemetry.Families(nil) == nil && telemetry.Revocations(nil) == nil &&
			telemetry.Replays(nil) == nil && telemetry.Budgets(nil) == nil && telemetry.Approvals(nil) == nil && telemetry.Agents(nil) == nil && telemetry.Upstreams(nil) == nil,
	} {
		if !same {
			t.Errorf("%s returns another store", name)
		}
	}
}
