// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/store/internal/approvals"
)

// Approvals is an [approval.Store]. Every change is one atomic statement, and the clock
// is that of the engine. Each new approval removes up to ten that expired an hour ago.
type Approvals struct {
	store *Store
	sql   *approvalSQL
}

var _ approval.Store = (*Approvals)(nil)

// Approvals returns the store of approvals.
func (s *Store) Approvals() *Approvals {
	if s.dialect == SQLite {
		return &Approvals{s, &approvalSQLite}
	}
	return &Approvals{s, &approvalPostgres}
}

// Request implements [approval.Store].
func (a *Approvals) Request(ctx context.Context, r approval.Approval, limits approval.Limits, again bool) (approval.Approval, bool, error) {
	digest := r.Digest()
	var found []approval.Approval
	// An approval that the first statement finds can end before the second one reads it.
	for range 3 {
		err := a.store.write(ctx, collect(&found, scanApproval), a.sql.request,
			r.ID, r.Tenant, digest[:], r.Subject.String(), r.Actor.String(), r.Tool, r.Version, r.Arguments,
			r.Consent, approvals.FormatRoles(r.Roles), r.Count, limits.Lifetime.Microseconds(), again, limits.Pending, limits.Bytes)
		if err != nil || len(found) == 1 {
			added, err := single(found, "request approval", err, errors.New("sqlstore: request approval: no row"))
			return added, err == nil, err
		}
		err = a.store.read(ctx, collect(&found, scanApproval), a.sql.current, digest[:], r.Tenant, again)
		if err != nil || len(found) == 1 {
			current, err := single(found, "request approval", err, errors.New("sqlstore: request approval: no row"))
			return current, false, err
		}
	}
	return approval.Approval{}, false, approval.ErrTooMany
}

// Find implements [approval.Store].
func (a *Approvals) Find(ctx context.Context, tenant, id string) (approval.Approval, error) {
	var found []approval.Approval
	err := a.store.read(ctx, collect(&found, scanApproval), a.sql.find, id, tenant)
	return single(found, "find approval", err, approval.ErrNotFound)
}

// Decide implements [approval.Store].
func (a *Approvals) Decide(ctx context.Context, tenant, id string, d approval.Decision) (approval.Approval, bool, error) {
	count := 0
	if d.Approve {
		count = 1
	}
	var decided []approval.Approval
	err := a.store.write(ctx, collect(&decided, scanApproval), a.sql.decide,
		id, tenant, d.Decider.String(), approvals.FormatDecision(d), count)
	if err != nil || len(decided) == 1 {
		changed, err := single(decided, "decide on approval", err, approval.ErrNotFound)
		return changed, err == nil, err
	}
	unchanged, err := a.Find(ctx, tenant, id)
	return unchanged, false, err
}

// Claim implements [approval.Store].
func (a *Approvals) Claim(ctx context.Context, tenant string, digest approval.Digest) (approval.Approval, error) {
	var claimed []approval.Approval
	err := a.store.write(ctx, collect(&claimed, scanApproval), a.sql.claim, digest[:], tenant)
	return single(claimed, "claim approval", err, approval.ErrNotFound)
}

// List implements [approval.Store].
func (a *Approvals) List(ctx context.Context, f approval.Filter, limit, maxBytes int) ([]approval.Approval, error) {
	query := a.listStatement(f, limit, maxBytes)
	var found []approval.Approval
	if err := a.store.read(ctx, collect(&found, scanApproval), query.text.String(), query.args...); err != nil {
		return nil, fmt.Errorf("sqlstore: list approvals: %w", err)
	}
	return found, nil
}

func (a *Approvals) listStatement(f approval.Filter, limit, maxBytes int) *statement {
	query := &statement{dialect: a.store.dialect}
	decider := f.Decider.String()
	query.add(a.sql.list, maxBytes, f.Tenant, decider)
	query.add(a.sql.listOwn, decider, decider, decider)
	for role := range f.Roles.All() {
		query.add(a.sql.listRole, role)
	}
	query.add(approvalListEnd, max(limit, 0))
	return query
}

// scanApproval reads a row of approvalColumns and the current time. It returns an error
// for a row that is damaged.
func scanApproval(rows *sql.Rows) (approval.Approval, error) {
	var (
		a                                approval.Approval
		subject, actor, roles, decisions string
	)
	err := rows.Scan(&a.ID, &a.Tenant, &subject, &actor, &a.Tool, &a.Version, &a.Arguments, &a.Consent, &roles, &a.Count,
		instant{&a.Created}, instant{&a.Expires}, instant{&a.Used}, &decisions, instant{&a.AsOf})
	if err != nil {
		return approval.Approval{}, err
	}
	var errRoles, errDecisions error
	a.Roles, errRoles = approvals.ParseRoles(roles)
	a.Decisions, errDecisions = approvals.ParseDecisions(decisions)
	if err := errors.Join(errRoles, errDecisions, a.Subject.UnmarshalText([]byte(subject)), a.Actor.UnmarshalText([]byte(actor))); err != nil {
		return approval.Approval{}, fmt.Errorf("approval %s: %w", a.ID, err)
	}
	return a, nil
}
