// SPDX-License-Identifier: Apache-2.0

package apikeytest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// sweep removes what is kept long enough.
func (f *faulty) sweep() {
	f.Lock()
	defer f.Unlock()
	for id, r := range f.Records {
		due := time.Since(r.Expires) >= apikey.Retention
		switch revoked := !r.Revoked.IsZero(); f.Fault {
		case "sweep never runs":
			due = false
		case "sweep ignores revoked":
			due = due && !revoked
		case "sweep removes expired":
			due = !r.Expires.After(time.Now()) && !revoked
		case "sweep removes revoked":
			due = due || revoked
		case "sweep is early":
			due = time.Since(r.Expires) >= apikey.Retention-2*time.Hour
		}
		if due {
			delete(f.Records, id)
		}
	}
}

func (f *faulty) Delete(ctx context.Context, id string) error {
	if err := f.Err(ctx, "delete"); err != nil {
		return err
	}
	f.Lock()
	defer f.Unlock()
	r := f.Records[id]
	if r == nil {
		switch f.Fault {
		case "delete hides missing":
			return nil
		case "delete reports missing as conflict":
			return apikey.ErrConflict
		}
		return apikey.ErrNotFound
	}
	ended := !r.Revoked.IsZero() && !f.Is("delete keeps revoked") || !r.Expires.After(f.Now()) && !f.Is("delete keeps expired")
	switch {
	case f.Is("delete removes valid") && r.Suspended.IsZero():
	case f.Is("delete keeps all but suspended") && !r.Suspended.IsZero():
	case !ended:
		return apikey.ErrConflict
	}
	switch f.Fault {
	case "delete does nothing":
		return nil
	case "delete clears":
		clear(f.Records)
	}
	delete(f.Records, id)
	return nil
}

func (f *faulty) Import(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	if err := f.Err(ctx, "import"); err != nil {
		return apikey.Record{}, err
	}
	f.sweep()
	f.Lock()
	defer f.Unlock()
	now, next, old := f.Now(), r, f.Records[r.ID]
	if !f.Is("import keeps the argument") {
		next.Networks = slices.Clone(r.Networks)
	}
	switch {
	case old == nil && f.Is("import creates"):
		next.Created, next.Rotated, next.Generation = now, now, 1
	case old == nil || f.Is("import overwrites"):
	default:
		if !f.accepts(old, &r) {
			return apikey.Record{}, apikey.ErrConflict
		}
		next = f.merged(*old, r)
	}
	f.Corrupt("import", &next)
	if f.Is("import drops the revoked") && !next.Revoked.IsZero() || f.Is("import does nothing") && old != nil {
		return f.Out("import", &next, now), nil
	}
	if f.Records == nil {
		f.Records = make(map[string]*apikey.Record)
	}
	f.Records[r.ID] = &next
	return f.Out("import", &next, now), nil
}

// accepts reports whether r may change the record.
func (f *faulty) accepts(old, r *apikey.Record) bool {
	if old.Owner != r.Owner && !f.Is("import takes another owner") || old.Tenant != r.Tenant && !f.Is("import takes another tenant") ||
		old.Environment != r.Environment && !f.Is("import takes another environment") {
		return false
	}
	if !r.Revoked.IsZero() {
		return r.Generation >= old.Generation || !f.Is("import refuses an older revocation")
	}
	current, given := old.Current, r.Current
	if f.Is("import ignores the pepper") {
		current.Pepper, given.Pepper = 0, 0
	}
	return old.Revoked.IsZero() && (old.Suspended.IsZero() || !r.Suspended.IsZero() || f.Is("import resumes")) &&
		(r.Generation >= old.Generation || f.Is("import takes an older record")) &&
		(r.Generation != old.Generation || given == current || f.Is("import takes another secret"))
}

// merged returns the record as r changes it.
func (f *faulty) merged(next, r apikey.Record) apikey.Record {
	old := next
	if r.Generation > old.Generation && !f.Is("import keeps the secrets") || f.Is("import reads an older revocation") ||
		r.Generation == old.Generation && f.Is("import reads a revocation of the same generation") {
		next.Current, next.Previous, next.Generation = r.Current, r.Previous, r.Generation
		next.Rotated, next.Expires = r.Rotated, r.Expires
		if !f.Is("import keeps the grace period") {
			next.GraceEnds = r.GraceEnds
		}
	}
	if old.Revoked.IsZero() && !f.Is("import does not revoke") || f.Is("import moves the revocation") {
		next.Revoked = r.Revoked
	}
	if old.Suspended.IsZero() && !f.Is("import does not suspend") || f.Is("import moves the suspension") {
		next.Suspended = r.Suspended
	}
	next.Uses = max(old.Uses, r.Uses)
	if r.LastUsed.After(old.LastUsed) {
		next.LastUsed = r.LastUsed
	}
	switch f.Fault {
	case "import replaces scopes":
		next.Scopes = r.Scopes
	case "import moves the creation":
		next.Created = r.Created
	case "import loses usage":
		next.Uses, next.LastUsed = old.Uses, old.LastUsed
	case "import resets usage":
		next.Uses, next.LastUsed = r.Uses, r.LastUsed
	case "import adds usage":
		next.Uses = old.Uses + r.Uses
	case "import resumes":
		next.Suspended = cmp.Or(r.Suspended, next.Suspended)
	}
	return next
}
