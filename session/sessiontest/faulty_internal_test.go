// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/session"
)

// faulty is a store with one fault in it, which its name says. Without a fault
// it keeps the contract.
type faulty struct {
	fault   string
	mu      sync.Mutex
	records map[string]*session.Record
	listed  map[session.Selector][2][]session.Record // what a fault hands out again, and what was in it
	owners  map[string]session.Session
}

func newFaulty(fault string) *faulty {
	return &faulty{fault: fault, records: make(map[string]*session.Record), owners: make(map[string]session.Session), listed: make(map[session.Selector][2][]session.Record)}
}

// faults are all that faulty can have.
var faults = []string{
	"create overwrites", "create keeps what it is given", "create has no version", "create claims", "create ignores the context",
	"create reports another error as conflict", "create reports conflict as another error", "create reads then writes",
	"create takes what is over for taken", "create leaves the rest of what is over", "create leaves the owner of what is over",
	"strings are folded", "strings are trimmed", "tokens are cut", "subject is required", "numbers are normalized", "idle in seconds",
	"idle is not cut", "lifetime is not cut", "claim is not cut", "label is dropped",
	"get ignores case", "get invents", "get trims", "get ignores the context", "get ignores the deadline", "get ignores idleness",
	"get is early", "get knows prefixes",
	"swap ignores the version", "swap takes an older version for none", "swap revives", "swap invents", "swap moves the deadline", "swap moves creation",
	"swap keeps the last call", "swap keeps the version", "swap keeps the claim", "swap never claims", "swap claims a minute",
	"swap keeps the principal", "swap keeps the tokens", "swap keeps the tokens for none", "swap drops the label", "swap ignores the context", "swap reads then writes",
	"swap reports missing as conflict", "swap reports conflict as missing", "swap starts the lifetime again", "swap does not prolong",
	"new id leaves the old", "new id overwrites", "new id loses its owner", "new id refuses what is over", "new id refuses itself", "new id leaves the owner of what is over",
	"new id never ends", "new id reads then writes", "new id is ignored", "new id starts at version one", "new id forgets the claim", "new id removes before it looks",
	"new id writes what it has read",
	"touch ignores the pause", "touch grows the version", "touch invents", "touch ignores the context", "touch writes what it has read",
	"touch hides that it did", "touch is reported always", "touch revives", "touch does not prolong", "touch moves the deadline", "touch never comes", "touch changes nothing", "touch drops the claim",
	"touch decides then writes",
	"delete fails for none", "delete ignores the context", "delete does nothing", "delete knows prefixes", "delete leaves the owner",
	"delete all ignores issuer", "delete all ignores subject", "delete all ignores sid", "delete all ignores except", "delete all counts what is over",
	"delete all takes either", "delete all takes nobody for anybody", "delete all ignores the context", "delete all joins names", "delete all does nothing",
	"delete all counts nothing", "delete all reads then writes", "delete all knows patterns", "delete all folds case", "delete all counts except", "delete all counts what another has removed",
	"list ignores issuer", "list ignores subject", "list ignores sid", "list ignores except", "list ignores the limit", "list is unordered", "list is oldest first",
	"list is in order of creation", "list returns what is over", "list limits before it looks", "list tells the principal", "list tells the tokens", "list takes either",
	"list takes nobody for anybody", "list ignores the context", "list joins names", "list shares", "list knows patterns", "list has no version",
	"list counts except", "list takes no limit for none",
	"clock is local", "clock has nanoseconds", "clock stands still", "clock of the record is missing", "clock runs back", "clocks differ",
}

func (f *faulty) is(fault string) bool { return f.fault == fault }

func (f *faulty) now() time.Time { return contract.Fault(f.fault).Now() }

// span is a duration as it is kept.
func (f *faulty) span(name string, d time.Duration) time.Duration {
	switch {
	case f.is(name + " is not cut"):
		return d
	case f.is(name + " in seconds"):
		return d.Truncate(time.Second)
	}
	return d.Truncate(time.Microsecond)
}

// ended says whether a call ends because its context is over.
func (f *faulty) ended(ctx context.Context, verb string) error {
	if f.is(verb + " ignores the context") {
		return nil
	}
	return ctx.Err()
}

func (f *faulty) over(r *session.Record, now time.Time, verb string) bool {
	if f.is(verb+" revives") || f.is("new id never ends") && r.Version > 1 && strings.HasPrefix(r.ID, "Session") {
		return false
	}
	if f.is("get is early") {
		now = now.Add(30 * time.Millisecond)
	}
	seen := r.LastSeen
	if f.is("touch does not prolong") && r.Version == 1 || f.is("swap does not prolong") && r.Version > 1 {
		seen = r.Created
	}
	return !now.Before(r.Expires) && !f.is("get ignores the deadline") ||
		!now.Before(seen.Add(r.Idle)) && !f.is("get ignores idleness")
}

// find returns the record of an id, if it is not over.
func (f *faulty) find(id string, now time.Time, verb string) *session.Record {
	if r := f.records[id]; r != nil && !f.over(r, now, verb) {
		return r
	}
	return nil
}

func (f *faulty) out(r *session.Record, now time.Time) session.Record {
	c := *r
	if !f.is("clock of the record is missing") {
		c.AsOf = now
	}
	return c
}

func (f *faulty) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	if err := f.ended(ctx, "create"); err != nil {
		if f.is("create reports another error as conflict") {
			err = session.ErrConflict
		}
		return session.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	old := f.find(r.ID, now, "create")
	if f.is("create takes what is over for taken") {
		old = f.records[r.ID]
	}
	if f.is("create reads then writes") {
		contract.Yield(&f.mu)
	}
	if old != nil && !f.is("create overwrites") {
		if f.is("create reports conflict as another error") {
			return session.Record{}, errors.New("taken")
		}
		return session.Record{}, session.ErrConflict
	}
	c := r
	if !f.is("create keeps what it is given") {
		c.Claimed, c.Created, c.LastSeen, c.Version = time.Time{}, now, now, 1
	}
	c.Idle, c.Expires = f.span("idle", r.Idle), now.Add(f.span("lifetime", lifetime))
	switch f.fault {
	case "create has no version":
		c.Version = 0
	case "create claims":
		c.Claimed = now.Add(time.Minute)
	case "strings are folded":
		c.Subject = strings.ToLower(c.Subject)
	case "strings are trimmed":
		c.Label = strings.TrimSpace(c.Label)
	case "tokens are cut":
		c.Tokens = c.Tokens[:min(len(c.Tokens), 1<<16)]
	case "subject is required":
		if c.Subject == "" {
			return session.Record{}, errors.New("no subject")
		}
	case "numbers are normalized":
		c.Subject = strings.TrimLeft(c.Subject, "0")
	case "label is dropped":
		c.Label = ""
	case "create leaves the rest of what is over":
		if old := f.records[r.ID]; old != nil {
			c.Version, c.Claimed = old.Version, old.Claimed
		}
	}
	if _, kept := f.owners[r.ID]; !kept || !f.is("create leaves the owner of what is over") && !f.is("delete leaves the owner") {
		f.owners[r.ID] = c.Session
	}
	f.records[r.ID] = &c
	return f.out(&c, now), nil
}

func (f *faulty) Get(ctx context.Context, id string) (session.Record, error) {
	if err := f.ended(ctx, "get"); err != nil {
		return session.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for other := range maps.Clone(f.records) {
		switch {
		case f.is("get ignores case") && strings.EqualFold(other, id),
			f.is("get trims") && other == strings.TrimSpace(id),
			f.is("get knows prefixes") && id != "" && strings.HasPrefix(other, id):
			id = other
		}
	}
	r := f.find(id, now, "get")
	if r == nil {
		if f.is("get invents") {
			return session.Record{}, nil
		}
		return session.Record{}, session.ErrNotFound
	}
	if f.is("clocks differ") {
		now = now.Add(-time.Second)
	}
	return f.out(r, now), nil
}

func (f *faulty) Swap(ctx context.Context, id string, version int64, c session.Change) (session.Record, error) {
	if err := f.ended(ctx, "swap"); err != nil {
		return session.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	old := f.find(id, now, "swap")
	if old == nil {
		switch {
		case f.is("swap invents"):
			return session.Record{}, nil
		case f.is("swap reports missing as conflict"):
			return session.Record{}, session.ErrConflict
		}
		return session.Record{}, session.ErrNotFound
	}
	r := *old
	if f.is("swap reads then writes") {
		contract.Yield(&f.mu)
	}
	if r.Version != version && !f.is("swap ignores the version") {
		if f.is("swap reports conflict as missing") || f.is("swap takes an older version for none") && version < r.Version {
			return session.Record{}, session.ErrNotFound
		}
		return session.Record{}, session.ErrConflict
	}
	other := f.find(c.ID, now, "swap")
	switch {
	case f.is("new id refuses what is over"):
		other = f.records[c.ID]
	case f.is("new id is ignored"):
		c.ID = id
	case f.is("new id removes before it looks"):
		delete(f.records, id)
		f.records[c.ID] = cmp.Or(f.records[c.ID], old)
	case f.is("new id writes what it has read") && c.ID != id && id != sessionID(1):
		contract.Yield(&f.mu)
	case f.is("new id reads then writes") && c.ID != id:
		contract.Yield(&f.mu)
		if f.records[id] != old {
			return session.Record{}, session.ErrConflict
		}
	}
	if (c.ID != id || f.is("new id refuses itself")) && other != nil && !f.is("new id overwrites") {
		return session.Record{}, session.ErrConflict
	}
	next := f.swapped(r, now, c)
	if !f.is("new id leaves the old") {
		delete(f.records, id)
	}
	owner, kept := f.owners[id], f.is("new id leaves the owner of what is over")
	if _, ok := f.owners[c.ID]; c.ID != id && !f.is("new id loses its owner") && (!ok || !kept) {
		f.owners[c.ID] = owner
	}
	f.records[c.ID] = &next
	return f.out(&next, now), nil
}

// swapped is what a swap makes of a record.
func (f *faulty) swapped(r session.Record, now time.Time, c session.Change) session.Record {
	old := r
	r.ID, r.Principal, r.Tokens, r.LastSeen, r.Claimed = c.ID, c.Principal, c.Tokens, now, time.Time{}
	r.Version++
	if claim := f.span("claim", c.Claim); claim > 0 {
		r.Claimed = now.Add(claim)
	}
	switch f.fault {
	case "swap moves the deadline":
		r.Expires = r.Expires.Add(time.Millisecond)
	case "swap starts the lifetime again":
		r.Expires = now.Add(r.Expires.Sub(r.Created))
	case "swap moves creation":
		r.Created = now
	case "swap keeps the last call":
		r.LastSeen = old.LastSeen
	case "swap keeps the version":
		r.Version = old.Version
	case "swap keeps the claim":
		if r.Claimed.IsZero() {
			r.Claimed = old.Claimed
		}
	case "swap never claims":
		r.Claimed = time.Time{}
	case "swap claims a minute":
		if c.Claim > 0 {
			r.Claimed = now.Add(time.Minute)
		}
	case "swap keeps the principal":
		r.Principal = old.Principal
	case "swap keeps the tokens":
		r.Tokens = old.Tokens
	case "swap keeps the tokens for none":
		r.Tokens = cmp.Or(r.Tokens, old.Tokens)
	case "swap drops the label":
		r.Label = ""
	}
	if c.ID != old.ID {
		switch f.fault {
		case "new id starts at version one":
			r.Version = 1
		case "new id forgets the claim":
			r.Claimed = time.Time{}
		}
	}
	return r
}

func (f *faulty) Touch(ctx context.Context, id string, every time.Duration) (bool, error) {
	if err := f.ended(ctx, "touch"); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	old := f.find(id, now, "touch")
	if old == nil {
		return f.is("touch invents"), nil
	}
	r := *old
	if f.is("touch writes what it has read") {
		contract.Yield(&f.mu)
	}
	if now.Sub(r.LastSeen) < every && !f.is("touch ignores the pause") || f.is("touch never comes") {
		return f.is("touch is reported always"), nil
	}
	if f.is("touch decides then writes") {
		contract.Yield(&f.mu)
		if f.records[id] == nil {
			return false, nil
		}
		r = *f.records[id]
	}
	if !f.is("touch changes nothing") {
		r.LastSeen = now
	}
	switch f.fault {
	case "touch grows the version":
		r.Version++
	case "touch moves the deadline":
		r.Expires = r.Expires.Add(time.Millisecond)
	case "touch drops the claim":
		r.Claimed = time.Time{}
	}
	f.records[id] = &r
	return !f.is("touch hides that it did"), nil
}

func (f *faulty) Delete(ctx context.Context, id string) error {
	if err := f.ended(ctx, "delete"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.is("delete does nothing"):
		return nil
	case f.is("delete fails for none") && f.records[id] == nil:
		return session.ErrNotFound
	}
	for other := range f.records {
		if f.is("delete knows prefixes") && id != "" && strings.HasPrefix(other, id) {
			id = other
		}
	}
	delete(f.records, id)
	if !f.is("delete leaves the owner") {
		delete(f.owners, id)
	}
	return nil
}

func (f *faulty) match(verb string, sel session.Selector, id string) bool {
	r := f.owners[id]
	if sel.Subject == "" && sel.SID == "" && !f.is(verb+" takes nobody for anybody") ||
		sel.Except == id && sel.Except != "" && !f.is(verb+" ignores except") {
		return false
	}
	same := func(asked, has string) bool {
		return asked == has || f.is(verb+" folds case") && strings.EqualFold(asked, has) ||
			f.is(verb+" knows patterns") && asked == "*" || f.is(verb+" knows patterns") && strings.TrimRight(asked, "%_") == has
	}
	if f.is(verb+" joins names") && sel.Subject != "" {
		return sel.Issuer+":"+sel.Subject == r.Issuer+":"+r.Subject && (sel.SID == "" || sel.SID == r.SID)
	}
	issuer := same(sel.Issuer, r.Issuer) || f.is(verb+" ignores issuer")
	subject := sel.Subject == "" || same(sel.Subject, r.Subject) || f.is(verb+" ignores subject")
	sid := sel.SID == "" || same(sel.SID, r.SID) || f.is(verb+" ignores sid")
	if f.is(verb+" takes either") && sel.Subject != "" && sel.SID != "" {
		return issuer && (subject || sid)
	}
	return issuer && subject && sid
}

func (f *faulty) DeleteAll(ctx context.Context, sel session.Selector) (int, error) {
	if err := f.ended(ctx, "delete all"); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now, count := f.now(), 0
	records := maps.Clone(f.records)
	if f.is("delete all reads then writes") {
		contract.Yield(&f.mu)
	}
	before := 0
	if f.is("delete all counts what another has removed") {
		for id, r := range f.records {
			if f.match("delete all", sel, id) && !f.over(r, now, "delete all") {
				before++
			}
		}
		contract.Yield(&f.mu)
		records = maps.Clone(f.records)
	}
	for id, r := range records {
		if !f.match("delete all", sel, id) {
			continue
		}
		if !f.is("delete all does nothing") {
			delete(f.records, id)
		}
		if !f.over(r, now, "delete all") || f.is("delete all counts what is over") {
			count++
		}
	}
	switch {
	case f.is("delete all counts what another has removed"):
		return before, nil
	case f.is("delete all counts nothing"):
		return 0, nil
	case f.is("delete all counts except") && f.records[sel.Except] != nil:
		count++
	}
	return count, nil
}

func (f *faulty) List(ctx context.Context, sel session.Selector, limit int) ([]session.Record, error) {
	if err := f.ended(ctx, "list"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var found []session.Record
	for id, r := range f.records {
		if !f.match("list", sel, id) || f.over(r, now, "list") && !f.is("list returns what is over") && !f.is("list limits before it looks") {
			continue
		}
		c := f.out(r, now)
		if !f.is("list tells the principal") {
			c.Principal = ""
		}
		if !f.is("list tells the tokens") {
			c.Tokens = ""
		}
		if f.is("list has no version") {
			c.Version = 0
		}
		found = append(found, c)
	}
	slices.SortFunc(found, func(a, b session.Record) int {
		byTime := b.LastSeen.Compare(a.LastSeen)
		switch f.fault {
		case "list is unordered":
			byTime = 0
		case "list is oldest first":
			byTime = -byTime
		case "list is in order of creation":
			byTime = b.Created.Compare(a.Created)
		}
		return cmp.Or(byTime, cmp.Compare(a.ID, b.ID))
	})
	switch {
	case f.is("list ignores the limit"), f.is("list takes no limit for none") && limit == 0:
	case f.is("list counts except") && f.records[sel.Except] != nil:
		found = found[:min(len(found), max(limit-1, 0))]
	default:
		found = found[:min(len(found), limit)]
	}
	if f.is("list limits before it looks") {
		found = slices.DeleteFunc(found, func(r session.Record) bool { return f.over(&r, now, "list") })
	}
	if f.is("list shares") {
		same := func(a, b session.Record) bool { b.AsOf = a.AsOf; return a == b }
		if old := f.listed[sel]; slices.EqualFunc(old[1], found, same) {
			return old[0], nil
		}
		f.listed[sel] = [2][]session.Record{found, slices.Clone(found)}
	}
	return found, nil
}
