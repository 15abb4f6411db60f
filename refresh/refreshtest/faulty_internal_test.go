// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/refresh"
)

func TestFamilyFaults(t *testing.T) {
	contract.Faulty[refresh.Store]{
		New:  func(fault string) refresh.Store { return newFaultyFamilies(fault) },
		Late: func(s refresh.Store) { s.(*faultyFamilies).late.Wait() },
	}.TestFaults(t, familyRules, familyFaults)
}

// faultyFamilies is a store with one fault in it, which its name says. Without
// a fault it keeps the contract.
type faultyFamilies struct {
	fault   string
	mu      sync.Mutex
	records map[string]*refresh.Record
	late    sync.WaitGroup // what a fault does after it has answered
}

func newFaultyFamilies(fault string) *faultyFamilies {
	return &faultyFamilies{fault: fault, records: make(map[string]*refresh.Record)}
}

var familyFaults = []string{
	"create overwrites", "create keeps what it is given", "create has no generation", "create ignores the context", "create reads then writes",
	"create takes the id of what has ended", "create reports taken as missing",
	"find ignores case", "find invents", "find trims", "find ignores the context", "find shares",
	"rotate shares what it returns", "rotate shares what it is given", "rotate ignores the context", "rotate invents",
	"rotate keeps previous", "rotate keeps the successor", "rotate keeps the generation", "rotate has no grace", "rotate has grace beyond the end", "rotate sets no time",
	"rotate moves the end", "rotate moves creation", "rotate answers with what was", "rotate reads then writes", "rotate without grace reads then writes", "rotate rotates all",
	"replay moves the grace", "replay forks", "replay counts", "replay never ends", "replay at the end of the grace", "replay drops the successor", "replay is none",
	"replay after the successor", "replay ends at the second", "replay does not look at the client", "grace of the presentation", "no grace is endless",
	"reuse does not end", "reuse keeps the successor", "reuse of what never was is missing", "reuse of what never was does not end", "reuse ends another time",
	"reuse of zeros is a replay", "reuse forgets the rest",
	"client is not looked at", "client is folded", "client is trimmed", "client is a prefix", "client is refused without an end", "client empty is any",
	"key is not looked at", "key of zeros is any", "wrong key ends", "wrong key ends what never was", "key is looked at last",
	"over is rotated", "over is reused", "over moves the end", "over is replayed", "over of another client is reused", "expired is rotated", "expired ends",
	"end moves the time", "end keeps the successor", "end deletes", "end ignores the context", "end ends all", "end answers early", "end forgets the rest", "end reads then writes", "end invents",
	"end all ignores the subject", "end all ignores the client", "end all is either", "end all takes prefixes", "end all folds", "end all of nothing", "end all ignores the limit",
	"end all returns what is over", "end all returns the expired", "end all does nothing", "end all ignores the context", "end all keeps the successor", "end all reads then writes", "end all stops short",
	"clock is local", "clock has nanoseconds", "clock stands still", "clock of the record is missing", "clock runs back",
	"metadata is normalized", "subject is folded", "scopes are dropped", "hash ends at zero", "successor ends at zero", "auth time is cut", "auth time is made up", "auth time is local", "tenant is dropped",
	"lifetime in seconds",
}

func (f *faultyFamilies) is(fault string) bool { return f.fault == fault }

// over says whether a call ends because its context is over.
func (f *faultyFamilies) over(ctx context.Context, verb string) error {
	verb, _, _ = strings.Cut(verb, " without")
	if f.is(verb + " ignores the context") {
		return nil
	}
	return ctx.Err()
}

func (f *faultyFamilies) now() time.Time { return contract.Now(f.fault) }

func (f *faultyFamilies) out(r *refresh.Record, now time.Time) refresh.Record {
	c := *r
	c.Successor = bytes.Clone(r.Successor)
	if !f.is("clock of the record is missing") {
		c.AsOf = now
	}
	return c
}

func (f *faultyFamilies) Create(ctx context.Context, r refresh.Record, lifetime time.Duration) (refresh.Record, error) {
	if err := f.over(ctx, "create"); err != nil {
		return refresh.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.records[r.ID]; old != nil && !f.is("create overwrites") && (!f.is("create takes the id of what has ended") || old.Revoked.IsZero()) {
		if f.is("create reports taken as missing") {
			return refresh.Record{}, refresh.ErrNotFound
		}
		return refresh.Record{}, errors.New("taken")
	}
	if f.is("create reads then writes") {
		contract.Yield(&f.mu)
	}
	now := f.now()
	c := refresh.Record{Family: refresh.Family{ID: r.ID, Grant: r.Grant, Generation: 1}, Key: r.Key, Current: r.Current}
	if f.is("create keeps what it is given") {
		c = r
	}
	c.Created, c.Expires = now, now.Add(lifetime)
	if !c.AuthTime.IsZero() {
		c.AuthTime = c.AuthTime.UTC().Truncate(time.Microsecond)
	}
	switch f.fault {
	case "create has no generation":
		c.Generation = 0
	case "metadata is normalized":
		c.Metadata = gatehouse.VerifiedClaims(strings.ReplaceAll(c.Metadata.String(), " ", ""))
		c.Metadata = gatehouse.VerifiedClaims(strings.ReplaceAll(c.Metadata.String(), "1.50", "1.5"))
	case "subject is folded":
		c.Subject = strings.ToLower(c.Subject)
		c.Client = strings.ToLower(c.Client)
		c.Tenant = strings.ToLower(c.Tenant)
	case "scopes are dropped":
		c.Scopes = gatehouse.Scopes{}
	case "tenant is dropped":
		c.Tenant = ""
	case "hash ends at zero":
		clear(c.Current[bytes.IndexByte(c.Current[:], 0)+1:])
	case "auth time is cut":
		c.AuthTime = c.AuthTime.Truncate(time.Millisecond)
	case "auth time is local":
		c.AuthTime = c.AuthTime.In(time.FixedZone("", 3600))
	case "auth time is made up":
		if c.AuthTime.IsZero() {
			c.AuthTime = time.UnixMicro(0).UTC()
		}
	case "lifetime in seconds":
		c.Expires = now.Add(lifetime.Truncate(time.Second))
	}
	f.records[r.ID] = &c
	return f.out(&c, now), nil
}

// change replaces a record by what g makes of it.
func (f *faultyFamilies) change(ctx context.Context, verb, id string, g func(r *refresh.Record, now time.Time) error) (refresh.Record, error) {
	if err := f.over(ctx, verb); err != nil {
		return refresh.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.records[id]
	if r == nil {
		if verb, _, _ := strings.Cut(verb, " without"); f.is(verb + " invents") {
			return refresh.Record{}, nil
		}
		return refresh.Record{}, refresh.ErrNotFound
	}
	next, now := *r, f.now()
	if f.is(verb+" reads then writes") || strings.HasPrefix(verb, "rotate ") && f.is("rotate reads then writes") {
		contract.Yield(&f.mu)
	}
	if err := g(&next, now); err != nil {
		return refresh.Record{}, err
	}
	f.records[id] = &next
	return f.out(&next, now), nil
}

func (f *faultyFamilies) Find(ctx context.Context, id string) (refresh.Record, error) {
	if err := f.over(ctx, "find"); err != nil {
		return refresh.Record{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.is("find trims") {
		id = strings.TrimSpace(id)
	}
	r := f.records[id]
	for other := range f.records {
		if f.is("find ignores case") && strings.EqualFold(other, id) {
			r = f.records[other]
		}
	}
	switch {
	case r != nil:
	case f.is("find invents"):
		return refresh.Record{}, nil
	default:
		return refresh.Record{}, refresh.ErrNotFound
	}
	c := f.out(r, f.now())
	if f.is("find shares") {
		c.Successor = r.Successor
	}
	return c, nil
}

func (f *faultyFamilies) Rotate(ctx context.Context, id string, p refresh.Presentation) (refresh.Record, refresh.Outcome, error) {
	var outcome refresh.Outcome
	var before *refresh.Record
	verb := "rotate"
	if p.Grace == 0 {
		verb = "rotate without grace"
	}
	got, err := f.change(ctx, verb, id, func(r *refresh.Record, now time.Time) (err error) {
		before = new(*r)
		outcome, err = f.rotate(r, p, now)
		return err
	})
	switch {
	case err != nil:
		if errors.Is(err, refresh.ErrNotFound) {
			f.wrongKey(id, p)
		}
	case f.is("rotate answers with what was") && before != nil:
		before.AsOf = got.AsOf
		got = *before
	case f.is("rotate shares what it returns"):
		f.mu.Lock()
		got.Successor = f.records[id].Successor
		f.mu.Unlock()
	case f.is("replay drops the successor") && outcome == refresh.Replayed:
		got.Successor = nil
	}
	return got, outcome, err
}

// wrongKey ends a family although the key was not its own.
func (f *faultyFamilies) wrongKey(id string, p refresh.Presentation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.records[id]; r != nil && r.Revoked.IsZero() &&
		(f.is("wrong key ends") || f.is("wrong key ends what never was") && p.Secret != r.Current && p.Secret != r.Previous) {
		r.Revoked = f.now()
	}
}

func (f *faultyFamilies) end(r *refresh.Record, now time.Time) {
	r.Revoked = now
	r.Successor = nil
}

func (f *faultyFamilies) isClient(r *refresh.Record, p refresh.Presentation) bool {
	switch f.fault {
	case "client is not looked at":
		return true
	case "client is folded":
		return strings.EqualFold(r.Client, p.Client)
	case "client is trimmed":
		return strings.TrimSpace(p.Client) == r.Client
	case "client is a prefix":
		return p.Client != "" && strings.HasPrefix(r.Client, p.Client)
	case "client empty is any":
		return p.Client == "" || p.Client == r.Client
	case "replay does not look at the client":
		return r.Client == p.Client || r.Previous == p.Secret
	}
	return r.Client == p.Client
}

func (f *faultyFamilies) rotate(r *refresh.Record, p refresh.Presentation, now time.Time) (refresh.Outcome, error) {
	key := r.Key == p.Key || f.is("key is not looked at") || f.is("key of zeros is any") && p.Key == refresh.Hash{}
	if !key && (!f.is("key is looked at last") || r.Current == p.Secret) {
		return "", refresh.ErrNotFound
	}
	if outcome, done := f.rotateOver(r, p, now); done {
		return outcome, nil
	}
	grace := r.GraceEnds.After(now)
	switch f.fault {
	case "replay never ends":
		grace = true
	case "replay at the end of the grace":
		grace = !r.GraceEnds.Add(time.Second).Before(now)
	case "no grace is endless":
		grace = grace || r.GraceEnds.Equal(r.Rotated)
	case "grace of the presentation":
		grace = r.Rotated.Add(p.Grace).After(now)
	}
	previous := r.Previous == p.Secret && !f.is("replay is none")
	if f.is("reuse of zeros is a replay") && p.Secret == (refresh.Hash{}) {
		previous, grace = true, true
	}
	switch {
	case !f.isClient(r, p):
		if f.is("client is refused without an end") {
			return refresh.Reused, nil
		}
	case r.Current == p.Secret, f.is("rotate rotates all") && previous:
		f.succeed(r, p, now)
		return refresh.Rotated, nil
	case previous && grace:
		switch f.fault {
		case "replay moves the grace":
			r.GraceEnds = now.Add(p.Grace)
		case "replay forks":
			r.Current, r.Successor = p.Next, bytes.Clone(p.Successor)
		case "replay counts":
			r.Generation++
		case "replay ends at the second":
			r.GraceEnds = now
		}
		return refresh.Replayed, nil
	case f.is("replay after the successor") && !previous && r.GraceEnds.After(now) && r.Generation > 2:
		return refresh.Replayed, nil
	case !previous && r.Generation == 1 && f.is("reuse of what never was is missing"):
		return "", refresh.ErrNotFound
	case !previous && r.Generation == 1 && f.is("reuse of what never was does not end"), f.is("reuse does not end"):
		return refresh.Reused, nil
	}
	successor := r.Successor
	f.end(r, now)
	switch f.fault {
	case "reuse keeps the successor":
		r.Successor = successor
	case "reuse ends another time":
		r.Revoked = r.Expires
	case "reuse forgets the rest":
		r.Previous, r.GraceEnds = refresh.Hash{}, time.Time{}
	}
	return refresh.Reused, nil
}

// rotateOver answers for a family that is over.
func (f *faultyFamilies) rotateOver(r *refresh.Record, p refresh.Presentation, now time.Time) (refresh.Outcome, bool) {
	expired := !r.Expires.After(now)
	switch {
	case r.Revoked.IsZero() && !expired, f.is("expired is rotated") && expired:
		return "", false
	case f.is("over is rotated") && r.Current == p.Secret:
		return refresh.Rotated, true
	case f.is("over is replayed") && r.Previous == p.Secret:
		return refresh.Replayed, true
	case f.is("over is reused") && r.Current != p.Secret, f.is("over of another client is reused") && r.Client != p.Client:
		return refresh.Reused, true
	case f.is("over moves the end"):
		r.Revoked = now
	case f.is("expired ends") && expired:
		r.Revoked = now
	}
	if !r.Revoked.IsZero() {
		return refresh.Revoked, true
	}
	return refresh.Expired, true
}

// succeed puts the next token in the place of the current one.
func (f *faultyFamilies) succeed(r *refresh.Record, p refresh.Presentation, now time.Time) {
	if !f.is("rotate keeps previous") {
		r.Previous = r.Current
	}
	r.Current = p.Next
	switch f.fault {
	case "rotate keeps the successor":
		if len(p.Successor) > 0 {
			r.Successor = bytes.Clone(p.Successor)
		}
	case "rotate shares what it is given":
		r.Successor = p.Successor
	case "successor ends at zero":
		r.Successor, _, _ = bytes.Cut(p.Successor, []byte{0})
	default:
		r.Successor = bytes.Clone(p.Successor)
	}
	if !f.is("rotate sets no time") {
		r.Rotated = now
	}
	r.GraceEnds = now.Add(p.Grace)
	if r.GraceEnds.After(r.Expires) && !f.is("rotate has grace beyond the end") {
		r.GraceEnds = r.Expires
	}
	switch f.fault {
	case "rotate has no grace":
		r.GraceEnds = now
	case "rotate moves the end":
		r.Expires = now.Add(r.Expires.Sub(r.Created))
	case "rotate moves creation":
		r.Created = now
	}
	if !f.is("rotate keeps the generation") {
		r.Generation++
	}
}

func (f *faultyFamilies) Revoke(ctx context.Context, id string) (refresh.Record, error) {
	if f.is("end answers early") && ctx.Err() == nil {
		f.mu.Lock()
		r := f.records[id]
		f.mu.Unlock()
		if r == nil {
			return refresh.Record{}, refresh.ErrNotFound
		}
		next := *r
		if next.Revoked.IsZero() {
			f.end(&next, f.now())
		}
		f.late.Go(func() {
			<-time.After(5 * time.Millisecond)
			_, _ = f.change(context.Background(), "", id, func(r *refresh.Record, _ time.Time) error {
				f.end(r, next.Revoked)
				return nil
			})
		})
		return f.out(&next, next.Revoked), nil
	}
	got, err := f.change(ctx, "end", id, func(r *refresh.Record, now time.Time) error {
		successor := r.Successor
		if r.Revoked.IsZero() || f.is("end moves the time") {
			f.end(r, now)
		}
		switch f.fault {
		case "end keeps the successor":
			r.Successor = successor
		case "end forgets the rest":
			r.Current, r.Previous = refresh.Hash{}, refresh.Hash{}
		}
		return nil
	})
	if err != nil {
		return got, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.is("end deletes") {
		delete(f.records, id)
	}
	for _, r := range f.records {
		if f.is("end ends all") && r.Revoked.IsZero() {
			f.end(r, got.Revoked)
		}
	}
	return got, nil
}

func (f *faultyFamilies) matches(filter refresh.Filter, r *refresh.Record) bool {
	if (filter == refresh.Filter{}) {
		return f.is("end all of nothing")
	}
	subject := filter.Subject == "" || filter.Subject == r.Subject || f.is("end all ignores the subject")
	client := filter.Client == "" || filter.Client == r.Client || f.is("end all ignores the client")
	switch f.fault {
	case "end all is either":
		return filter.Subject != "" && subject || filter.Client != "" && client
	case "end all takes prefixes":
		return strings.HasPrefix(r.Subject, filter.Subject) && client
	case "end all folds":
		return (filter.Subject == "" || strings.EqualFold(filter.Subject, r.Subject)) && client
	}
	return subject && client
}

func (f *faultyFamilies) RevokeAll(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	if err := f.over(ctx, "end all"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if f.is("end all stops short") {
		limit = min(limit, 2)
	}
	var ended []refresh.Record
	for id, r := range f.records {
		live := (r.Revoked.IsZero() || f.is("end all returns what is over")) && (r.Expires.After(now) || f.is("end all returns the expired"))
		if !live || !f.matches(filter, r) || len(ended) >= limit && !f.is("end all ignores the limit") {
			continue
		}
		if f.is("end all reads then writes") {
			contract.Yield(&f.mu)
		}
		next := *r
		f.end(&next, now)
		if f.is("end all keeps the successor") {
			next.Successor = r.Successor
		}
		if !f.is("end all does nothing") {
			f.records[id] = &next
		}
		ended = append(ended, f.out(&next, now))
	}
	return ended, nil
}

func (f *faultyFamilies) List(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	return nil, ctx.Err()
}
