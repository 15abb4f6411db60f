// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/session"
)

func TestFaults(t *testing.T) {
	contract.Faulty[session.Store]{
		New:     func(fault string) session.Store { return newFaulty(contract.Fault(fault)) },
		Wait:    func(s session.Store) { s.(*faulty).Wait() },
		Timeout: time.Second,
	}.TestFaults(t, rulesOf(), faults)
}

// faulty is a store with one fault, or without any.
type faulty struct {
	*contract.Table[session.Record]
	owners map[string]session.Session               // the index, by ID
	listed map[session.Selector][2][]session.Record // the results of List, and copies of them
}

func newFaulty(fault contract.Fault) *faulty {
	table := &contract.Table[session.Record]{
		Fault: fault, NotFound: session.ErrNotFound, Exists: session.ErrConflict,
		AsOf: func(r *session.Record) *time.Time { return &r.AsOf },
	}
	if fault == "create reports a conflict as another error" {
		table.Exists = nil
	}
	return &faulty{table, make(map[string]session.Session), make(map[session.Selector][2][]session.Record)}
}

var faults = slices.Concat(
	contract.ClockFaults(), contract.CreateFaults("create"),
	contract.FieldFaults[session.Record]("create", "ID", "AsOf"), contract.FieldFaults[session.Record]("swap", "ID", "AsOf"),
	contract.FieldFaults[session.Record]("touch", "ID", "AsOf"),
	contract.MatchFaults("delete all", "subject", "sid"), contract.MatchFaults("list", "subject", "sid"),
	[]string{
		"clock of the record is missing", "clocks differ",
		"create keeps what it is given", "create reports a conflict as another error", "create does not replace the expired",
		"create keeps the rest of the expired", "create keeps the owner of the expired",
		"strings are folded", "strings are trimmed", "tokens are cut", "numbers are normalized", "idle in seconds",
		"idle is not truncated", "lifetime is not truncated", "claim is not truncated",
		"get ignores the context", "get ignores case", "get trims", "get invents a record", "get takes prefixes",
		"get ignores the absolute timeout", "get ignores the idle timeout", "get is early",
		"swap ignores the context", "swap invents a record", "swap reads then writes", "swap ignores the version",
		"swap takes an earlier version for missing", "swap reports missing as conflict", "swap reports conflict as missing",
		"swap finds the expired", "swap restarts the lifetime", "swap does not extend", "swap keeps the last use", "swap keeps the version", "swap keeps the claim",
		"swap never claims", "swap claims a minute", "swap keeps the principal", "swap keeps the tokens", "swap keeps the tokens for none",
		"new ID keeps the old", "new ID overwrites", "new ID loses its owner", "new ID does not replace the expired", "new ID conflicts with itself",
		"new ID keeps the owner of the expired", "new ID never expires", "new ID is ignored", "new ID starts at version one", "new ID drops the claim",
		"new ID removes before it checks", "new ID checks then writes", "new ID restores what it has read",
		"touch ignores the context", "touch invents a record", "touch reads then writes", "touch does nothing", "touch answers early", "touch deletes the record",
		"touch ignores the interval", "touch never writes", "touch hides that it did", "touch is always reported", "touch finds the expired",
		"touch does not extend", "touch checks then writes",
		"delete ignores the context", "delete does nothing", "delete fails for missing", "delete takes prefixes", "delete keeps the owner",
		"delete all ignores the context", "delete all does nothing", "delete all reads then writes", "delete all ignores issuer", "delete all ignores except",
		"delete all takes patterns", "delete all joins names", "delete all counts the expired", "delete all counts nothing", "delete all counts except",
		"delete all counts what another removed",
		"list ignores the context", "list ignores the limit", "list takes the limit 0 for none", "list is unordered", "list is reversed",
		"list is by creation", "list ignores issuer", "list ignores except", "list takes patterns", "list joins names", "list returns the expired",
		"list limits before it filters", "list counts except", "list returns the principal", "list returns the tokens", "list has no version", "list shares memory",
	},
)

// truncate truncates a duration to microseconds.
func (f *faulty) truncate(name string, d time.Duration) time.Duration {
	switch {
	case f.Is(name, "is not truncated"):
		return d
	case f.Is(name, "in seconds"):
		return d.Truncate(time.Second)
	}
	return d.Truncate(time.Microsecond)
}

// expired reports whether a method takes a session for expired.
func (f *faulty) expired(method string, r *session.Record, now time.Time) bool {
	if f.Is(method, "finds the expired") || f.Is("new ID never expires") && r.Version > 1 && strings.HasPrefix(r.ID, "Session") {
		return false
	}
	if f.Is("get is early") {
		now = now.Add(30 * time.Millisecond)
	}
	seen := r.LastSeen
	if f.Is("touch does not extend") && r.Version == 1 || f.Is("swap does not extend") && r.Version > 1 {
		seen = r.Created
	}
	return !now.Before(r.Expires) && !f.Is("get ignores the absolute timeout") || !now.Before(seen.Add(r.Idle)) && !f.Is("get ignores the idle timeout")
}

// find returns the record of a session that is not expired, or nil.
func (f *faulty) find(method, id string, now time.Time) *session.Record {
	if r := f.Records[id]; r != nil && !f.expired(method, r, now) {
		return r
	}
	return nil
}

// prefixed returns an existing ID that begins with id if the fault is that method
// takes prefixes.
func (f *faulty) prefixed(method, id string) string {
	for other := range f.Records {
		if f.Is(method, "takes prefixes") && id != "" && strings.HasPrefix(other, id) {
			return other
		}
	}
	return id
}

func (f *faulty) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	replace := func(old *session.Record, now time.Time) bool {
		return f.expired("create", old, now) && !f.Is("create does not replace the expired")
	}
	return f.Table.Create(ctx, "create", r.ID, replace, func(now time.Time) session.Record {
		c := r
		if !f.Is("create keeps what it is given") {
			c.Claimed, c.Created, c.LastSeen, c.Version = time.Time{}, now, now, 1
		}
		c.Idle, c.Expires = f.truncate("idle", r.Idle), now.Add(f.truncate("lifetime", lifetime))
		switch f.Fault {
		case "strings are folded":
			c.Subject = strings.ToLower(c.Subject)
		case "strings are trimmed":
			c.Label = strings.TrimSpace(c.Label)
		case "tokens are cut":
			c.Tokens = c.Tokens[:min(len(c.Tokens), 1<<16)]
		case "numbers are normalized":
			c.Subject = strings.TrimLeft(c.Subject, "0")
		case "create keeps the rest of the expired":
			if old := f.Records[r.ID]; old != nil {
				c.Version, c.Claimed = old.Version, old.Claimed
			}
		}
		if _, ok := f.owners[r.ID]; !ok || !f.Is("create keeps the owner of the expired") && !f.Is("delete keeps the owner") {
			f.owners[r.ID] = c.Session
		}
		return c
	})
}

func (f *faulty) Get(ctx context.Context, id string) (session.Record, error) {
	f.Lock()
	id = f.prefixed("get", id)
	f.Unlock()
	r, err := f.Find(ctx, "get", id)
	if err == nil && r.ID != "" && f.expired("get", &r, f.Now()) {
		return session.Record{}, session.ErrNotFound
	}
	if f.Is("clocks differ") {
		r.AsOf = r.AsOf.Add(-time.Second)
	}
	return r, err
}

func (f *faulty) Swap(ctx context.Context, id string, version int64, c session.Change) (session.Record, error) {
	if err := f.Err(ctx, "swap"); err != nil {
		return session.Record{}, err
	}
	f.Lock()
	defer f.Unlock()
	now := f.Now()
	old := f.find("swap", id, now)
	switch {
	case old != nil:
	case f.Is("swap invents a record"):
		return session.Record{}, nil
	case f.Is("swap reports missing as conflict"):
		return session.Record{}, session.ErrConflict
	default:
		return session.Record{}, session.ErrNotFound
	}
	r := *old
	f.Yield("swap", &f.Mutex)
	if r.Version != version && !f.Is("swap ignores the version") {
		if f.Is("swap reports conflict as missing") || f.Is("swap takes an earlier version for missing") && version < r.Version {
			return session.Record{}, session.ErrNotFound
		}
		return session.Record{}, session.ErrConflict
	}
	other := f.find("swap", c.ID, now)
	switch {
	case f.Is("new ID does not replace the expired"):
		other = f.Records[c.ID]
	case f.Is("new ID is ignored"):
		c.ID = id
	case f.Is("new ID removes before it checks"):
		delete(f.Records, id)
		f.Records[c.ID] = cmp.Or(f.Records[c.ID], old)
	case f.Is("new ID restores what it has read") && c.ID != id && id != sessionID(1):
		contract.Yield(&f.Mutex)
	case f.Is("new ID checks then writes") && c.ID != id:
		contract.Yield(&f.Mutex)
		if f.Records[id] != old {
			return session.Record{}, session.ErrConflict
		}
	}
	if (c.ID != id || f.Is("new ID conflicts with itself")) && other != nil && !f.Is("new ID overwrites") {
		return session.Record{}, session.ErrConflict
	}
	f.swap(&r, now, c)
	f.Corrupt("swap", &r)
	if !f.Is("new ID keeps the old") {
		delete(f.Records, id)
	}
	if _, ok := f.owners[c.ID]; c.ID != id && !f.Is("new ID loses its owner") && (!ok || !f.Is("new ID keeps the owner of the expired")) {
		f.owners[c.ID] = f.owners[id]
	}
	f.Records[c.ID] = &r
	return f.Out("swap", &r, now), nil
}

// swap changes a record.
func (f *faulty) swap(r *session.Record, now time.Time, c session.Change) {
	old := *r
	r.ID, r.Principal, r.Tokens, r.LastSeen, r.Claimed = c.ID, c.Principal, c.Tokens, now, time.Time{}
	r.Version++
	if claim := f.truncate("claim", c.Claim); claim > 0 {
		r.Claimed = now.Add(claim)
	}
	switch f.Fault {
	case "swap restarts the lifetime":
		r.Expires = now.Add(r.Expires.Sub(r.Created))
	case "swap keeps the last use":
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
	case "new ID starts at version one":
		if c.ID != old.ID {
			r.Version = 1
		}
	case "new ID drops the claim":
		if c.ID != old.ID {
			r.Claimed = time.Time{}
		}
	}
}

var errEarly = errors.New("early")

func (f *faulty) Touch(ctx context.Context, id string, every time.Duration) (bool, error) {
	_, err := f.Change(ctx, "touch", id, func(r *session.Record, now time.Time) error {
		if f.expired("touch", r, now) {
			return session.ErrNotFound
		}
		if now.Sub(r.LastSeen) < every && !f.Is("touch ignores the interval") {
			return errEarly
		}
		if f.Is("touch checks then writes") {
			contract.Yield(&f.Mutex)
			if f.Records[id] == nil {
				return session.ErrNotFound
			}
			*r = *f.Records[id]
		}
		if !f.Is("touch never writes") {
			r.LastSeen = now
		}
		return nil
	})
	switch {
	case errors.Is(err, errEarly):
		return f.Is("touch is always reported"), nil
	case errors.Is(err, session.ErrNotFound):
		return false, nil
	}
	return err == nil && !f.Is("touch hides that it did"), err
}

func (f *faulty) Delete(ctx context.Context, id string) error {
	if err := f.Err(ctx, "delete"); err != nil {
		return err
	}
	f.Lock()
	defer f.Unlock()
	switch {
	case f.Is("delete does nothing"):
		return nil
	case f.Is("delete fails for missing") && f.Records[id] == nil:
		return session.ErrNotFound
	}
	id = f.prefixed("delete", id)
	delete(f.Records, id)
	if !f.Is("delete keeps the owner") {
		delete(f.owners, id)
	}
	return nil
}

// match reports whether a selector matches the session with an ID by its owner.
func (f *faulty) match(method string, sel session.Selector, id string) bool {
	r := f.owners[id]
	if sel.Except == id && sel.Except != "" && !f.Is(method, "ignores except") {
		return false
	}
	if f.Is(method, "joins names") && sel.Subject != "" {
		return sel.Issuer+":"+sel.Subject == r.Issuer+":"+r.Subject && (sel.SID == "" || sel.SID == r.SID)
	}
	pattern := func(filter, name string) string {
		if f.Is(method, "takes patterns") && (filter == "*" || filter != "" && strings.TrimRight(filter, "%_") == name) {
			return name
		}
		return filter
	}
	return (pattern(sel.Issuer, r.Issuer) == r.Issuer || f.Is(method, "ignores issuer")) &&
		f.Matches(method, contract.Field{Name: "subject", Filter: pattern(sel.Subject, r.Subject), Record: r.Subject},
			contract.Field{Name: "sid", Filter: pattern(sel.SID, r.SID), Record: r.SID})
}

func (f *faulty) DeleteAll(ctx context.Context, sel session.Selector) (int, error) {
	if err := f.Err(ctx, "delete all"); err != nil {
		return 0, err
	}
	f.Lock()
	defer f.Unlock()
	now, count, before := f.Now(), 0, 0
	records := maps.Clone(f.Records)
	f.Yield("delete all", &f.Mutex)
	if f.Is("delete all counts what another removed") {
		for id, r := range f.Records {
			if f.match("delete all", sel, id) && !f.expired("delete all", r, now) {
				before++
			}
		}
		contract.Yield(&f.Mutex)
		records = maps.Clone(f.Records)
	}
	for id, r := range records {
		if !f.match("delete all", sel, id) {
			continue
		}
		if !f.Is("delete all does nothing") {
			delete(f.Records, id)
		}
		if !f.expired("delete all", r, now) || f.Is("delete all counts the expired") {
			count++
		}
	}
	switch {
	case f.Is("delete all counts what another removed"):
		return before, nil
	case f.Is("delete all counts nothing"):
		return 0, nil
	case f.Is("delete all counts except") && f.Records[sel.Except] != nil:
		count++
	}
	return count, nil
}

func (f *faulty) List(ctx context.Context, sel session.Selector, limit int) ([]session.Record, error) {
	early := sel // what is filtered before the limit
	if f.Is("list counts except") {
		early.Except = ""
	}
	match := func(r *session.Record, now time.Time) bool {
		return f.match("list", early, r.ID) && (!f.expired("list", r, now) || f.Is("list returns the expired") || f.Is("list limits before it filters"))
	}
	found, err := f.Table.List(ctx, "list", limit, match, func(a, b *session.Record) int {
		if f.Is("list is by creation") {
			return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
		}
		return byLastSeen(*a, *b)
	})
	found = slices.DeleteFunc(found, func(r session.Record) bool {
		return f.Is("list counts except") && r.ID == sel.Except || f.Is("list limits before it filters") && f.expired("list", &r, f.Now())
	})
	for i := range found {
		r := &found[i]
		if !f.Is("list returns the principal") {
			r.Principal = ""
		}
		if !f.Is("list returns the tokens") {
			r.Tokens = ""
		}
		if f.Is("list has no version") {
			r.Version = 0
		}
	}
	if f.Is("list shares memory") && err == nil {
		f.Lock()
		defer f.Unlock()
		same := func(a, b session.Record) bool { b.AsOf = a.AsOf; return a == b }
		if old := f.listed[sel]; slices.EqualFunc(old[1], found, same) {
			return old[0], nil
		}
		f.listed[sel] = [2][]session.Record{found, slices.Clone(found)}
	}
	return found, err
}
