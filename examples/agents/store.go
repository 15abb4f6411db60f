// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/store"
)

// openStore opens a database. Its errors name the field of the configuration.
func openStore(field string, c store.Config) (*store.DB, error) {
	db, err := store.Open(c)
	if err != nil {
		return nil, errors.New(strings.NewReplacer("store: Config.Driver", field+".driver", "store: Config.DSN", field+".dsn").Replace(err.Error()))
	}
	return db, nil
}

// configured is a store of agents without those that were removed from the
// configuration. An agent that is configured again works again.
type configured struct {
	agent.Store
	agents []agentConfig
}

func (s configured) Find(ctx context.Context, id string) (agent.Record, error) {
	record, err := s.Store.Find(ctx, id) // always, because a store that is down is an error
	if err == nil && !slices.ContainsFunc(s.agents, func(a agentConfig) bool { return a.ID == id }) {
		return agent.Record{}, agent.ErrNotFound
	}
	return record, err
}
