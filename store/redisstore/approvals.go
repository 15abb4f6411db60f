// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"cmp"
	"context"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/store/internal/approvals"
)

var (
	//go:embed lua/approvals.lua
	approvalsCommon string
	//go:embed lua/approvals_request.lua
	approvalsRequest string
	//go:embed lua/approvals_find.lua
	approvalsFind string
	//go:embed lua/approvals_decide.lua
	approvalsDecide string
	//go:embed lua/approvals_claim.lua
	approvalsClaim string
	//go:embed lua/approvals_match.lua
	approvalsMatch string
	//go:embed lua/approvals_page.lua
	approvalsPage string
	//go:embed lua/approvals_list.lua
	approvalsList string
)

var (
	requestApprovalScript = newChange(timeCommon, approvalsCommon, approvalsRequest)
	findApprovalScript    = newQuery(timeCommon, approvalsCommon, approvalsFind)
	decideApprovalScript  = newRevocation(timeCommon, approvalsCommon, approvalsDecide)
	claimApprovalScript   = newChange(timeCommon, approvalsCommon, approvalsClaim)
	pageApprovalsScript   = newQuery(timeCommon, approvalsCommon, approvalsMatch, approvalsPage)
	listApprovalsScript   = newQuery(timeCommon, approvalsCommon, approvalsMatch, approvalsList)
)

// approvalPage is the number of approvals that one script looks at, some milliseconds of
// the server, which does nothing else meanwhile.
const approvalPage = 1000

// Approvals is an [approval.Store]. Every method but List is one atomic script, and the clock
// is that of the server. The server removes approvals an hour after their expiry.
type Approvals struct {
	store *Store
	base  string
	page  int
}

var _ approval.Store = (*Approvals)(nil)

// Approvals returns the store of approvals. They are in one slot of a cluster.
func (s *Store) Approvals() *Approvals {
	// The number is the version of the format.
	return &Approvals{store: s, base: "{" + s.prefix + "}:approvals:1", page: approvalPage}
}

// Request implements [approval.Store].
func (a *Approvals) Request(ctx context.Context, r approval.Approval, limits approval.Limits, again bool) (approval.Approval, bool, error) {
	if r.ID == "" || limits.Lifetime > maxLifetime {
		return approval.Approval{}, false, errors.New("redisstore: request approval: ID required, and a lifetime of at most 200 years")
	}
	digest := r.Digest()
	return a.change(ctx, "request", requestApprovalScript, r.ID, r.Tenant, hex.EncodeToString(digest[:]), r.Actor.String(),
		flag(again), limits.Pending, limits.Lifetime.Microseconds(), r.Subject.String(), r.Tool, r.Version, r.Arguments,
		flag(r.Consent), approvals.FormatRoles(r.Roles), r.Count, limits.Bytes)
}

// Find implements [approval.Store].
func (a *Approvals) Find(ctx context.Context, tenant, id string) (approval.Approval, error) {
	return a.one(ctx, "find", findApprovalScript, id, tenant)
}

// Decide implements [approval.Store].
func (a *Approvals) Decide(ctx context.Context, tenant, id string, d approval.Decision) (approval.Approval, bool, error) {
	return a.change(ctx, "decide on", decideApprovalScript, id, tenant, d.Decider.String(), approvals.FormatDecision(d), flag(d.Approve))
}

// Claim implements [approval.Store].
func (a *Approvals) Claim(ctx context.Context, tenant string, digest approval.Digest) (approval.Approval, error) {
	return a.one(ctx, "claim", claimApprovalScript, hex.EncodeToString(digest[:]), tenant)
}

// List implements [approval.Store]. It looks at the approvals that are pending in the tenant,
// a thousand in each script, until it has found some of as many actors as limit says. One
// that ends meanwhile is not listed. The timeout of the store is that of all scripts together.
func (a *Approvals) List(ctx context.Context, f approval.Filter, limit, maxBytes int) ([]approval.Approval, error) {
	ctx, cancel := context.WithTimeout(ctx, a.store.timeout)
	defer cancel()
	filter := []any{f.Tenant, f.Decider.String(), f.Roles.Len()}
	for role := range f.Roles.All() {
		filter = append(filter, role)
	}
	ids, err := a.first(ctx, filter, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("redisstore: list approvals: %w", err)
	}
	return a.many(ctx, "list", listApprovalsScript, slices.Concat(filter, []any{maxBytes}, ids)...)
}

// first returns the IDs of the first limit approvals that match. The actors take turns.
func (a *Approvals) first(ctx context.Context, filter []any, limit int) ([]any, error) {
	var turns [][]any // the IDs of each turn
	of := make(map[string]int)
	for before := "+inf"; before != "" && (len(turns) == 0 || len(turns[0]) < limit); {
		reply, err := a.store.run(ctx, pageApprovalsScript, a.base, slices.Concat(filter, []any{before, a.page})...)
		if err != nil {
			return nil, err
		}
		next, rows, err := parsePage(reply)
		if err != nil {
			return nil, err
		}
		before = next
		for _, r := range rows {
			n := of[r.actor]
			if n == limit {
				continue
			}
			if of[r.actor]++; n == len(turns) {
				turns = append(turns, nil)
			}
			turns[n] = append(turns[n], r.id)
		}
	}
	ids := slices.Concat(turns...)
	return ids[:min(len(ids), limit)], nil
}

// listed is an approval of a page.
type listed struct {
	id, actor string
	created   float64
}

// parsePage reads the reply of lua/approvals_page.lua, the last created first, and then by ID.
func parsePage(reply []any) (next string, rows []listed, err error) {
	if len(reply)%3 != 1 {
		return "", nil, errReply
	}
	texts := make([]string, len(reply))
	for i, item := range reply {
		var ok bool
		if texts[i], ok = item.(string); !ok {
			return "", nil, errReply
		}
	}
	for row := range slices.Chunk(texts[1:], 3) {
		created, err := strconv.ParseFloat(row[2], 64)
		if err != nil {
			return "", nil, errReply
		}
		rows = append(rows, listed{row[0], row[1], created})
	}
	slices.SortFunc(rows, func(a, b listed) int { return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(a.id, b.id)) })
	return texts[0], rows, nil
}

// change runs a script that may change nothing, and reports whether it has.
func (a *Approvals) change(ctx context.Context, verb string, script *script, args ...any) (approval.Approval, bool, error) {
	reply, err := a.store.run(ctx, script, a.base, args...)
	if err != nil {
		return approval.Approval{}, false, fmt.Errorf("redisstore: %s approval: %w", verb, err)
	}
	changed := true
	if len(reply) > 0 && reply[0] == "current" {
		changed, reply[0] = false, "ok"
	}
	r, err := onlyApproval(verb, reply)
	return r, changed && err == nil, err
}

// one runs a script that returns one approval.
func (a *Approvals) one(ctx context.Context, verb string, script *script, args ...any) (approval.Approval, error) {
	reply, err := a.store.run(ctx, script, a.base, args...)
	if err != nil {
		return approval.Approval{}, fmt.Errorf("redisstore: %s approval: %w", verb, err)
	}
	return onlyApproval(verb, reply)
}

func onlyApproval(verb string, reply []any) (approval.Approval, error) {
	records, err := parseApprovals(verb, reply)
	if err != nil {
		return approval.Approval{}, err
	}
	if len(records) != 1 {
		return approval.Approval{}, fmt.Errorf("redisstore: %s approval: the answer has %d records", verb, len(records))
	}
	return records[0], nil
}

// many runs a script that returns approvals.
func (a *Approvals) many(ctx context.Context, verb string, script *script, args ...any) ([]approval.Approval, error) {
	reply, err := a.store.run(ctx, script, a.base, args...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s approvals: %w", verb, err)
	}
	return parseApprovals(verb, reply)
}

func parseApprovals(verb string, reply []any) ([]approval.Approval, error) {
	records, err := parseReply(reply, approvalState, parseApproval)
	switch {
	case errors.Is(err, approval.ErrNotFound), errors.Is(err, approval.ErrTooMany):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("redisstore: %s approval: %w", verb, err)
	}
	return records, nil
}

// approvalState returns the error that a script reports with word.
func approvalState(word string) error {
	switch word {
	case "absent":
		return approval.ErrNotFound
	case "many":
		return approval.ErrTooMany
	case "taken":
		return errors.New("ID already exists")
	}
	return errReply
}

// parseApproval reads the fields of a record.
func parseApproval(id string, asOf time.Time, f *fields) approval.Approval {
	return approval.Approval{
		ID: id,
		Call: approval.Call{
			Tenant: f.values["tenant"], Subject: read(f, "subject", parsePrincipalKey), Actor: read(f, "actor", parsePrincipalKey),
			Tool: f.values["tool"], Version: f.values["version"], Arguments: f.values["arguments"],
		},
		Rule: approval.Rule{
			Consent: read(f, "consent", strconv.ParseBool), Roles: read(f, "roles", approvals.ParseRoles), Count: read(f, "needed", strconv.Atoi),
		},
		Created:   read(f, "created", parseTime),
		Expires:   read(f, "expires", parseTime),
		Used:      optional(f, "used", parseTime),
		Decisions: read(f, "decisions", approvals.ParseDecisions),
		AsOf:      asOf,
	}
}

func parsePrincipalKey(text string) (key gatehouse.Key, err error) {
	err = key.UnmarshalText([]byte(text))
	return key, err
}
