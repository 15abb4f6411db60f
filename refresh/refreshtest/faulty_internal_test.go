// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/refresh"
)

func TestFaults(t *testing.T) {
	contract.Faulty[refresh.Store]{
		New:  func(fault string) refresh.Store { return newFaulty(contract.Fault(fault)) },
		Wait: func(s refresh.Store) { s.(*faulty).Wait() },
	}.TestFaults(t, rules, faults)
}

// faulty is a store with one fault, or without any.
type faulty struct {
	*contract.Table[refresh.Record]
}

func newFaulty(fault contract.Fault) *faulty {
	return &faulty{&contract.Table[refresh.Record]{
		Fault: fault, NotFound: refresh.ErrNotFound,
		Clone: func(r refresh.Record) refresh.Record { r.Successor = bytes.Clone(r.Successor); return r },
		AsOf:  func(r *refresh.Record) *time.Time { return &r.AsOf },
	}}
}

var faults = slices.Concat(
	contract.ClockFaults(), contract.CreateFaults("create"), contract.FindFaults("find"),
	contract.ChangeFaults("rotate"), []string{"rotate shares memory", "rotate without grace reads then writes"},
	contract.ChangeFaults("revoke"), contract.ChangeAllFaults("revoke all"), contract.ListFaults("list"),
	contract.MatchFaults("revoke all", "subject", "client"), contract.MatchFaults("list", "subject", "client"),
	contract.FieldFaults[refresh.Record]("create", "ID", "AsOf"),
	contract.FieldFaults[refresh.Record]("rotate", "ID", "AsOf"),
	contract.FieldFaults[refresh.Record]("reuse", "ID", "AsOf"),
	contract.FieldFaults[refresh.Record]("replay", "ID", "AsOf"),
	contract.FieldFaults[refresh.Record]("revoke", "ID", "AsOf"),
	contract.FieldFaults[refresh.Record]("revoke all", "ID", "AsOf"),
	[]string{
		"clock of the record is missing",
		"create keeps what it is given", "create takes the ID of a revoked family", "metadata is normalized", "strings are folded",
		"hash ends at a zero byte", "successor ends at a zero byte", "auth time in milliseconds", "auth time is local", "auth time is never zero",
		"lifetime in seconds",
		"rotate keeps the argument", "rotate keeps the successor for none", "rotate has grace beyond the expiry", "rotate rotates the previous token",
		"replay moves the grace period", "replay forks", "replay never ends", "replay in the second after the grace period", "replay is reuse",
		"replay after the successor was used", "replay is allowed once", "replay ignores the client", "replay uses the presented grace period",
		"no grace period is endless", "replay drops the successor",
		"reuse does not revoke", "reuse of an unknown secret is not found", "reuse of an unknown secret does not revoke", "zero secret is replayed",
		"client is ignored", "client is folded", "client is trimmed", "client is a prefix", "other client does not revoke", "empty client is any",
		"key is ignored", "zero key is any", "wrong key revokes", "wrong key with an unknown secret revokes", "key is checked last",
		"revoked is rotated", "revoked is replayed", "revoked is reused", "revoked is revoked again", "revoked with another client is reused",
		"revoked is expired", "expired is revoked", "expired is rotated", "expired changes the family",
		"revoke moves the time", "revoke revokes all",
		"revoke all returns the revoked", "revoke all returns the expired", "revoke all ignores except",
		"list returns the revoked", "list returns the expired", "list ignores except", "list is by creation", "list is by rotation", "list takes a client alone",
	},
)

func (f *faulty) Create(ctx context.Context, r refresh.Record, lifetime time.Duration) (refresh.Record, error) {
	replace := func(old *refresh.Record, _ time.Time) bool {
		return f.Is("create takes the ID of a revoked family") && !old.Revoked.IsZero()
	}
	return f.Table.Create(ctx, "create", r.ID, replace, func(now time.Time) refresh.Record {
		c := refresh.Record{Family: refresh.Family{ID: r.ID, Grant: r.Grant}, Key: r.Key, Current: r.Current}
		if f.Is("create keeps what it is given") {
			c = r
		}
		c.Created, c.Expires, c.Generation = now, now.Add(lifetime), 1
		if !c.AuthTime.IsZero() {
			c.AuthTime = c.AuthTime.UTC().Truncate(time.Microsecond)
		}
		switch f.Fault {
		case "metadata is normalized":
			c.Metadata = gatehouse.VerifiedClaims(strings.NewReplacer(" ", "", "1.50", "1.5").Replace(c.Metadata.String()))
		case "strings are folded":
			c.Subject, c.Client, c.Tenant = strings.ToLower(c.Subject), strings.ToLower(c.Client), strings.ToLower(c.Tenant)
		case "hash ends at a zero byte":
			clear(c.Current[bytes.IndexByte(c.Current[:], 0)+1:])
		case "auth time in milliseconds":
			c.AuthTime = c.AuthTime.Truncate(time.Millisecond)
		case "auth time is local":
			c.AuthTime = c.AuthTime.In(time.FixedZone("", 3600))
		case "auth time is never zero":
			if c.AuthTime.IsZero() {
				c.AuthTime = time.UnixMicro(0).UTC()
			}
		case "lifetime in seconds":
			c.Expires = now.Add(lifetime.Truncate(time.Second))
		}
		return c
	})
}

func (f *faulty) Find(ctx context.Context, id string) (refresh.Record, error) {
	return f.Table.Find(ctx, "find", id)
}

func (f *faulty) Rotate(ctx context.Context, id string, p refresh.Presentation) (refresh.Record, refresh.Outcome, error) {
	var outcome refresh.Outcome
	r, err := f.Change(ctx, "rotate", id, func(r *refresh.Record, now time.Time) (err error) {
		if p.Grace == 0 {
			f.Yield("rotate without grace", &f.Mutex)
		}
		outcome, err = f.rotate(r, p, now)
		return err
	})
	if f.Is("replay drops the successor") && outcome == refresh.Replayed {
		r.Successor = nil
	}
	return r, outcome, err
}

func (f *faulty) rotate(r *refresh.Record, p refresh.Presentation, now time.Time) (refresh.Outcome, error) {
	key := r.Key == p.Key || f.Is("key is ignored") || f.Is("zero key is any") && p.Key == refresh.Hash{}
	known := p.Secret == r.Current || p.Secret == r.Previous
	if !key && (!f.Is("key is checked last") || r.Current == p.Secret) {
		if r.Revoked.IsZero() && (f.Is("wrong key revokes") || f.Is("wrong key with an unknown secret revokes") && !known) {
			c := *r
			f.revoke(&c, now)
			f.Records[r.ID] = &c
		}
		return "", refresh.ErrNotFound
	}
	if outcome := f.inactive(r, p, now); outcome != "" {
		return outcome, nil
	}
	grace := r.GraceEnds.After(now)
	switch f.Fault {
	case "replay never ends":
		grace = true
	case "replay in the second after the grace period":
		grace = !r.GraceEnds.Add(time.Second).Before(now)
	case "no grace period is endless":
		grace = grace || r.GraceEnds.Equal(r.Rotated)
	case "replay uses the presented grace period":
		grace = r.Rotated.Add(p.Grace).After(now)
	}
	previous := r.Previous == p.Secret && !f.Is("replay is reuse")
	if f.Is("zero secret is replayed") && p.Secret == (refresh.Hash{}) {
		previous, grace = true, true
	}
	switch {
	case !f.isClient(r, p):
		if f.Is("other client does not revoke") {
			return refresh.Reused, nil
		}
	case r.Current == p.Secret, f.Is("rotate rotates the previous token") && previous:
		f.succeed(r, p, now)
		return refresh.Rotated, nil
	case previous && grace:
		switch f.Fault {
		case "replay moves the grace period":
			r.GraceEnds = now.Add(p.Grace)
		case "replay forks":
			r.Current, r.Successor = p.Next, bytes.Clone(p.Successor)
		case "replay is allowed once":
			r.GraceEnds = now
		}
		f.Corrupt("replay", r)
		return refresh.Replayed, nil
	case f.Is("replay after the successor was used") && !previous && r.GraceEnds.After(now) && r.Generation > 2:
		return refresh.Replayed, nil
	case !known && f.Is("reuse of an unknown secret is not found"):
		return "", refresh.ErrNotFound
	case !known && r.Generation == 1 && f.Is("reuse of an unknown secret does not revoke"), f.Is("reuse does not revoke"):
		return refresh.Reused, nil
	}
	f.revoke(r, now)
	f.Corrupt("reuse", r)
	return refresh.Reused, nil
}

// inactive returns the outcome for a family that is not active, "" for others.
func (f *faulty) inactive(r *refresh.Record, p refresh.Presentation, now time.Time) refresh.Outcome {
	revoked, expired := !r.Revoked.IsZero(), !r.Expires.After(now)
	switch {
	case !revoked && !expired, f.Is("expired is rotated") && !revoked:
		return ""
	case f.Is("revoked is rotated") && r.Current == p.Secret:
		return refresh.Rotated
	case f.Is("revoked is replayed") && r.Previous == p.Secret:
		return refresh.Replayed
	case f.Is("revoked is reused") && r.Current != p.Secret, f.Is("revoked with another client is reused") && r.Client != p.Client:
		return refresh.Reused
	case f.Is("revoked is expired"), expired && !revoked && !f.Is("expired is revoked"):
		if f.Is("expired changes the family") {
			f.revoke(r, now)
		}
		return refresh.Expired
	case f.Is("revoked is revoked again"):
		r.Revoked = now
	}
	return refresh.Revoked
}

func (f *faulty) isClient(r *refresh.Record, p refresh.Presentation) bool {
	switch f.Fault {
	case "client is ignored":
		return true
	case "client is folded":
		return strings.EqualFold(r.Client, p.Client)
	case "client is trimmed":
		return strings.TrimSpace(p.Client) == r.Client
	case "client is a prefix":
		return p.Client != "" && strings.HasPrefix(r.Client, p.Client)
	case "empty client is any":
		return p.Client == "" || p.Client == r.Client
	case "replay ignores the client":
		return r.Client == p.Client || r.Previous == p.Secret
	}
	return r.Client == p.Client
}

// succeed replaces the current token.
func (f *faulty) succeed(r *refresh.Record, p refresh.Presentation, now time.Time) {
	r.Previous, r.Current = r.Current, p.Next
	switch {
	case f.Is("rotate keeps the successor for none") && len(p.Successor) == 0:
	case f.Is("rotate keeps the argument"):
		r.Successor = p.Successor
	case f.Is("successor ends at a zero byte"):
		r.Successor, _, _ = bytes.Cut(p.Successor, []byte{0})
	default:
		r.Successor = bytes.Clone(p.Successor)
	}
	r.Rotated, r.GraceEnds = now, now.Add(p.Grace)
	if r.GraceEnds.After(r.Expires) && !f.Is("rotate has grace beyond the expiry") {
		r.GraceEnds = r.Expires
	}
	r.Generation++
}

func (f *faulty) revoke(r *refresh.Record, now time.Time) { r.Revoked, r.Successor = now, nil }

func (f *faulty) Revoke(ctx context.Context, id string) (refresh.Record, error) {
	return f.Change(ctx, "revoke", id, func(r *refresh.Record, now time.Time) error {
		if r.Revoked.IsZero() || f.Is("revoke moves the time") {
			f.revoke(r, now)
		}
		for id, other := range f.Records {
			if f.Is("revoke revokes all") && other.Revoked.IsZero() {
				c := *other
				f.revoke(&c, now)
				f.Records[id] = &c
			}
		}
		return nil
	})
}

// match returns the function by which a method selects the records of a filter.
func (f *faulty) match(method string, filter refresh.Filter) func(*refresh.Record, time.Time) bool {
	return func(r *refresh.Record, now time.Time) bool {
		return (r.Revoked.IsZero() || f.Is(method, "returns the revoked")) && (r.Expires.After(now) || f.Is(method, "returns the expired")) &&
			(r.ID != filter.Except || f.Is(method, "ignores except")) &&
			f.Matches(method, contract.Field{Name: "subject", Filter: filter.Subject, Record: r.Subject},
				contract.Field{Name: "client", Filter: filter.Client, Record: r.Client})
	}
}

func (f *faulty) RevokeAll(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	return f.ChangeAll(ctx, "revoke all", limit, f.match("revoke all", filter), f.revoke)
}

func (f *faulty) List(ctx context.Context, filter refresh.Filter, limit int) ([]refresh.Record, error) {
	match := f.match("list", filter)
	if filter.Subject == "" && filter.Client != "" && !f.Is("list takes a client alone") {
		match = func(*refresh.Record, time.Time) bool { return false }
	}
	used := func(r *refresh.Record) time.Time {
		if !f.Is("list is by rotation") && (r.Rotated.IsZero() || f.Is("list is by creation")) {
			return r.Created
		}
		return r.Rotated
	}
	return f.Table.List(ctx, "list", limit, match, func(a, b *refresh.Record) int {
		return cmp.Or(used(b).Compare(used(a)), cmp.Compare(a.ID, b.ID))
	})
}
