// SPDX-License-Identifier: Apache-2.0

package gatea2a

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	sdk "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2asrv"

	"github.com/gatehouse-go/gatehouse"
)

// owned is a store in which each caller has its own tasks.
type owned struct{ next a2asrv.TaskStore }

// idOf returns the ID of a task of the caller in the store below.
func idOf(ctx context.Context, id sdk.TaskID) (sdk.TaskID, error) {
	p, _ := gatehouse.FromContext(ctx)
	if p.IsZero() {
		return "", fmt.Errorf("gatea2a: a task without a caller: %w", sdk.ErrTaskNotFound)
	}
	owner := sha256.Sum256(fmt.Appendf(nil, "%q %q", p.Tenant, p.Key().String()))
	return sdk.TaskID(hex.EncodeToString(owner[:]) + "." + string(id)), nil
}

// Save implements [a2asrv.TaskStore].
func (o owned) Save(ctx context.Context, task *sdk.Task) error {
	id, err := idOf(ctx, task.ID)
	if err != nil {
		return err
	}
	stored := *task
	stored.ID = id
	return o.next.Save(ctx, &stored)
}

// Get implements [a2asrv.TaskStore].
func (o owned) Get(ctx context.Context, id sdk.TaskID) (*sdk.Task, error) {
	below, err := idOf(ctx, id)
	if err != nil {
		return nil, err
	}
	stored, err := o.next.Get(ctx, below)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, sdk.ErrTaskNotFound
	}
	task := *stored
	task.ID = id
	return &task, nil
}
