// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// faulty is a store with one fault in it, which its name says. Without a fault
// it keeps the contract.
type faulty struct {
	fault   string
	mu      sync.Mutex
	records map[string]*apikey.Record
	late    sync.WaitGroup // what a fault does after it has answered
}

func newFaulty(fault string) *faulty {
	return &faulty{fault: fault, records: make(map[string]*apikey.Record)}
}

// faults are all that faulty can have.
var faults = []string{
	"create overwrites", "create keeps what it is given", "create shares", "create has no generation",
	"create reports another error as missing", "create ignores the context", "create reads then writes",
	"find ignores case", "find invents", "find shares", "find ignores the context", "find trims",
	"rotate ignores generation", "rotate revives revoked", "rotate revives expired", "rotate lets the old secret outlive itself",
	"rotate keeps the oldest secret", "rotate ignores the cap", "rotate drops the old secret", "rotate resumes", "rotate forgets usage",
	"rotate extends from the old end", "rotate keeps the generation", "rotate ignores the context", "rotate reads then writes", "rotate without condition reads then writes",
	"rotate has no grace", "rotate reports missing as conflict", "rotate reports conflict as missing",
	"rotate changes the cap for good", "rotate moves creation", "rotate shares",
	"revoke again moves the time", "revoke answers early", "revoke deletes", "revoke invents", "revoke ignores expired",
	"revoke ignores the context", "revoke reads then writes", "revoke drops the secrets", "revoke shares", "revoke lets the id be taken",
	"revoke all ignores tenant", "revoke all ignores owner", "revoke all ignores the limit", "revoke all moves the time",
	"revoke all takes prefixes", "revoke all joins names", "revoke all takes no tenant for any", "revoke all answers without doing",
	"revoke all ignores the context", "revoke all ignores any tenant", "revoke all returns all", "revoke all shares", "revoke all stops short", "revoke all reads then writes",
	"suspend again moves the time", "suspend resumes revoked", "suspend never ends", "suspend ignores the context", "suspend invents",
	"suspend reads then writes", "suspend shares",
	"touch ignores the pause", "touch writes once", "touch invents", "touch loses uses", "touch ignores the context", "touch reads then writes", "touch adds to what it has read",
	"touch hides that it wrote", "touch keeps small counts", "touch sets no time",
	"list is unordered", "list ignores after", "list includes after", "list ignores tenant", "list ignores owner", "list ignores the limit",
	"list hides revoked", "list moves the rotated", "list shares", "list ignores the context", "list takes no tenant for any", "list joins names",
	"list compares only time", "list looks after up",
	"due includes revoked", "due includes expired", "due includes all", "due is in order of creation", "due ignores tenant", "due hides suspended",
	"due forgets rotation",
	"clock is local", "clock has nanoseconds", "clock stands still", "clock of the record is missing", "clock runs back", "clocks differ",
	"metadata is normalized", "pepper is small", "hash ends at zero", "lifetime in seconds", "owner is folded", "networks are dropped", "scopes are dropped",
}

func (f *faulty) is(fault string) bool { return f.fault == fault }

func (f *faulty) now() time.Time { return contract.Fault(f.fault).Now() }

// over says whether a call ends because its context is over.
func (f *faulty) over(ctx context.Context, verb string) error {
	verb, _, _ = strings.Cut(verb, " without")
	if f.is(verb + " ignores the context") {
		return nil
	}
	return ctx.Err()
}

func (f *faulty) out(r *apikey.Record, now time.Time, verb string) apikey.Record {
	c := *r
	if !f.is(verb + " shares") {
		c.Networks = slices.Clone(r.Networks)
	}
	if !f.is("clock of the record is missing") {
		c.AsOf = now
	}
	if f.is("clocks differ") && verb == "find" {
		c.AsOf = now.Add(-time.Second)
	}
	return c
}

func (f *faulty) Create(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	if err := f.over(ctx, "create"); err != nil {
		if f.is("create reports another error as missing") {
			err = apikey.ErrNotFound
		}
		return apikey.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.is("create reads then writes") && f.records[r.ID] == nil {
		contract.Yield(&f.mu)
	} else if old := f.records[r.ID]; old != nil && !f.is("create overwrites") && (!f.is("revoke lets the id be taken") || old.Revoked.IsZero()) {
		return apikey.Record{}, errors.New("taken")
	}
	now := f.now()
	c := r
	if !f.is("create keeps what it is given") {
		c.GraceEnds, c.Revoked, c.Suspended, c.LastUsed, c.Uses, c.Previous = time.Time{}, time.Time{}, time.Time{}, time.Time{}, 0, apikey.Hash{}
	}
	if !f.is("create shares") {
		c.Networks = slices.Clone(r.Networks)
	}
	c.Created, c.Rotated, c.Expires, c.Generation = now, now, now.Add(r.Lifetime), 1
	switch f.fault {
	case "create has no generation":
		c.Generation = 0
	case "metadata is normalized":
		var v map[string]any
		_ = json.Unmarshal([]byte(c.Metadata.String()), &v)
		b, _ := json.Marshal(v)
		c.Metadata = gatehouse.VerifiedClaims(string(b))
	case "pepper is small":
		c.Current.Pepper &= 1<<31 - 1
	case "hash ends at zero":
		i := bytes.IndexByte(c.Current.Sum[:], 0)
		clear(c.Current.Sum[max(i, 0):])
	case "lifetime in seconds":
		c.Lifetime = c.Lifetime.Truncate(time.Second)
	case "owner is folded":
		c.Owner = strings.ToLower(c.Owner)
	case "networks are dropped":
		c.Networks = nil
	case "scopes are dropped":
		c.Scopes = gatehouse.Scopes{}
	}
	f.records[r.ID] = &c
	return f.out(&c, now, "create"), nil
}

func (f *faulty) Find(ctx context.Context, id string) (apikey.Record, error) {
	if err := f.over(ctx, "find"); err != nil {
		return apikey.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.is("find trims") {
		id = strings.TrimSpace(id)
	}
	if f.is("find ignores case") {
		for other, r := range f.records {
			if strings.EqualFold(other, id) {
				return f.out(r, f.now(), "find"), nil
			}
		}
	}
	r := f.records[id]
	if r == nil {
		if f.is("find invents") {
			return apikey.Record{}, nil
		}
		return apikey.Record{}, apikey.ErrNotFound
	}
	return f.out(r, f.now(), "find"), nil
}

// change replaces a record by what g makes of it. With the fault that the verb
// reads and then writes, others get in between.
func (f *faulty) change(ctx context.Context, verb, id string, g func(r *apikey.Record, now time.Time) error) (apikey.Record, error) {
	if err := f.over(ctx, verb); err != nil {
		return apikey.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.records[id]
	if r == nil {
		if f.is(verb + " invents") {
			return apikey.Record{}, nil
		}
		return apikey.Record{}, apikey.ErrNotFound
	}
	next, now := *r, f.now()
	if f.is(verb+" reads then writes") || verb == "rotate without condition" && f.is("rotate reads then writes") {
		contract.Yield(&f.mu)
	}
	if err := g(&next, now); err != nil {
		return apikey.Record{}, err
	}
	f.records[id] = &next
	verb, _, _ = strings.Cut(verb, " without")
	return f.out(&next, now, verb), nil
}

func (f *faulty) Rotate(ctx context.Context, id string, rot apikey.Rotation) (apikey.Record, error) {
	verb := "rotate"
	if rot.Generation == 0 {
		verb = "rotate without condition"
	}
	got, err := f.change(ctx, verb, id, func(r *apikey.Record, now time.Time) error {
		wrong := rot.Generation != 0 && rot.Generation != r.Generation
		if wrong && !f.is("rotate ignores generation") ||
			!r.Revoked.IsZero() && !f.is("rotate revives revoked") ||
			!r.Expires.After(now) && !f.is("rotate revives expired") {
			return apikey.ErrConflict
		}
		if f.is("rotate revives revoked") {
			r.Revoked = time.Time{}
		}
		grace := now.Add(rot.Grace)
		if grace.After(r.Expires) && !f.is("rotate lets the old secret outlive itself") {
			grace = r.Expires
		}
		if !f.is("rotate keeps the oldest secret") || r.GraceEnds.IsZero() {
			r.Previous, r.GraceEnds = r.Current, grace
		}
		r.Current, r.Rotated = rot.Current, now
		lifetime := min(r.Lifetime, rot.MaxLifetime)
		from := now
		switch f.fault {
		case "rotate ignores the cap":
			lifetime = r.Lifetime
		case "rotate drops the old secret":
			r.Previous = apikey.Hash{}
		case "rotate resumes":
			r.Suspended = time.Time{}
		case "rotate forgets usage":
			r.LastUsed, r.Uses = time.Time{}, 0
		case "rotate extends from the old end":
			from = r.Expires
		case "rotate has no grace":
			r.GraceEnds = now
		case "rotate changes the cap for good":
			r.Lifetime = lifetime
		case "rotate moves creation":
			r.Created = now
		}
		if !f.is("due forgets rotation") {
			r.Expires = from.Add(lifetime)
		}
		if !f.is("rotate keeps the generation") {
			r.Generation++
		}
		return nil
	})
	switch {
	case f.is("rotate reports missing as conflict") && errors.Is(err, apikey.ErrNotFound):
		err = apikey.ErrConflict
	case f.is("rotate reports conflict as missing") && errors.Is(err, apikey.ErrConflict):
		err = apikey.ErrNotFound
	}
	return got, err
}

func (f *faulty) Revoke(ctx context.Context, id string) (apikey.Record, error) {
	if f.is("revoke answers early") {
		f.mu.Lock()
		r := f.records[id]
		f.mu.Unlock()
		if r == nil {
			return apikey.Record{}, apikey.ErrNotFound
		}
		if err := ctx.Err(); err != nil {
			return apikey.Record{}, err
		}
		next := *r
		if next.Revoked.IsZero() {
			next.Revoked = f.now()
		}
		f.late.Go(func() {
			<-time.After(5 * time.Millisecond)
			_, _ = f.change(context.Background(), "", id, func(r *apikey.Record, _ time.Time) error {
				r.Revoked = next.Revoked
				return nil
			})
		})
		return f.out(&next, next.Revoked, "revoke"), nil
	}
	got, err := f.change(ctx, "revoke", id, func(r *apikey.Record, now time.Time) error {
		if f.is("revoke ignores expired") && !r.Expires.After(now) {
			return nil
		}
		if r.Revoked.IsZero() || f.is("revoke again moves the time") {
			r.Revoked = now
		}
		if f.is("revoke drops the secrets") {
			r.Current, r.Previous = apikey.Hash{}, apikey.Hash{}
		}
		return nil
	})
	if err == nil && f.is("revoke deletes") {
		f.mu.Lock()
		delete(f.records, id)
		f.mu.Unlock()
	}
	return got, err
}

func (f *faulty) match(verb string, filter apikey.Filter, r *apikey.Record) bool {
	tenant := filter.AnyTenant || filter.Tenant == r.Tenant || f.is(verb+" ignores tenant") ||
		filter.Tenant == "" && f.is(verb+" takes no tenant for any")
	if f.is(verb+" ignores any tenant") && filter.AnyTenant {
		tenant = r.Tenant == ""
	}
	owner := filter.Owner == "" || filter.Owner == r.Owner || f.is(verb+" ignores owner") ||
		f.is(verb+" takes prefixes") && strings.HasPrefix(r.Owner, filter.Owner)
	if f.is(verb+" joins names") && filter.Owner != "" && !filter.AnyTenant {
		return filter.Tenant+":"+filter.Owner == r.Tenant+":"+r.Owner
	}
	return tenant && owner
}

func (f *faulty) RevokeAll(ctx context.Context, filter apikey.Filter, limit int) ([]apikey.Record, error) {
	if err := f.over(ctx, "revoke all"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if f.is("revoke all stops short") {
		limit = min(limit, 2)
	}
	var revoked []apikey.Record
	records := maps.Clone(f.records)
	if f.is("revoke all reads then writes") {
		contract.Yield(&f.mu)
	}
	for id, r := range records {
		full := len(revoked) >= limit && !f.is("revoke all ignores the limit")
		if full || !f.match("revoke all", filter, r) {
			continue
		}
		next := *r
		switch {
		case r.Revoked.IsZero() || f.is("revoke all moves the time"):
			next.Revoked = now
		case !f.is("revoke all returns all"):
			continue
		}
		if !f.is("revoke all answers without doing") {
			f.records[id] = &next
		}
		revoked = append(revoked, f.out(&next, now, "revoke all"))
	}
	return revoked, nil
}

func (f *faulty) Suspend(ctx context.Context, id string, on bool) (apikey.Record, error) {
	return f.change(ctx, "suspend", id, func(r *apikey.Record, now time.Time) error {
		switch {
		case !on && !f.is("suspend never ends"):
			r.Suspended = time.Time{}
		case on && (r.Suspended.IsZero() || f.is("suspend again moves the time")):
			r.Suspended = now
		}
		if !on && f.is("suspend resumes revoked") {
			r.Revoked = time.Time{}
		}
		return nil
	})
}

func (f *faulty) Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error) {
	errPause := errors.New("pause")
	before := int64(-1)
	if f.is("touch adds to what it has read") && ctx.Err() == nil {
		f.mu.Lock()
		if r := f.records[id]; r != nil {
			before = r.Uses
		}
		contract.Yield(&f.mu)
		f.mu.Unlock()
	}
	_, err := f.change(ctx, "touch", id, func(r *apikey.Record, now time.Time) error {
		pause := now.Sub(r.LastUsed) < every || f.is("touch writes once")
		if !r.LastUsed.IsZero() && pause && !f.is("touch ignores the pause") {
			return errPause
		}
		if !f.is("touch sets no time") {
			r.LastUsed = now
		}
		r.Uses += uses
		switch f.fault {
		case "touch adds to what it has read":
			r.Uses = before + uses
		case "touch loses uses":
			r.Uses = uses
		case "touch keeps small counts":
			r.Uses = int64(int32(r.Uses))
		}
		return nil
	})
	switch {
	case errors.Is(err, errPause):
		return false, nil
	case errors.Is(err, apikey.ErrNotFound):
		return f.is("touch invents"), nil
	}
	return err == nil && !f.is("touch hides that it wrote"), err
}

func (f *faulty) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	if err := f.over(ctx, "list"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	due := q.ExpiresWithin > 0
	at := func(r *apikey.Record) time.Time {
		switch {
		case due && !f.is("due is in order of creation"):
			return r.Expires
		case f.is("list moves the rotated"):
			return r.Rotated
		}
		return r.Created
	}
	var found []*apikey.Record
	for _, r := range f.records {
		keep := f.match("list", q.Filter, r) || due && f.is("due ignores tenant")
		if due && !f.is("due includes all") {
			keep = keep && (r.Revoked.IsZero() || f.is("due includes revoked")) &&
				(r.Expires.After(now) || f.is("due includes expired")) && !r.Expires.After(now.Add(q.ExpiresWithin)) &&
				(r.Suspended.IsZero() || !f.is("due hides suspended"))
		}
		if keep && (r.Revoked.IsZero() || due || !f.is("list hides revoked")) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *apikey.Record) int {
		if c := at(a).Compare(at(b)); c != 0 && !f.is("list is unordered") {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	if f.is("list looks after up") && q.After.ID != "" {
		i := slices.IndexFunc(found, func(r *apikey.Record) bool { return r.ID == q.After.ID })
		found = found[i+1:]
	} else if !f.is("list ignores after") {
		found = slices.DeleteFunc(found, func(r *apikey.Record) bool {
			c := at(r).Compare(q.After.Time)
			if f.is("list compares only time") {
				return c < 0
			}
			same := c == 0 && (r.ID < q.After.ID || r.ID == q.After.ID && !f.is("list includes after"))
			return c < 0 || same
		})
	}
	var records []apikey.Record
	for _, r := range found {
		if len(records) < q.Limit || f.is("list ignores the limit") {
			records = append(records, f.out(r, now, "list"))
		}
	}
	return records, nil
}
