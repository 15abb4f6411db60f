// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

func TestFaults(t *testing.T) {
	contract.Faulty[apikey.Store]{
		New:  func(fault string) apikey.Store { return newFaulty(contract.Fault(fault)) },
		Wait: func(s apikey.Store) { s.(*faulty).Wait() },
	}.TestFaults(t, rules(), faults())
}

func TestWatcherFaults(t *testing.T) {
	contract.Faulty[watched]{
		New: func(fault string) watched {
			m := apikey.NewMemory(0)
			return watched{m, faultyWatcher{m, fault}}
		},
		RealTime: true,
	}.TestFaults(t, watcherRules, []string{"silent at first", "silent later", "reports 10 changes", "ends without error", "never ends"})
}

// faultyWatcher is a watcher with one fault.
type faultyWatcher struct {
	*apikey.Memory
	fault string
}

func (f faultyWatcher) Watch(ctx context.Context, changed func(string)) error {
	if f.fault == "never ends" {
		ctx = context.WithoutCancel(ctx)
	}
	var reports atomic.Int32
	err := f.Memory.Watch(ctx, func(id string) {
		n := reports.Add(1)
		switch {
		case f.fault == "silent at first" && n == 1:
		case f.fault == "silent later" && n > 1:
		case f.fault == "reports 10 changes" && n > 10:
		default:
			changed(id)
		}
	})
	if f.fault == "ends without error" {
		return nil
	}
	return err
}

// faulty is a store with one fault, or without any.
type faulty struct {
	*contract.Table[apikey.Record]
}

func newFaulty(fault contract.Fault) *faulty {
	return &faulty{&contract.Table[apikey.Record]{
		Fault: fault, NotFound: apikey.ErrNotFound,
		Clone: func(r apikey.Record) apikey.Record { r.Networks = slices.Clone(r.Networks); return r },
		AsOf:  func(r *apikey.Record) *time.Time { return &r.AsOf },
	}}
}

func faults() []string {
	all := slices.Concat(
		contract.ClockFaults(), contract.CreateFaults("create"), contract.FindFaults("find"),
		contract.ChangeFaults("rotate"), contract.ChangeFaults("revoke"), contract.ChangeFaults("suspend"), contract.ChangeFaults("touch"),
		contract.ChangeAllFaults("revoke all"), contract.ListFaults("list"),
		[]string{
			"clock of the record is missing", "clocks differ",
			"create keeps what it is given", "create keeps the argument", "create shares memory", "create takes the ID of a revoked key",
			"metadata is normalized", "pepper is small", "hash ends at a zero byte", "lifetime in seconds", "owner is folded",
			"rotate shares memory", "rotate without condition reads then writes", "rotate ignores generation", "rotate resets revoked",
			"rotate accepts expired", "rotate has grace beyond the expiry", "rotate keeps the oldest secret", "rotate ignores MaxLifetime",
			"rotate resumes", "rotate resets usage", "rotate extends from the old expiry", "rotate changes the lifetime",
			"rotate reports missing as conflict", "rotate reports conflict as missing",
			"revoke shares memory", "revoke moves the time", "revoke ignores expired",
			"suspend shares memory", "suspend moves the time", "suspend resets revoked", "suspend never ends",
			"touch ignores every", "touch writes once", "touch loses uses", "touch hides that it wrote", "touch keeps 32 bits", "touch adds to an earlier count", "touch sets no time",
			"revoke all shares memory", "revoke all moves the time", "revoke all returns the revoked",
			"list ignores after", "list includes after", "list hides revoked", "list is by rotation", "list compares the time only", "list compares time and ID apart",
			"import ignores the context", "import shares memory", "import keeps the argument", "import creates", "import overwrites",
			"import keeps the secrets", "import keeps the grace period", "import replaces scopes", "import moves the creation", "import loses usage", "import resets usage", "import adds usage",
			"import takes another owner", "import takes another tenant", "import takes another environment", "import resumes", "import takes an older record", "import takes another secret", "import ignores the pepper",
			"import moves the revocation", "import moves the suspension", "import does not revoke", "import does not suspend", "import refuses an older revocation", "import reads an older revocation", "import reads a revocation of the same generation", "import does nothing", "import drops the revoked",
			"delete ignores the context", "delete does nothing", "delete removes valid", "delete keeps expired", "delete keeps revoked", "delete keeps all but suspended", "delete hides missing", "delete reports missing as conflict", "delete clears",
			"sweep never runs", "sweep ignores revoked", "sweep removes expired", "sweep removes revoked", "sweep is early",
			"due includes revoked", "due includes expired", "due includes all", "due is by creation", "due ignores tenant", "due hides suspended",
		},
	)
	for _, method := range []string{"create", "rotate", "revoke", "suspend", "touch", "revoke all", "import"} {
		all = append(all, contract.FieldFaults[apikey.Record](method, "ID", "AsOf")...)
	}
	for _, method := range []string{"revoke all", "list"} {
		for _, fault := range []string{"ignores tenant", "ignores owner", "takes prefixes", "joins names", "takes no tenant for any", "ignores AnyTenant"} {
			all = append(all, method+" "+fault)
		}
	}
	// Touch returns no record, and no limit is 0.
	unobservable := []string{"touch answers with the old record", "touch corrupts LastUsed", "list takes the limit 0 for none"}
	return slices.DeleteFunc(all, func(fault string) bool { return slices.Contains(unobservable, fault) })
}

func (f *faulty) Create(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	f.sweep()
	replace := func(old *apikey.Record, _ time.Time) bool {
		return f.Is("create takes the ID of a revoked key") && !old.Revoked.IsZero()
	}
	return f.Table.Create(ctx, "create", r.ID, replace, func(now time.Time) apikey.Record {
		if !f.Is("create keeps what it is given") {
			r = apikey.Record{Current: r.Current, Key: apikey.Key{
				ID: r.ID, Owner: r.Owner, Tenant: r.Tenant, Environment: r.Environment, Scopes: r.Scopes, Networks: r.Networks,
				Metadata: r.Metadata, Lifetime: r.Lifetime,
			}}
		}
		if !f.Is("create keeps the argument") {
			r.Networks = slices.Clone(r.Networks)
		}
		r.Created, r.Rotated, r.Expires, r.Generation = now, now, now.Add(r.Lifetime), 1
		switch f.Fault {
		case "metadata is normalized":
			r.Metadata = gatehouse.VerifiedClaims(strings.Replace(r.Metadata.String(), "1.50", "1.5", 1))
		case "pepper is small":
			r.Current.Pepper &= 1<<31 - 1
		case "hash ends at a zero byte":
			clear(r.Current.Sum[max(bytes.IndexByte(r.Current.Sum[:], 0), 0):])
		case "lifetime in seconds":
			r.Lifetime = r.Lifetime.Truncate(time.Second)
		case "owner is folded":
			r.Owner = strings.ToLower(r.Owner)
		}
		return r
	})
}

func (f *faulty) Find(ctx context.Context, id string) (apikey.Record, error) {
	r, err := f.Table.Find(ctx, "find", id)
	if f.Is("clocks differ") {
		r.AsOf = r.AsOf.Add(-time.Second)
	}
	return r, err
}

func (f *faulty) Rotate(ctx context.Context, id string, rot apikey.Rotation) (apikey.Record, error) {
	got, err := f.Change(ctx, "rotate", id, func(r *apikey.Record, now time.Time) error {
		if rot.Generation == 0 {
			f.Yield("rotate without condition", &f.Mutex)
		}
		switch {
		case rot.Generation != 0 && rot.Generation != r.Generation && !f.Is("rotate ignores generation"),
			!r.Revoked.IsZero() && !f.Is("rotate resets revoked"),
			!r.Expires.After(now) && !f.Is("rotate accepts expired"):
			return apikey.ErrConflict
		}
		r.Revoked = time.Time{}
		grace, from, lifetime := now.Add(rot.Grace), now, min(r.Lifetime, rot.MaxLifetime)
		if grace.After(r.Expires) && !f.Is("rotate has grace beyond the expiry") {
			grace = r.Expires
		}
		if !f.Is("rotate keeps the oldest secret") || r.GraceEnds.IsZero() {
			r.Previous, r.GraceEnds = r.Current, grace
		}
		switch f.Fault {
		case "rotate ignores MaxLifetime":
			lifetime = r.Lifetime
		case "rotate resumes":
			r.Suspended = time.Time{}
		case "rotate resets usage":
			r.LastUsed, r.Uses = time.Time{}, 0
		case "rotate extends from the old expiry":
			from = r.Expires
		case "rotate changes the lifetime":
			r.Lifetime = lifetime
		}
		r.Current, r.Rotated, r.Expires = rot.Current, now, from.Add(lifetime)
		r.Generation++
		return nil
	})
	switch {
	case f.Is("rotate reports missing as conflict") && errors.Is(err, apikey.ErrNotFound):
		err = apikey.ErrConflict
	case f.Is("rotate reports conflict as missing") && errors.Is(err, apikey.ErrConflict):
		err = apikey.ErrNotFound
	}
	return got, err
}

func (f *faulty) Revoke(ctx context.Context, id string) (apikey.Record, error) {
	return f.Change(ctx, "revoke", id, func(r *apikey.Record, now time.Time) error {
		expired := f.Is("revoke ignores expired") && !r.Expires.After(now)
		if !expired && (r.Revoked.IsZero() || f.Is("revoke moves the time")) {
			r.Revoked = now
		}
		return nil
	})
}

func (f *faulty) match(method string, filter apikey.Filter, r *apikey.Record) bool {
	if f.Is(method, "joins names") && filter.Owner != "" && !filter.AnyTenant {
		return filter.Tenant+":"+filter.Owner == r.Tenant+":"+r.Owner
	}
	tenant := filter.AnyTenant || filter.Tenant == r.Tenant || f.Is(method, "ignores tenant") ||
		filter.Tenant == "" && f.Is(method, "takes no tenant for any")
	if f.Is(method, "ignores AnyTenant") {
		tenant = filter.Tenant == r.Tenant
	}
	owner := filter.Owner == "" || filter.Owner == r.Owner || f.Is(method, "ignores owner") ||
		f.Is(method, "takes prefixes") && strings.HasPrefix(r.Owner, filter.Owner)
	return tenant && owner
}

func (f *faulty) RevokeAll(ctx context.Context, filter apikey.Filter, limit int) ([]apikey.Record, error) {
	moves := f.Is("revoke all moves the time")
	return f.ChangeAll(ctx, "revoke all", limit, func(r *apikey.Record, _ time.Time) bool {
		return f.match("revoke all", filter, r) && (r.Revoked.IsZero() || moves || f.Is("revoke all returns the revoked"))
	}, func(r *apikey.Record, now time.Time) {
		if r.Revoked.IsZero() || moves {
			r.Revoked = now
		}
	})
}

func (f *faulty) Suspend(ctx context.Context, id string, on bool) (apikey.Record, error) {
	return f.Change(ctx, "suspend", id, func(r *apikey.Record, now time.Time) error {
		switch {
		case !on && !f.Is("suspend never ends"):
			r.Suspended = time.Time{}
		case on && (r.Suspended.IsZero() || f.Is("suspend moves the time")):
			r.Suspended = now
		}
		if !on && f.Is("suspend resets revoked") {
			r.Revoked = time.Time{}
		}
		return nil
	})
}

func (f *faulty) Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error) {
	errEarly := errors.New("early")
	var before int64
	if f.Is("touch adds to an earlier count") {
		f.Lock()
		if r := f.Records[id]; r != nil {
			before = r.Uses
		}
		contract.Yield(&f.Mutex)
		f.Unlock()
	}
	_, err := f.Change(ctx, "touch", id, func(r *apikey.Record, now time.Time) error {
		early := now.Sub(r.LastUsed) < every && !f.Is("touch ignores every")
		if !r.LastUsed.IsZero() && (early || f.Is("touch writes once")) {
			return errEarly
		}
		if !f.Is("touch sets no time") {
			r.LastUsed = now
		}
		r.Uses += uses
		switch f.Fault {
		case "touch loses uses":
			r.Uses = uses
		case "touch adds to an earlier count":
			r.Uses = before + uses
		case "touch keeps 32 bits":
			r.Uses = int64(int32(r.Uses))
		}
		return nil
	})
	if errors.Is(err, errEarly) || errors.Is(err, apikey.ErrNotFound) {
		return false, nil
	}
	return err == nil && !f.Is("touch hides that it wrote"), err
}

func (f *faulty) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	due := q.ExpiresWithin > 0
	at := func(r *apikey.Record) time.Time {
		switch {
		case due && !f.Is("due is by creation"):
			return r.Expires
		case f.Is("list is by rotation"):
			return r.Rotated
		}
		return r.Created
	}
	compare := func(a, b *apikey.Record) int { return cmp.Or(at(a).Compare(at(b)), strings.Compare(a.ID, b.ID)) }
	return f.Table.List(ctx, "list", q.Limit, func(r *apikey.Record, now time.Time) bool {
		switch {
		case !f.match("list", q.Filter, r) && (!due || !f.Is("due ignores tenant")):
			return false
		case !due && f.Is("list hides revoked") && !r.Revoked.IsZero():
			return false
		case due && !f.Is("due includes all"):
			if !r.Revoked.IsZero() && !f.Is("due includes revoked") || !r.Expires.After(now) && !f.Is("due includes expired") ||
				r.Expires.After(now.Add(q.ExpiresWithin)) || !r.Suspended.IsZero() && f.Is("due hides suspended") {
				return false
			}
		}
		switch c := at(r).Compare(q.After.Time); {
		case f.Is("list ignores after"):
			return true
		case f.Is("list compares the time only"):
			return c >= 0
		case f.Is("list compares time and ID apart"):
			return c >= 0 && r.ID > q.After.ID
		default:
			return c > 0 || c == 0 && (r.ID > q.After.ID || r.ID == q.After.ID && f.Is("list includes after"))
		}
	}, compare)
}
