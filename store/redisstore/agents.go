// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse/agent"
)

var (
	//go:embed lua/agents_register.lua
	agentsRegister string
	//go:embed lua/agents_find.lua
	agentsFind string
	//go:embed lua/agents_decommission.lua
	agentsDecommission string
	//go:embed lua/agents_list.lua
	agentsList string
)

var (
	registerAgentScript     = newChange(timeCommon, agentsRegister)
	findAgentScript         = newQuery(timeCommon, agentsFind)
	decommissionAgentScript = newRevocation(timeCommon, agentsDecommission)
	listAgentsScript        = newQuery(timeCommon, agentsList)
)

// Agents is an [agent.Store]. Every method is one atomic script that uses the clock of
// the server. Agents is safe for concurrent use.
type Agents struct {
	store *Store
	base  string
}

var _ agent.Store = (*Agents)(nil)

// Agents returns the store of agents. All of them are in one slot of a cluster.
func (s *Store) Agents() *Agents {
	// The number is the version of the format.
	return &Agents{store: s, base: "{" + s.prefix + "}:agents:1"}
}

// Register implements [agent.Store].
func (a *Agents) Register(ctx context.Context, id, tenant string, details []byte) (agent.Record, error) {
	if id == "" {
		return agent.Record{}, errors.New("redisstore: register agent: ID is empty")
	}
	return a.one(ctx, "register", registerAgentScript, id, tenant, details)
}

// Find implements [agent.Store].
func (a *Agents) Find(ctx context.Context, id string) (agent.Record, error) {
	return a.one(ctx, "find", findAgentScript, id)
}

// Decommission implements [agent.Store].
func (a *Agents) Decommission(ctx context.Context, tenant, id string) (agent.Record, error) {
	return a.one(ctx, "decommission", decommissionAgentScript, tenant, id)
}

// List implements [agent.Store].
func (a *Agents) List(ctx context.Context, tenant, after string, limit int) ([]agent.Record, error) {
	return a.many(ctx, "list", listAgentsScript, tenant, after, max(limit, 0))
}

// one runs a script that returns one record.
func (a *Agents) one(ctx context.Context, verb string, script *script, args ...any) (agent.Record, error) {
	records, err := a.many(ctx, verb, script, args...)
	if err == nil && len(records) != 1 {
		err = fmt.Errorf("redisstore: %s agent: %w", verb, errReply)
	}
	if err != nil {
		return agent.Record{}, err
	}
	return records[0], nil
}

func (a *Agents) many(ctx context.Context, verb string, script *script, args ...any) ([]agent.Record, error) {
	reply, err := a.store.run(ctx, script, a.base, args...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s agent: %w", verb, err)
	}
	records, err := parseReply(reply, agentState, parseAgent)
	switch {
	case errors.Is(err, agent.ErrNotFound), errors.Is(err, agent.ErrConflict), errors.Is(err, agent.ErrDecommissioned):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("redisstore: %s agent: %w", verb, err)
	}
	return records, nil
}

// agentState returns the error that a script reports with word.
func agentState(word string) error {
	switch word {
	case "absent":
		return agent.ErrNotFound
	case "conflict":
		return agent.ErrConflict
	case "decommissioned":
		return agent.ErrDecommissioned
	}
	return errReply
}

// parseAgent reads the fields of a record.
func parseAgent(id string, _ time.Time, f *fields) agent.Record {
	return agent.Record{
		ID: id, Tenant: read(f, "tenant", parseText), Details: []byte(f.values["details"]), Generation: read(f, "generation", parseInt),
		Created: read(f, "created", parseTime), Changed: read(f, "changed", parseTime), Decommissioned: optional(f, "decommissioned", parseTime),
	}
}

// parseText accepts every text but the empty one.
func parseText(s string) (string, error) {
	if s == "" {
		return "", errReply
	}
	return s, nil
}
