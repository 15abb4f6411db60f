// SPDX-License-Identifier: Apache-2.0

package jwtauthtest

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
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func TestFamilyFaults(t *testing.T) {
	contract.Faulty[jwtauth.FamilyStore]{
		New:  func(fault string) jwtauth.FamilyStore { return newFaultyFamilies(fault) },
		Late: func(s jwtauth.FamilyStore) { s.(*faultyFamilies).late.Wait() },
	}.TestFaults(t, familyRules, familyFaults)
}

// faultyFamilies is a store with one fault in it, which its name says. Without
// a fault it keeps the contract.
type faultyFamilies struct {
	fault   string
	mu      sync.Mutex
	records map[string]*jwtauth.FamilyRecord
	late    sync.WaitGroup // what a fault does after it has answered
}

func newFaultyFamilies(fault string) *faultyFamilies {
	return &faultyFamilies{fault: fault, records: make(map[string]*jwtauth.FamilyRecord)}
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

func (f *faultyFamilies) out(r *jwtauth.FamilyRecord, now time.Time) jwtauth.FamilyRecord {
	c := *r
	c.Successor = bytes.Clone(r.Successor)
	if !f.is("clock of the record is missing") {
		c.AsOf = now
	}
	return c
}

func (f *faultyFamilies) Create(ctx context.Context, r jwtauth.FamilyRecord, lifetime time.Duration) (jwtauth.FamilyRecord, error) {
	if err := f.over(ctx, "create"); err != nil {
		return jwtauth.FamilyRecord{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.records[r.ID]; old != nil && !f.is("create overwrites") && (!f.is("create takes the id of what has ended") || old.Ended.IsZero()) {
		if f.is("create reports taken as missing") {
			return jwtauth.FamilyRecord{}, jwtauth.ErrFamilyNotFound
		}
		return jwtauth.FamilyRecord{}, errors.New("taken")
	}
	if f.is("create reads then writes") {
		contract.Yield(&f.mu)
	}
	now := f.now()
	c := jwtauth.FamilyRecord{Family: jwtauth.Family{ID: r.ID, Grant: r.Grant, Generation: 1}, Key: r.Key, Current: r.Current}
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
func (f *faultyFamilies) change(ctx context.Context, verb, id string, g func(r *jwtauth.FamilyRecord, now time.Time) error) (jwtauth.FamilyRecord, error) {
	if err := f.over(ctx, verb); err != nil {
		return jwtauth.FamilyRecord{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.records[id]
	if r == nil {
		if verb, _, _ := strings.Cut(verb, " without"); f.is(verb + " invents") {
			return jwtauth.FamilyRecord{}, nil
		}
		return jwtauth.FamilyRecord{}, jwtauth.ErrFamilyNotFound
	}
	next, now := *r, f.now()
	if f.is(verb+" reads then writes") || strings.HasPrefix(verb, "rotate ") && f.is("rotate reads then writes") {
		contract.Yield(&f.mu)
	}
	if err := g(&next, now); err != nil {
		return jwtauth.FamilyRecord{}, err
	}
	f.records[id] = &next
	return f.out(&next, now), nil
}

func (f *faultyFamilies) Find(ctx context.Context, id string) (jwtauth.FamilyRecord, error) {
	if err := f.over(ctx, "find"); err != nil {
		return jwtauth.FamilyRecord{}, err
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
		return jwtauth.FamilyRecord{}, nil
	default:
		return jwtauth.FamilyRecord{}, jwtauth.ErrFamilyNotFound
	}
	c := f.out(r, f.now())
	if f.is("find shares") {
		c.Successor = r.Successor
	}
	return c, nil
}

func (f *faultyFamilies) Rotate(ctx context.Context, id string, p jwtauth.Presentation) (jwtauth.FamilyRecord, jwtauth.FamilyOutcome, error) {
	var outcome jwtauth.FamilyOutcome
	var before *jwtauth.FamilyRecord
	verb := "rotate"
	if p.Grace == 0 {
		verb = "rotate without grace"
	}
	got, err := f.change(ctx, verb, id, func(r *jwtauth.FamilyRecord, now time.Time) (err error) {
		before = new(*r)
		outcome, err = f.rotate(r, p, now)
		return err
	})
	switch {
	case err != nil:
		if errors.Is(err, jwtauth.ErrFamilyNotFound) {
			f.wrongKey(id, p)
		}
	case f.is("rotate answers with what was") && before != nil:
		before.AsOf = got.AsOf
		got = *before
	case f.is("rotate shares what it returns"):
		f.mu.Lock()
		got.Successor = f.records[id].Successor
		f.mu.Unlock()
	case f.is("replay drops the successor") && outcome == jwtauth.FamilyReplayed:
		got.Successor = nil
	}
	return got, outcome, err
}

// wrongKey ends a family although the key was not its own.
func (f *faultyFamilies) wrongKey(id string, p jwtauth.Presentation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.records[id]; r != nil && r.Ended.IsZero() &&
		(f.is("wrong key ends") || f.is("wrong key ends what never was") && p.Secret != r.Current && p.Secret != r.Previous) {
		r.Ended = f.now()
	}
}

func (f *faultyFamilies) end(r *jwtauth.FamilyRecord, now time.Time) {
	r.Ended = now
	r.Successor = nil
}

func (f *faultyFamilies) isClient(r *jwtauth.FamilyRecord, p jwtauth.Presentation) bool {
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

func (f *faultyFamilies) rotate(r *jwtauth.FamilyRecord, p jwtauth.Presentation, now time.Time) (jwtauth.FamilyOutcome, error) {
	key := r.Key == p.Key || f.is("key is not looked at") || f.is("key of zeros is any") && p.Key == jwtauth.SecretHash{}
	if !key && (!f.is("key is looked at last") || r.Current == p.Secret) {
		return "", jwtauth.ErrFamilyNotFound
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
	if f.is("reuse of zeros is a replay") && p.Secret == (jwtauth.SecretHash{}) {
		previous, grace = true, true
	}
	switch {
	case !f.isClient(r, p):
		if f.is("client is refused without an end") {
			return jwtauth.FamilyReused, nil
		}
	case r.Current == p.Secret, f.is("rotate rotates all") && previous:
		f.succeed(r, p, now)
		return jwtauth.FamilyRotated, nil
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
		return jwtauth.FamilyReplayed, nil
	case f.is("replay after the successor") && !previous && r.GraceEnds.After(now) && r.Generation > 2:
		return jwtauth.FamilyReplayed, nil
	case !previous && r.Generation == 1 && f.is("reuse of what never was is missing"):
		return "", jwtauth.ErrFamilyNotFound
	case !previous && r.Generation == 1 && f.is("reuse of what never was does not end"), f.is("reuse does not end"):
		return jwtauth.FamilyReused, nil
	}
	successor := r.Successor
	f.end(r, now)
	switch f.fault {
	case "reuse keeps the successor":
		r.Successor = successor
	case "reuse ends another time":
		r.Ended = r.Expires
	case "reuse forgets the rest":
		r.Previous, r.GraceEnds = jwtauth.SecretHash{}, time.Time{}
	}
	return jwtauth.FamilyReused, nil
}

// rotateOver answers for a family that is over.
func (f *faultyFamilies) rotateOver(r *jwtauth.FamilyRecord, p jwtauth.Presentation, now time.Time) (jwtauth.FamilyOutcome, bool) {
	expired := !r.Expires.After(now)
	switch {
	case r.Ended.IsZero() && !expired, f.is("expired is rotated") && expired:
		return "", false
	case f.is("over is rotated") && r.Current == p.Secret:
		return jwtauth.FamilyRotated, true
	case f.is("over is replayed") && r.Previous == p.Secret:
		return jwtauth.FamilyReplayed, true
	case f.is("over is reused") && r.Current != p.Secret, f.is("over of another client is reused") && r.Client != p.Client:
		return jwtauth.FamilyReused, true
	case f.is("over moves the end"):
		r.Ended = now
	case f.is("expired ends") && expired:
		r.Ended = now
	}
	return jwtauth.FamilyOver, true
}

// succeed puts the next token in the place of the current one.
func (f *faultyFamilies) succeed(r *jwtauth.FamilyRecord, p jwtauth.Presentation, now time.Time) {
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

func (f *faultyFamilies) End(ctx context.Context, id string) (jwtauth.FamilyRecord, error) {
	if f.is("end answers early") && ctx.Err() == nil {
		f.mu.Lock()
		r := f.records[id]
		f.mu.Unlock()
		if r == nil {
			return jwtauth.FamilyRecord{}, jwtauth.ErrFamilyNotFound
		}
		next := *r
		if next.Ended.IsZero() {
			f.end(&next, f.now())
		}
		f.late.Go(func() {
			<-time.After(5 * time.Millisecond)
			_, _ = f.change(context.Background(), "", id, func(r *jwtauth.FamilyRecord, _ time.Time) error {
				f.end(r, next.Ended)
				return nil
			})
		})
		return f.out(&next, next.Ended), nil
	}
	got, err := f.change(ctx, "end", id, func(r *jwtauth.FamilyRecord, now time.Time) error {
		successor := r.Successor
		if r.Ended.IsZero() || f.is("end moves the time") {
			f.end(r, now)
		}
		switch f.fault {
		case "end keeps the successor":
			r.Successor = successor
		case "end forgets the rest":
			r.Current, r.Previous = jwtauth.SecretHash{}, jwtauth.SecretHash{}
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
		if f.is("end ends all") && r.Ended.IsZero() {
			f.end(r, got.Ended)
		}
	}
	return got, nil
}

func (f *faultyFamilies) matches(filter jwtauth.FamilyFilter, r *jwtauth.FamilyRecord) bool {
	if (filter == jwtauth.FamilyFilter{}) {
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

func (f *faultyFamilies) EndAll(ctx context.Context, filter jwtauth.FamilyFilter, limit int) ([]jwtauth.FamilyRecord, error) {
	if err := f.over(ctx, "end all"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if f.is("end all stops short") {
		limit = min(limit, 2)
	}
	var ended []jwtauth.FamilyRecord
	for id, r := range f.records {
		live := (r.Ended.IsZero() || f.is("end all returns what is over")) && (r.Expires.After(now) || f.is("end all returns the expired"))
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
