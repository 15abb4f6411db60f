// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// planned is a rotator with the limits of the tests, and the instants are relative to zero.
var planned = Rotator{every: 24 * time.Hour, refresh: time.Second, drain: 10 * time.Minute, timeout: 5 * time.Second}

func at(d time.Duration) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(d)
}

// versionAt returns a credential whose creation began at created and whose stage at since.
func versionAt(id string, s stage, created, since time.Duration) version {
	return version{ID: id, Stage: s, Created: at(created), Since: at(since), Next: at(since)}
}

// next returns v with its next step at d.
func next(v version, d time.Duration) version { v.Next = at(d); return v }

// Each step is due in its instant, and not before it.
func TestPlan(t *testing.T) {
	const day = 24 * time.Hour
	uses := map[string]node{"n": {Uses: []string{"a"}, Expires: at(2 * day)}}
	dead := versionAt("a", draining, -day, 0)
	dead.Dead = true
	failed := next(versionAt("a", revoking, 0, 0), time.Minute)
	failed.Failures = 3
	many := state{}
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		many.Versions = append(many.Versions, next(versionAt(id, revoking, 0, 0), time.Hour))
	}
	full := state{Versions: append(many.Versions, next(versionAt("h", revoking, 0, 0), time.Hour))}
	for name, test := range map[string]struct {
		state  state
		due    time.Duration
		id     string        // "" for a new one
		step   stage         // "" for none at any time
		before time.Duration // the wait an instant before due
		event  gatehouse.EventType
	}{
		"revoke a creation of another process": {state{Versions: []version{versionAt("a", creating, 0, 0)}, Retry: at(day)}, 10 * time.Second, "a", revoking, 1, EventDrained},
		"revoke after the drain limit": {
			state{Versions: []version{next(versionAt("a", draining, -day, 0), -1), versionAt("b", active, -day, 0)}, Nodes: uses}, 10 * time.Minute, "a", revoking, time.Second, EventDrained,
		},
		"revoke when unused":         {state{Versions: []version{next(versionAt("a", draining, 0, 0), -1)}, Nodes: map[string]node{"n": {[]string{"a"}, at(time.Minute)}}}, time.Minute, "a", revoking, -1, EventDrained},
		"revoke what is dead":        {state{Versions: []version{dead}, Nodes: uses}, 0, "a", revoking, -1, EventDrained},
		"probe before a revocation":  {state{Versions: []version{versionAt("a", revoking, 0, 0), versionAt("b", created, 0, 0)}}, 0, "b", created, 1, ""},
		"the next of two":            {state{Versions: []version{next(versionAt("a", revoking, 0, 0), 300), next(versionAt("b", revoking, 0, 0), 800)}, Retry: at(day)}, 300, "a", revoking, 1, ""},
		"rotate every interval":      {state{Versions: []version{next(versionAt("a", active, -time.Minute, 0), time.Hour)}}, day, "", creating, 1, EventCreating},
		"rotate what is replaced":    {state{Versions: []version{versionAt("a", active, 0, 0)}, Replace: "a", Retry: at(time.Minute)}, time.Minute, "", creating, 1, EventCreating},
		"create one more of seven":   {state{Versions: many.Versions, Retry: at(time.Minute)}, time.Minute, "", creating, 1, EventCreating},
		"create none more of eight":  {full, time.Minute, "", "", time.Second, ""},
		"create none if closed":      {state{Closed: true}, time.Minute, "", "", time.Second, ""},
		"keep the backoff if closed": {state{Versions: []version{failed}, Closed: true}, time.Minute, "a", revoking, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, early := range []time.Duration{1, 0} {
				s := test.state
				s.Versions = append([]version{}, s.Versions...)
				now := at(test.due - early)
				id, step, events, wait := planned.plan(&s, now)
				switch {
				case early > 0 && test.before >= 0 && (step != "" || wait != test.before):
					t.Errorf("plan before it is due = %s %s, wait %v, want none and wait %v", step, id, wait, test.before)
				case early == 0 && (step != test.step || test.id != "" && id != test.id):
					t.Errorf("plan = %s %s, want %s %s", step, id, test.step, test.id)
				case early == 0 && (len(events) == 1) != (test.event != ""):
					t.Errorf("events = %v, want %q", events, test.event)
				case early == 0 && len(events) == 1:
					v := s.find(id)
					if e := events[0]; e.Type != test.event || e.Credential != id || !v.Since.Equal(now) || step == creating && !v.Created.Equal(now) {
						t.Errorf("event = %+v of %+v, want %s now", e, v, test.event)
					}
				}
			}
		})
	}
}

// The state after a call of the provider.
func TestDone(t *testing.T) {
	const minute = time.Minute
	secret := gatehouse.NewSecret([]byte("sk"))
	failed := errors.New("failed")
	with := func(v version, failures int, secret gatehouse.Secret) version {
		v.Failures, v.secret = failures, secret
		return v
	}
	none := gatehouse.Secret{}
	for name, test := range map[string]struct {
		before state
		step   stage
		err    error
		want   state
		event  gatehouse.EventType
	}{
		"created": {
			state{Versions: []version{with(versionAt("a", creating, 0, 0), 3, none)}, Failures: 2},
			creating, nil,
			state{Versions: []version{with(versionAt("a", created, 0, minute), 0, secret)}, Failures: 2},
			EventCreated,
		},
		"creation failed": {
			state{Versions: []version{versionAt("a", creating, 55*time.Second, 55*time.Second)}, Failures: 2},
			creating, failed,
			state{Versions: []version{next(versionAt("a", revoking, 55*time.Second, minute), 65*time.Second)}, Failures: 3, Retry: at(minute + 20*time.Second)},
			EventDrained,
		},
		"accepted": {
			state{Versions: []version{versionAt("b", active, 0, 0), versionAt("a", created, 0, 0)}, Failures: 2, Replace: "b"},
			created, nil,
			state{Versions: []version{versionAt("b", draining, 0, minute), versionAt("a", active, 0, minute)}, Retry: at(minute + time.Second)},
			EventActivated,
		},
		"to be probed again": {
			state{Versions: []version{versionAt("a", created, 0, 51*time.Second)}, Failures: 2},
			created, failed,
			state{Versions: []version{next(versionAt("a", created, 0, 51*time.Second), minute+time.Second)}, Failures: 2},
			"",
		},
		"given up": {
			state{Versions: []version{next(versionAt("a", created, 0, 50*time.Second), 55*time.Second)}, Failures: 9},
			created, failed,
			state{Versions: []version{versionAt("a", revoking, 0, minute)}, Failures: 10, Retry: at(minute + 64*5*time.Second)},
			EventDrained,
		},
		"revoked": {
			state{Versions: []version{versionAt("a", revoking, 0, 0), versionAt("b", active, 0, 0)}},
			revoking, nil,
			state{Versions: []version{versionAt("b", active, 0, 0)}},
			EventRevoked,
		},
		"revocation failed": {
			state{Versions: []version{with(versionAt("a", revoking, 0, 0), 1, none)}},
			revoking, failed,
			state{Versions: []version{next(with(versionAt("a", revoking, 0, 0), 2, none), minute+10*time.Second)}},
			"",
		},
		"removed by another node": {state{Closed: true}, revoking, nil, state{Closed: true}, ""},
		"moved by another node": {
			state{Versions: []version{versionAt("a", revoking, 0, 0)}},
			created, nil,
			state{Versions: []version{versionAt("a", revoking, 0, 0)}},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.before
			events := planned.done(&s, at(minute), "a", test.step, secret, test.err)
			if diff := cmp.Diff(test.want, s, cmp.AllowUnexported(version{})); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if len(events) > 1 || (len(events) == 1) != (test.event != "") || len(events) == 1 && events[0].Type != test.event {
				t.Errorf("events = %v, want %q", events, test.event)
			}
		})
	}
}

// newInternal returns a rotator with a store in memory whose clock is an hour ahead.
func newInternal(t *testing.T, p Provider) *Rotator {
	keys, err := cookie.NewKeyring(gatehouse.NewSecret(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRotator(RotatorConfig{Name: "main", Provider: p, Store: &ahead{}, Keys: keys, Refresh: time.Second, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type ahead struct {
	Memory
	loadErr  error
	swapErrs []error // of the next calls
}

func (a *ahead) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	if len(a.swapErrs) > 0 {
		err := a.swapErrs[0]
		a.swapErrs = a.swapErrs[1:]
		if err != nil {
			return err
		}
	}
	return a.Memory.Swap(ctx, name, revision, data)
}

func (a *ahead) Load(ctx context.Context, name string) (Record, error) {
	if a.loadErr != nil {
		return Record{}, a.loadErr
	}
	r, err := a.Memory.Load(ctx, name)
	r.AsOf = r.AsOf.Add(time.Hour)
	return r, err
}

// load returns the record.
func (r *Rotator) load(t *testing.T) (*state, Record) {
	record, err := r.store.Load(t.Context(), r.name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := decode(record.Data, r.name, r.keys)
	if err != nil {
		t.Fatal(err)
	}
	return s, record
}

// set changes the record.
func (r *Rotator) set(t *testing.T, change func(s *state, now time.Time)) {
	t.Helper()
	if err := r.update(t.Context(), func(s *state, now time.Time) bool { change(s, now); return true }); err != nil {
		t.Fatal(err)
	}
}

type creator struct {
	Provider
	create func() error
}

func (c creator) Create(context.Context, string) (gatehouse.Secret, error) {
	return gatehouse.Secret{}, c.create()
}

// The lease ends by the clock of the store, and with the last step.
func TestLeaseIsOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *Rotator
		creations := 0
		r = newInternal(t, creator{create: func() error {
			creations++
			if s, record := r.load(t); s.Lease.Node != r.node || !s.Lease.Expires.Equal(record.AsOf.Add(10*time.Second)) {
				t.Errorf("lease = %+v at %v, want one of 10 s", s.Lease, record.AsOf)
			}
			return errors.New("down")
		}})
		r.set(t, func(s *state, now time.Time) { s.Lease = lease{Node: "other", Expires: now.Add(time.Microsecond)} })
		if wait, err := r.turn(t.Context()); wait != time.Second || err != nil || creations > 0 {
			t.Errorf("turn before the end of the lease = %v, %v after %d creations, want no step for a second", wait, err, creations)
		}
		time.Sleep(time.Microsecond)
		if _, err := r.turn(t.Context()); err == nil {
			t.Error("turn error = nil, want that of the provider")
		}
		if s, _ := r.load(t); s.Lease != (lease{}) {
			t.Errorf("lease after the last step = %+v, want none", s.Lease)
		}
	})
}

// What replace records for the active credential a.
func TestReplace(t *testing.T) {
	for _, test := range []struct {
		id        string
		wasDead   bool
		dead      bool
		retry     time.Duration // from now
		ok        bool
		replaced  bool
		wantRetry time.Duration
	}{
		{"", false, false, time.Minute, true, true, 0},
		{"", true, false, time.Minute, true, true, 0}, // it stays dead
		{"a", false, true, 0, true, true, 0},
		{"a", false, true, 1000, false, true, 1000},
		{"b", false, true, 0, false, false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newInternal(t, creator{})
			now := time.Now().Add(time.Hour)
			r.set(t, func(s *state, _ time.Time) {
				s.Versions, s.Retry = []version{{ID: "a", Stage: active, Dead: test.wasDead}}, now.Add(test.retry)
			})
			_, ok, err := r.replace(t.Context(), test.id, test.dead)
			s, _ := r.load(t)
			if err != nil || ok != test.ok || (s.Replace == "a") != test.replaced || s.Versions[0].Dead != (test.wasDead || test.dead && test.replaced) || !s.Retry.Equal(now.Add(test.wantRetry)) {
				t.Errorf("replace(%q, dead %v) = %v, %v with the record %+v at %v", test.id, test.dead, ok, err, s, now)
			}
		})
	}
}

// Each write of the record names what the node uses: from before the calls with a new
// credential begin until those with the former one have ended.
func TestUpdateHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newInternal(t, creator{})
		var err error
		change := func(stages map[string]stage) func(*state, time.Time) bool {
			return func(s *state, now time.Time) bool {
				s.Versions = nil
				for _, id := range slices.Sorted(maps.Keys(stages)) {
					s.Versions = append(s.Versions, version{ID: id, Stage: stages[id], secret: gatehouse.NewSecret([]byte(id))})
				}
				return len(stages) > 0
			}
		}
		rotated := change(map[string]stage{"a": draining, "b": active})
		none := func(*state, time.Time) bool { return false }
		var release func()
		for _, step := range []struct {
			name     string
			before   func()
			change   func(*state, time.Time) bool
			revision int64
			uses     []string
		}{
			{"activate", func() {}, change(map[string]stage{"a": active}), 1, []string{"a"}},
			{"nothing new", func() { _, release, err = r.Acquire(t.Context()) }, none, 1, []string{"a"}},
			{"rotate", func() {}, rotated, 2, []string{"a", "b"}},
			{"during a call", func() {}, none, 2, []string{"a", "b"}},
			{"after the call", func() { release() }, none, 3, []string{"b"}},
			{"before half of the hold", func() { time.Sleep(3*time.Second - time.Microsecond) }, none, 3, []string{"b"}},
			{"at half of the hold", func() { time.Sleep(time.Microsecond) }, func(s *state, now time.Time) bool {
				s.Nodes["dead"] = node{Expires: now}
				return false
			}, 4, []string{"b"}},
			{"after the end of another node", func() { time.Sleep(3 * time.Second) }, none, 5, []string{"b"}},
			{"rotate without a call", func() {}, change(map[string]stage{"b": draining, "c": active}), 6, []string{"b", "c"}},
			{"after it", func() {}, none, 7, []string{"c"}},
		} {
			step.before()
			if err != nil {
				t.Fatal(err)
			}
			if err := r.update(t.Context(), step.change); err != nil {
				t.Fatalf("%s: update error = %v", step.name, err)
			}
			s, record := r.load(t)
			_, dead := s.Nodes["dead"]
			if got := s.Nodes[r.node].Uses; record.Revision != step.revision || !slices.Equal(got, step.uses) || dead && step.revision > 4 {
				t.Errorf("%s: revision %d, the node uses %q of %v, want revision %d and %q", step.name, record.Revision, got, s.Nodes, step.revision, step.uses)
			}
		}
		if len(r.calls) > 0 {
			t.Errorf("calls after their end: %v", r.calls)
		}
	})
}

// A call that waits sees at once what another goroutine of its process learns.
func TestUntilSeesChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newInternal(t, creator{})
		r.set(t, func(s *state, now time.Time) { s.Lease = lease{Node: "other", Expires: now.Add(time.Hour)} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := r.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire error = %v, want %v", err, context.DeadlineExceeded)
		}
		start := time.Now()
		time.AfterFunc(time.Millisecond, func() {
			r.set(t, func(s *state, _ time.Time) { s.Versions = []version{{ID: "a", Stage: active}} })
		})
		if _, _, err := r.Acquire(t.Context()); err != nil || time.Since(start) != time.Millisecond {
			t.Errorf("Acquire error = %v after %v, want none after 1 ms", err, time.Since(start))
		}
	})
}

// A turn records what it moves also if the provider is not to be called.
func TestTurnRecordsMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newInternal(t, creator{})
		r.set(t, func(s *state, now time.Time) {
			s.Versions, s.Retry = []version{{ID: "a", Stage: creating, Created: now}}, now.Add(time.Hour)
		})
		_, err := r.turn(t.Context())
		if s, _ := r.load(t); err != nil || s.Versions[0].Stage != revoking {
			t.Errorf("after turn: %+v, error %v, want %s", s.Versions, err, revoking)
		}
	})
}

// An update that fails changes neither the record nor the credential of calls.
func TestUpdateFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newInternal(t, creator{})
		s := r.store.(*ahead)
		activate := func(id string) func(*state, time.Time) bool {
			return func(s *state, _ time.Time) bool {
				s.Versions = []version{{ID: id, Stage: active}}
				return true
			}
		}
		r.set(t, func(s *state, now time.Time) { activate("a")(s, now) })
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		down := errors.New("down")
		for name, test := range map[string]struct {
			ctx        context.Context //nolint:containedctx // of one call
			load, swap error
			id         string
			busy       bool
		}{
			"load":     {t.Context(), down, nil, "b", false},
			"swap":     {t.Context(), nil, down, "b", false},
			"large":    {t.Context(), nil, nil, string(make([]byte, MaxRecordBytes)), false},
			"canceled": {canceled, nil, nil, "b", true},
		} {
			s.loadErr, s.swapErrs = test.load, []error{test.swap}
			if test.busy {
				r.writing <- struct{}{}
				r.working <- struct{}{}
				if _, err := r.turn(test.ctx); err == nil {
					t.Errorf("%s: turn error = nil", name)
				}
			}
			err := r.update(test.ctx, activate(test.id))
			s.loadErr, s.swapErrs = nil, nil
			if now, record := r.load(t); err == nil || now.at(active).ID != "a" || record.Revision != 1 || r.id() != "a" {
				t.Errorf("%s: update error = %v with the record %+v and the credential %s, want an error and a", name, err, now, r.id())
			}
			if test.busy {
				<-r.writing
				<-r.working
			}
		}
		s.swapErrs = []error{fmt.Errorf("sql: %w", ErrConflict), nil}
		if err := r.update(t.Context(), activate("b")); err != nil || r.id() != "b" {
			t.Errorf("update after a conflict: error = %v, credential %s, want b", err, r.id())
		}
	})
}

func TestRotatorDefaults(t *testing.T) {
	r := newInternal(t, creator{})
	r, err := NewRotator(RotatorConfig{Name: "main", Provider: r.provider, Store: r.store, Keys: r.keys})
	if err != nil {
		t.Fatal(err)
	}
	got := []time.Duration{r.every, r.refresh, r.drain, r.timeout, r.flight.Timeout}
	if want := []time.Duration{30 * 24 * time.Hour, 5 * time.Second, 10 * time.Minute, 30 * time.Second, 2 * time.Minute}; !slices.Equal(got, want) {
		t.Errorf("times = %v, want %v", got, want)
	}
}
