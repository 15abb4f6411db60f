// SPDX-License-Identifier: Apache-2.0

package approvaltest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

func TestFaults(t *testing.T) {
	contract.Faulty[approval.Store]{
		New:  func(fault string) approval.Store { return newFaulty(contract.Fault(fault)) },
		Wait: func(s approval.Store) { s.(*faulty).Wait() },
	}.TestFaults(t, rules, faults)
}

// faulty is a store with one fault, or without any.
type faulty struct {
	*contract.Table[approval.Approval]
}

func newFaulty(fault contract.Fault) *faulty {
	return &faulty{&contract.Table[approval.Approval]{
		Fault: fault, NotFound: approval.ErrNotFound,
		Clone:   func(a approval.Approval) approval.Approval { a.Decisions = slices.Clone(a.Decisions); return a },
		AsOf:    func(a *approval.Approval) *time.Time { return &a.AsOf },
		Records: make(map[string]*approval.Approval),
	}}
}

var faults = slices.Concat(
	contract.ClockFaults(), contract.FindFaults("find"), contract.ChangeFaults("decide"), contract.ChangeFaults("claim"), contract.ListFaults("list"),
	contract.FieldFaults[approval.Approval]("request", "ID", "AsOf", "Decisions"),
	contract.FieldFaults[approval.Approval]("decide", "ID", "AsOf", "Consent"),
	contract.FieldFaults[approval.Approval]("claim", "ID", "AsOf", "Consent", "Used"),
	[]string{
		"clock of the record is missing",
		"request ignores the context", "request reads then writes", "request keeps what it is given", "request overwrites", "request shares memory",
		"request returns no open approval", "request returns no approved approval", "request returns used approvals", "request forgets denials",
		"request ignores again", "request returns denials first", "request returns expired approvals", "request counts other tenants", "request counts tenants by prefix", "request counts other actors",
		"request counts decided approvals", "request counts expired approvals", "request counts nothing", "request counts the open approval",
		"request answers with another error", "lifetime in seconds", "request counts no bytes", "request counts characters", "request counts its own bytes only", "request counts its own bytes for all",
		"digest ignores Tenant", "digest ignores Subject", "digest ignores Actor", "digest ignores Tool", "digest ignores Version", "digest ignores Arguments", "digest ignores Rule",
		"find ignores the tenant", "decide ignores the tenant", "claim ignores the tenant", "tenants are folded", "tenants are trimmed",
		"decide accepts a person twice", "decide folds persons", "decide accepts decided approvals", "decide accepts used approvals", "decide accepts expired approvals",
		"decide keeps the time", "decide drops the comment", "comments end at a zero byte", "one approval suffices", "count is one more", "count is at most two", "denial is an approval", "denial does not end",
		"decide returns the old approval",
		"claim takes pending approvals", "claim takes used approvals", "claim takes expired approvals", "claim takes denied approvals", "claim takes any", "claim uses all",
		"list returns the decided", "list returns the expired", "list returns the decider's", "list ignores the tenant", "list takes tenants by prefix", "list ignores roles", "list returns own calls",
		"list returns own actors", "list returns consent of others", "list returns no consent", "list takes parts of roles", "list folds persons", "list takes no turns", "list takes turns of subjects", "list counts no bytes", "list counts characters", "list skips the large", "list cuts arguments",
	},
)

// key returns the digest by which the store finds an approval.
func (f *faulty) key(a approval.Approval) approval.Digest {
	zero := approval.Approval{}
	switch f.Fault {
	case "digest ignores Tenant":
		a.Tenant = zero.Tenant
	case "digest ignores Subject":
		a.Subject = zero.Subject
	case "digest ignores Actor":
		a.Actor = zero.Actor
	case "digest ignores Tool":
		a.Tool = zero.Tool
	case "digest ignores Version":
		a.Version = zero.Version
	case "digest ignores Arguments":
		a.Arguments = zero.Arguments
	case "digest ignores Rule":
		a.Rule = zero.Rule
	}
	return a.Digest()
}

func (f *faulty) sameTenant(method, a, b string) bool {
	return a == b || f.Is(method, "ignores the tenant") || f.Is("tenants are folded") && strings.EqualFold(a, b) ||
		f.Is("tenants are trimmed") && strings.TrimSpace(a) == strings.TrimSpace(b)
}

// status returns the status at the time now.
func (f *faulty) status(a approval.Approval, now time.Time) approval.Status {
	a.AsOf = now
	s := a.Status()
	switch {
	case s == approval.Pending && f.Is("one approval suffices") && len(a.Decisions) > 0:
		return approval.Approved
	case s == approval.Approved && f.Is("count is one more") && len(a.Decisions) <= max(a.Count, 1):
		return approval.Pending
	case s == approval.Pending && f.Is("count is at most two") && len(a.Decisions) == 2:
		return approval.Approved
	case s == approval.Denied && f.Is("denial does not end") && len(a.Decisions) < 3:
		return approval.Pending
	}
	return s
}

func (f *faulty) Request(ctx context.Context, a approval.Approval, limits approval.Limits, again bool) (approval.Approval, bool, error) {
	if err := f.Err(ctx, "request"); err != nil {
		return approval.Approval{}, false, err
	}
	f.Lock()
	defer f.Unlock()
	now := f.Now()
	var open, denied *approval.Approval
	pending, size := 0, len(a.Arguments)
	if f.Is("request counts characters") {
		size = utf8.RuneCountInString(a.Arguments)
	}
	for _, id := range slices.Sorted(maps.Keys(f.Records)) {
		r := f.Records[id]
		live, status := r.Expires.After(now) || f.Is("request returns expired approvals"), f.status(*r, now)
		if f.key(*r) == f.key(a) && live {
			switch {
			case status == approval.Pending && !f.Is("request returns no open approval"), status == approval.Approved && !f.Is("request returns no approved approval"),
				status == approval.Used && f.Is("request returns used approvals"), status == approval.Expired:
				open = r
			case status == approval.Denied && !f.Is("request forgets denials"):
				denied = r
			}
		}
		same := (r.Tenant == a.Tenant || f.Is("request counts other tenants") || f.Is("request counts tenants by prefix") && strings.HasPrefix(r.Tenant, a.Tenant)) && (r.Actor == a.Actor || f.Is("request counts other actors"))
		if same && (status == approval.Pending || f.Is("request counts decided approvals") && status != approval.Expired || f.Is("request counts expired approvals") && status == approval.Expired) {
			pending++
			switch {
			case f.Is("request counts its own bytes for all"):
				size += len(a.Arguments)
			case !f.Is("request counts its own bytes only"):
				size += len(r.Arguments)
			}
		}
	}
	f.Yield("request", &f.Mutex)
	if f.Is("request counts the open approval") && pending >= limits.Pending {
		return approval.Approval{}, false, approval.ErrTooMany
	}
	if denied != nil && (!again || f.Is("request ignores again")) && (open == nil || f.Is("request returns denials first")) {
		open = denied
	}
	if open != nil {
		return f.Out("request", open, now), false, nil
	}
	if (pending >= limits.Pending && !f.Is("request counts nothing")) || (size > limits.Bytes && !f.Is("request counts no bytes")) {
		if f.Is("request answers with another error") {
			return approval.Approval{}, false, errors.New("too many")
		}
		return approval.Approval{}, false, approval.ErrTooMany
	}
	if f.Records[a.ID] != nil && !f.Is("request overwrites") {
		return approval.Approval{}, false, errors.New("exists")
	}
	r := approval.Approval{ID: a.ID, Call: a.Call, Rule: a.Rule}
	if f.Is("request keeps what it is given") {
		r = a
	}
	if f.Is("lifetime in seconds") {
		limits.Lifetime = limits.Lifetime.Truncate(time.Second)
	}
	r.Created, r.Expires = now, now.Add(limits.Lifetime)
	f.Corrupt("request", &r)
	f.Records[a.ID] = &r
	return f.Out("request", &r, now), true, nil
}

func (f *faulty) Find(ctx context.Context, tenant, id string) (approval.Approval, error) {
	a, err := f.Table.Find(ctx, "find", id)
	if err == nil && !f.sameTenant("find", a.Tenant, tenant) && !f.Is("find invents a record") {
		return approval.Approval{}, approval.ErrNotFound
	}
	return a, err
}

func (f *faulty) Decide(ctx context.Context, tenant, id string, d approval.Decision) (approval.Approval, bool, error) {
	decided := false
	var old approval.Approval
	a, err := f.Change(ctx, "decide", id, func(r *approval.Approval, now time.Time) error {
		if !f.sameTenant("decide", r.Tenant, tenant) {
			return approval.ErrNotFound
		}
		old = *r
		repeated := slices.ContainsFunc(r.Decisions, func(other approval.Decision) bool {
			return other.Decider == d.Decider || f.Is("decide folds persons") && strings.EqualFold(other.Decider.Subject, d.Decider.Subject)
		})
		status := f.status(*r, now)
		if repeated && !f.Is("decide accepts a person twice") ||
			status == approval.Used && !f.Is("decide accepts used approvals") || status == approval.Expired && !f.Is("decide accepts expired approvals") ||
			(status == approval.Approved || status == approval.Denied) && !f.Is("decide accepts decided approvals") {
			return nil
		}
		if !f.Is("decide keeps the time") {
			d.Time = now
		}
		switch f.Fault {
		case "decide drops the comment":
			d.Comment = ""
		case "comments end at a zero byte":
			d.Comment, _, _ = strings.Cut(d.Comment, "\x00")
		case "denial is an approval":
			d.Approve = true
		}
		r.Decisions, decided = append(slices.Clone(r.Decisions), d), true
		return nil
	})
	if f.Is("decide returns the old approval") && decided {
		a.Decisions = old.Decisions
	}
	return a, decided && err == nil, err
}

func (f *faulty) Claim(ctx context.Context, tenant string, digest approval.Digest) (approval.Approval, error) {
	f.Lock()
	now := f.Now()
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(f.Records)) {
		r := f.Records[id]
		status := f.status(*r, now)
		matches := r.Digest() == digest || f.Is("claim takes any")
		if matches && f.sameTenant("claim", r.Tenant, tenant) && f.claimable(status) {
			ids = append(ids, id)
		}
		if f.Is("claim uses all") && r.Digest() != digest && status == approval.Approved {
			used := *r
			used.Used = now
			f.Records[id] = &used
		}
	}
	f.Unlock()
	if len(ids) == 0 {
		ids = []string{"absent"}
	}
	return f.Change(ctx, "claim", ids[0], func(r *approval.Approval, now time.Time) error {
		if !f.claimable(f.status(*r, now)) {
			return approval.ErrNotFound
		}
		r.Used = now
		return nil
	})
}

func (f *faulty) claimable(status approval.Status) bool {
	return status == approval.Approved || f.Is("claim takes "+string(status)+" approvals")
}

func (f *faulty) List(ctx context.Context, filter approval.Filter, limit, maxBytes int) ([]approval.Approval, error) {
	var matching []*approval.Approval
	match := func(a *approval.Approval, now time.Time) (matches bool) {
		defer func() {
			if matches {
				matching = append(matching, a)
			}
		}()
		status := f.status(*a, now)
		if status == approval.Expired && f.Is("list returns the expired") || f.Is("list returns the decided") && status != approval.Expired {
			status = approval.Pending
		}
		shown, seen := *a, filter
		switch {
		case f.Is("list returns the decider's"):
			shown.Decisions = nil
		case f.Is("list ignores the tenant"):
			seen.Tenant = a.Tenant
		case f.Is("list takes tenants by prefix") && strings.HasPrefix(seen.Tenant, a.Tenant):
			seen.Tenant = a.Tenant
		case f.Is("list ignores roles"):
			seen.Roles = a.Roles
		case f.Is("list returns own calls") && !a.Consent && a.Subject == seen.Decider:
			shown.Subject.Subject = "x"
		case f.Is("list returns own actors") && !a.Consent && a.Actor == seen.Decider:
			shown.Actor.Subject = "x"
		case f.Is("list returns consent of others") && a.Consent:
			shown.Subject = seen.Decider
		case f.Is("list returns no consent") && a.Consent:
			return false
		case f.Is("list folds persons") && !a.Consent && strings.EqualFold(a.Subject.Subject, seen.Decider.Subject):
			return false
		case f.Is("list takes parts of roles"):
			for role := range a.Roles.All() {
				for has := range seen.Roles.All() {
					if strings.Contains(role, has) {
						seen.Roles = a.Roles
					}
				}
			}
		}
		return status == approval.Pending && seen.Matches(shown)
	}
	newest := func(a, b *approval.Approval) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	}
	turn := func(a *approval.Approval) (n int) {
		for _, b := range matching {
			same := b.Actor == a.Actor
			if f.Is("list takes turns of subjects") {
				same = b.Subject == a.Subject
			}
			if same && newest(b, a) < 0 && !f.Is("list takes no turns") {
				n++
			}
		}
		return n
	}
	listed, err := f.Table.List(ctx, "list", limit, match, func(a, b *approval.Approval) int {
		return cmp.Or(cmp.Compare(turn(a), turn(b)), newest(a, b))
	})
	var first []approval.Approval
	for _, a := range listed {
		size := len(a.Arguments)
		if f.Is("list counts characters") {
			size = utf8.RuneCountInString(a.Arguments)
		}
		switch {
		case size <= maxBytes || f.Is("list counts no bytes"):
		case f.Is("list skips the large"):
			continue
		case f.Is("list cuts arguments"):
			a.Arguments = a.Arguments[:maxBytes]
		default:
			a.Arguments = ""
		}
		first = append(first, a)
	}
	return first, err
}
