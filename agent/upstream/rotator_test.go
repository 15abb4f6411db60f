// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

func TestNewRotatorReportsAllErrors(t *testing.T) {
	_, err := upstream.NewRotator(upstream.RotatorConfig{
		Name: "a\nb", Provider: (*provider)(nil), Store: (*upstream.Memory)(nil), Observer: (*events)(nil),
		Every: -1, Refresh: -1, Drain: -1, Timeout: -1,
	})
	for _, field := range []string{"Name", "Provider", "Store", "Keys", "Observer", "Every", "Refresh", "Drain", "Timeout"} {
		if want := "upstream: RotatorConfig." + field + ": "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewRotator error = %v, want %s", err, want)
		}
	}
	if _, err := upstream.NewRotator(upstream.RotatorConfig{}); err == nil || !strings.Contains(err.Error(), "RotatorConfig.Name: required") {
		t.Errorf("NewRotator without a name: error = %v", err)
	}
	seen := &events{}
	newRotator(t, newProvider(), &upstream.Memory{}, func(c *upstream.RotatorConfig) { c.Observer = seen })
	if diff := cmp.Diff([]gatehouse.EventType{upstream.EventMemoryStore}, seen.types()); diff != "" {
		t.Errorf("events of NewRotator (-want +got):\n%s", diff)
	}
}

// A rotation activates a new credential at once and revokes the previous one when the
// last call with it ends.
func TestRotateDrainsBeforeItRevokes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, seen := newProvider(), &events{}
		r := newRotator(t, p, newStore(), func(c *upstream.RotatorConfig) { c.Observer = seen })
		run(t, r)
		first, release := acquire(t, r)
		if want := []gatehouse.EventType{upstream.EventCreating, upstream.EventCreated, upstream.EventActivated}; !slices.Equal(seen.types(), want) {
			t.Errorf("events of the first credential, want %q", want)
		}
		start := time.Now()
		noError(t, r.Rotate(t.Context()))
		if took := time.Since(start); took > 0 {
			t.Errorf("Rotate after an activation took %v, want no pause", took)
		}
		second, releaseSecond := acquire(t, r)
		if first.ID == second.ID || first.Secret.Equal(second.Secret) || !p.accepts(first) || !p.accepts(second) {
			t.Errorf("after Rotate with a call in flight: %s and %s, live %q", first.ID, second.ID, p.ids())
		}
		releaseSecond()
		time.Sleep(9*time.Minute + 300*time.Millisecond) // between two turns
		if !p.accepts(first) {
			t.Error("the previous credential was revoked before its last call ended")
		}
		seen.types()
		release()
		synctest.Wait()
		if diff := cmp.Diff([]string{second.ID}, p.ids()); diff != "" {
			t.Errorf("live credentials after the last call (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]gatehouse.EventType{upstream.EventDrained, upstream.EventRevoked}, seen.types()); diff != "" {
			t.Errorf("events of the revocation (-want +got):\n%s", diff)
		}
	})
}

func TestDrainHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider()
		r := newRotator(t, p, newStore(), nil)
		run(t, r)
		first, release := acquire(t, r)
		defer release()
		noError(t, r.Rotate(t.Context()))
		time.Sleep(10*time.Minute - 2*time.Second)
		if !p.accepts(first) {
			t.Error("the previous credential was revoked before Drain")
		}
		time.Sleep(4 * time.Second)
		if p.accepts(first) {
			t.Error("the previous credential was not revoked after Drain")
		}
	})
}

// Every node holds the credential that it uses: the node that rotates waits for the
// calls of the others, and for one that has died until its hold expires.
func TestRotationWaitsForOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProvider(), newStore()
		one, two, dead := newRotator(t, p, s, nil), newRotator(t, p, s, nil), newRotator(t, p, s, nil)
		run(t, one)
		run(t, two)
		first, release := acquire(t, two)
		_, _ = acquire(t, dead) // never runs and never releases
		noError(t, one.Rotate(t.Context()))
		time.Sleep(1500 * time.Millisecond) // more than Refresh
		if c := current(t, two); c.ID == first.ID {
			t.Error("the other node does not use the new credential after Refresh")
		}
		release()
		time.Sleep(3 * time.Second)
		if !p.accepts(first) {
			t.Error("revoked before the hold of a node expired")
		}
		time.Sleep(4 * time.Second)
		if p.accepts(first) || len(p.ids()) != 1 {
			t.Errorf("not revoked when all holds are gone: live %q", p.ids())
		}
		p.onCall(func(when, op string) error {
			t.Errorf("%s %s for a credential that was replaced", when, op)
			return nil
		})
		dead.Rejected(t.Context(), first)
	})
}

// One node at a time calls the provider, for as long as the call may take, and lets the next
// one do so at once.
func TestOneNodeCallsProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProvider(), newStore()
		one, two, other := newRotator(t, p, s, nil), newRotator(t, p, s, nil), newRotator(t, p, s, nil)
		stop := run(t, other)
		run(t, one)
		run(t, two)
		current(t, one)
		var calls atomic.Int32
		p.onCall(func(when, op string) error {
			if when == "after" {
				calls.Add(-1)
				return nil
			}
			if calls.Add(1) > 1 {
				t.Errorf("%s during another call", op)
			}
			if op == "create" {
				stop() // it has no lease to release
			}
			time.Sleep(4900 * time.Millisecond)
			return nil
		})
		var slow []time.Duration
		for _, r := range []*upstream.Rotator{one, two, one, two} {
			start := time.Now()
			noError(t, r.Rotate(t.Context()))
			if took := time.Since(start); took > 16*time.Second {
				slow = append(slow, took)
			}
		}
		if len(slow) > 1 { // rarely the nodes take turns so that there are two revocations before one
			t.Errorf("Rotate took %v, want the time of a creation, a probe and a revocation before them", slow)
		}
		time.Sleep(time.Minute)
		if p.creations() != 5 || len(p.ids()) != 1 {
			t.Errorf("%d credentials created, live %q, want 5 and one", p.creations(), p.ids())
		}
		// Rejected waits for a probe, a creation and a probe.
		c := current(t, one)
		p.onCall(nil)
		noError(t, p.Revoke(t.Context(), c.ID))
		p.onCall(func(when, _ string) error {
			if when == "before" {
				time.Sleep(4900 * time.Millisecond)
			}
			return nil
		})
		start := time.Now()
		one.Rejected(t.Context(), c)
		if took := time.Since(start); took >= 20*time.Second {
			t.Errorf("Rejected took %v, want the time of four calls of the provider at most", took)
		}
		if c := current(t, one); !p.accepts(c) {
			t.Errorf("after Rejected: the credential %s is not live", c.ID)
		}
	})
}

// faulty is a provider whose creations fail in a way of their own.
type faulty struct {
	*provider
	create func(ctx context.Context) (gatehouse.Secret, error)
	probe  error
}

func (f faulty) Create(ctx context.Context, _ string) (gatehouse.Secret, error) { return f.create(ctx) }
func (f faulty) Probe(context.Context, gatehouse.Secret) error                  { return f.probe }

func TestFaultyCreation(t *testing.T) {
	for name, create := range map[string]func(context.Context) (gatehouse.Secret, error){
		"no credential": func(context.Context) (gatehouse.Secret, error) { return gatehouse.Secret{}, nil },
		"hangs": func(ctx context.Context) (gatehouse.Secret, error) {
			<-ctx.Done()
			return gatehouse.Secret{}, ctx.Err()
		},
		"never accepted": func(context.Context) (gatehouse.Secret, error) { return gatehouse.NewSecret([]byte("sk")), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRotator(t, faulty{newProvider(), create, errDown}, newStore(), nil)
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second) // more than twice Timeout
				defer cancel()
				if c, _, err := r.Acquire(ctx); !isUnavailable(err) || ctx.Err() != nil {
					t.Errorf("Acquire = %q, %v, want an error of the creation", c.ID, err)
				}
			})
		})
	}
}

func TestRotatesEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProvider(), newStore()
		for range 3 { // nodes
			run(t, newRotator(t, p, s, func(c *upstream.RotatorConfig) { c.Refresh = 10 * time.Minute }))
		}
		time.Sleep(10*24*time.Hour + 3*time.Hour)
		if len(p.ids()) != 1 || p.creations() != 11 {
			t.Errorf("after ten intervals on three nodes: %d created, %d live, want 11 and 1", p.creations(), len(p.ids()))
		}
	})
}

// The provider rejects the active credential: it is replaced at once, by one node,
// and calls wait for the new one.
func TestRejectedReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, seen := newProvider(), newStore(), &events{}
		observed := func(c *upstream.RotatorConfig) { c.Observer = seen }
		one, two := newRotator(t, p, s, observed), newRotator(t, p, s, observed)
		run(t, one)
		run(t, two)
		first, release := acquire(t, one)
		defer release()
		time.Sleep(5 * time.Second)
		one.Rejected(t.Context(), first) // the 401 was about the request
		p.onCall(func(string, string) error { return errDown })
		one.Rejected(t.Context(), first) // the provider does not say
		p.onCall(nil)
		if c := current(t, one); c.ID != first.ID || p.creations() != 1 {
			t.Errorf("Rejected for a credential that the provider accepts: %s, %d created", c.ID, p.creations())
		}
		seen.types()
		noError(t, p.Revoke(t.Context(), first.ID))
		done := make(chan upstream.Credential)
		for _, r := range []*upstream.Rotator{one, two, one, two} {
			go func() {
				r.Rejected(t.Context(), first)
				c, end, err := r.Acquire(t.Context())
				if err != nil {
					t.Errorf("Acquire error = %v", err)
				}
				end()
				done <- c
			}()
		}
		for range 4 {
			if c := <-done; !p.accepts(c) || c.ID == first.ID {
				t.Errorf("after Rejected: the credential %s is not live", c.ID)
			}
		}
		time.Sleep(time.Minute)
		if p.creations() != 2 || len(p.ids()) != 1 {
			t.Errorf("after Rejected on two nodes: %d created, %d live, want 2 and 1", p.creations(), len(p.ids()))
		}
		if got := seen.types(); !slices.Contains(got, upstream.EventReplacing) {
			t.Errorf("events = %q, want %q", got, upstream.EventReplacing)
		}
		two.Rejected(t.Context(), first) // an earlier one
		if p.creations() != 2 {
			t.Error("Rejected for an earlier credential replaced the active one")
		}
	})
}

// A provider that rejects all credentials does not cause a new one for each call.
func TestRejectedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider()
		r := newRotator(t, p, newStore(), nil)
		run(t, r)
		c := current(t, r)
		p.onCall(fails("probe", upstream.ErrRejected))
		time.Sleep(5 * time.Second)
		for range 1000 {
			r.Rejected(t.Context(), c)
		}
		time.Sleep(time.Minute)
		if created := p.creations(); created > 8 || len(p.ids()) > 4 {
			t.Errorf("1,000 rejected calls caused %d credentials, %d of them live", created, len(p.ids()))
		}
		p.onCall(nil)
		time.Sleep(time.Hour)
		if got := p.ids(); len(got) != 1 {
			t.Errorf("live credentials after the provider recovered: %q, want one", got)
		}
	})
}

func TestDecommissionRevokesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, seen := newProvider(), newStore(), &events{}
		one, two := newRotator(t, p, s, nil), newRotator(t, p, s, func(c *upstream.RotatorConfig) { c.Observer = seen })
		run(t, one)
		run(t, two)
		_, release := acquire(t, one)
		defer release()
		noError(t, one.Rotate(t.Context()))                                            // two are live now
		p.onCall(fails("revoke", fmt.Errorf("%w: %w", upstream.ErrRejected, errDown))) // of either node
		if err := two.Decommission(t.Context()); !errors.Is(err, upstream.ErrRejected) || !isUnavailable(err) || strings.Contains(err.Error(), "10.1") {
			t.Errorf("Decommission with a failing provider: error = %v", err)
		}
		p.onCall(nil)
		noError(t, two.Decommission(t.Context())) // which waits for the next attempt
		if got := p.ids(); len(got) > 0 {
			t.Errorf("live credentials after Decommission: %q", got)
		}
		for _, r := range []*upstream.Rotator{one, two, newRotator(t, p, s, nil)} {
			if _, _, err := r.Acquire(t.Context()); !errors.Is(err, upstream.ErrDecommissioned) {
				t.Errorf("Acquire after Decommission: error = %v", err)
			}
			if err := r.Rotate(t.Context()); !errors.Is(err, upstream.ErrDecommissioned) || isUnavailable(err) {
				t.Errorf("Rotate after Decommission: error = %v", err)
			}
		}
		if p.creations() != 2 || !slices.Contains(seen.types(), upstream.EventDecommissioned) {
			t.Errorf("%d credentials created, want 2; or no event", p.creations())
		}
	})
}

// A new credential may not be known everywhere at once: it is probed again, and
// given up and revoked if that does not help.
func TestProbeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider()
		probes := 0
		p.onCall(func(when, op string) error {
			if when == "before" && op == "probe" {
				if probes++; probes <= 3 {
					return upstream.ErrRejected
				}
			}
			return nil
		})
		r := newRotator(t, p, newStore(), nil)
		run(t, r)
		first := current(t, r)
		if p.creations() != 1 || probes != 4 {
			t.Errorf("%d created and %d probes, want 1 and 4", p.creations(), probes)
		}
		probes = -1000
		p.onCall(fails("probe", errDown))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.Rotate(ctx)
		if !errors.Is(err, upstream.ErrUnavailable) || strings.Contains(err.Error(), "10.1") {
			t.Errorf("Rotate with a failing probe: error = %v", err)
		}
		time.Sleep(time.Second)
		if got := p.ids(); !slices.Contains(got, first.ID) || len(got) > 2 {
			t.Errorf("live credentials after a failed rotation: %q, want %s", got, first.ID)
		}
		if c := current(t, r); c.ID != first.ID {
			t.Errorf("Acquire after a failed rotation = %s, want %s", c.ID, first.ID)
		}
		p.onCall(nil)
		time.Sleep(time.Hour)
		if got := p.ids(); len(got) != 1 || got[0] == first.ID {
			t.Errorf("live credentials after the provider recovered: %q, want another one than %s", got, first.ID)
		}
	})
}

// Create fails after the provider has created the credential: it is revoked by its ID.
func TestLostCreationIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, lost := newProvider(), 3
		p.onCall(func(when, op string) error {
			if op == "create" && when == "after" {
				if lost--; lost >= 0 {
					return errDown
				}
			}
			return nil
		})
		r := newRotator(t, p, newStore(), nil)
		run(t, r)
		time.Sleep(10 * time.Minute)
		c := current(t, r)
		if got := p.ids(); len(got) != 1 || got[0] != c.ID {
			t.Errorf("live credentials = %q, want %s", got, c.ID)
		}
	})
}

// A credential that is created while the program ends is kept, and not left behind.
func TestCreationIsRecordedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, seen := newProvider(), newStore(), &events{}
		ctx, end := context.WithCancel(t.Context())
		p.onCall(func(when, op string) error {
			if op == "create" && when == "after" {
				end()
			}
			return nil
		})
		_ = newRotator(t, p, s, func(c *upstream.RotatorConfig) { c.Observer = seen }).Run(ctx)
		for _, e := range seen.drain() {
			if e.Level > slog.LevelInfo {
				t.Errorf("event %s of a program that ends: level %s", e.Type, e.Level)
			}
		}
		r := newRotator(t, p, s, nil)
		stop := run(t, r)
		start := time.Now()
		c := current(t, r)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("Acquire took %v: the program has not released its lease", took)
		}
		if got := p.ids(); len(got) != 1 || got[0] != c.ID || p.creations() != 1 {
			t.Errorf("live credentials = %q of %d created, want %s of 1", got, p.creations(), c.ID)
		}
		stop()
	})
}

// isUnavailable reports whether gatehouse.Refuse answers an error with 503, and reports a
// cause without the text of the store or the provider.
func isUnavailable(err error) bool {
	e, ok := errors.AsType[*gatehouse.Error](err)
	return ok && e.Code == gatehouse.CodeTemporarilyUnavailable && e.Reason == upstream.ReasonNoAnswer &&
		strings.HasPrefix(e.Cause.Error(), "upstream: unavailable: main: ") && !strings.Contains(e.Cause.Error(), "10.1")
}

// Each step that fails is an event with its name, its credential and a cause without an
// address.
func TestFailedStepIsReported(t *testing.T) {
	for _, step := range []string{"load", "record", "create", "probe", "revoke"} {
		synctest.Test(t, func(t *testing.T) {
			p, s, seen := newProvider(), newStore(), &events{}
			r := newRotator(t, p, s, func(c *upstream.RotatorConfig) { c.Observer = seen })
			swaps := 0
			s.onCall(func(_, op string) error {
				if op == "swap" {
					swaps++
				}
				if op == step || step == "record" && op == "swap" && swaps > 2 {
					return errDown
				}
				return nil
			})
			p.onCall(fails(step, errDown))
			_, _, err := r.Acquire(t.Context())
			if step == "revoke" {
				err = r.Decommission(t.Context())
			}
			if !isUnavailable(err) {
				t.Errorf("%s: error = %v, want 503", step, err)
			}
			all := slices.DeleteFunc(seen.drain(), func(e gatehouse.Event) bool { return e.Type != upstream.EventFailed })
			want := []slog.Attr{slog.String(upstream.AttrStep, strings.Replace(step, "record", "load", 1)), slog.String(upstream.AttrUpstream, "main")}
			if len(all) == 0 {
				t.Fatalf("%s: no event", step)
			}
			if e := all[0]; e.Level != slog.LevelError || (e.Credential == "") != (step == "load") || !slices.EqualFunc(e.Attrs, want, slog.Attr.Equal) || e.Cause.Error() != "upstream: unavailable: main: failed" {
				t.Errorf("%s: event = %+v, want the attributes %v", step, e, want)
			}
		})
	}
}

func TestStoreIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, seen := newProvider(), newStore(), &events{}
		s.fail(errDown)
		r := newRotator(t, p, s, func(c *upstream.RotatorConfig) { c.Observer = seen })
		if _, _, err := r.Acquire(t.Context()); !errors.Is(err, errDown) || !isUnavailable(err) || p.creations() != 0 {
			t.Errorf("Acquire without a store: error = %v, %d created", err, p.creations())
		}
		s.fail(nil)
		run(t, r)
		c := current(t, r)
		s.fail(errDown)
		time.Sleep(time.Hour)
		if got := current(t, r); got.ID != c.ID || p.creations() != 1 {
			t.Errorf("Acquire without a store = %s, %d created, want %s and 1", got.ID, p.creations(), c.ID)
		}
		failures := slices.DeleteFunc(seen.types(), func(e gatehouse.EventType) bool { return e != upstream.EventFailed })
		if len(failures) < 3600 {
			t.Errorf("%d attempts to load the record in an hour, want one each second", len(failures))
		}
		p.onCall(func(when, op string) error {
			t.Errorf("%s %s without a store", when, op)
			return nil
		})
		r.Rejected(t.Context(), c)
		if err := r.Rotate(t.Context()); !errors.Is(err, upstream.ErrUnavailable) || !isUnavailable(err) || err.Error() != "upstream: unavailable: main: failed" {
			t.Errorf("Rotate without a store: error = %v", err)
		}
		s.fail(upstream.ErrConflict)
		if err := r.Rotate(t.Context()); !errors.Is(err, upstream.ErrConflict) || !isUnavailable(err) {
			t.Errorf("Rotate with a store that always has another revision: error = %v", err)
		}
		s.fail(errDown)
		for _, e := range seen.drain() {
			if e.Cause != nil && strings.Contains(fmt.Sprintf("%v %+v", e.Cause, e.Cause), "10.1.2.3") {
				t.Errorf("event %s with an address: %v", e.Type, e.Cause)
			}
		}
	})
}

// The record has no credential in the clear, and a keyring is rotated without a
// rotation of the credential.
func TestRecordIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProvider(), newStore()
		with := func(text string) *upstream.Rotator {
			return newRotator(t, p, s, func(c *upstream.RotatorConfig) { c.Keys = keyring(t, text) })
		}
		c := current(t, with("a"))
		record, err := s.Load(t.Context(), "main")
		noError(t, err)
		if strings.Contains(string(record.Data), string(c.Secret.Reveal())) || len(c.Secret.Reveal()) < 10 {
			t.Errorf("the record has the credential: %s", record.Data)
		}
		if _, _, err := with("b").Acquire(t.Context()); err == nil {
			t.Error("Acquire with another key: no error")
		}
		for _, keys := range []string{"ab", "ba", "b"} {
			got, end, err := with(keys).Acquire(t.Context())
			if err != nil || !got.Secret.Equal(c.Secret) {
				t.Fatalf("Acquire with the keys %s = %s, %v, want the same credential", keys, got.ID, err)
			}
			end()
		}
		if p.creations() != 1 {
			t.Errorf("%d credentials created, want 1", p.creations())
		}
		// Data that no rotator wrote stops rotation, and is not overwritten.
		record, err = s.Load(t.Context(), "main")
		noError(t, err)
		noError(t, s.Swap(t.Context(), "main", record.Revision, []byte("{")))
		if _, _, err := with("b").Acquire(t.Context()); err == nil {
			t.Error("Acquire with a malformed record: no error")
		}
		if after, err := s.Load(t.Context(), "main"); err != nil || string(after.Data) != "{" {
			t.Errorf("a malformed record was overwritten: %s, %v", after.Data, err)
		}
	})
}

// An event that cannot be recorded stops no rotation.
func TestObserverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider()
		r := newRotator(t, p, newStore(), func(c *upstream.RotatorConfig) {
			c.Observer = gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { return errDown })
		})
		run(t, r)
		noError(t, r.Rotate(t.Context()))
		synctest.Wait()
		if len(p.ids()) != 1 {
			t.Errorf("live credentials = %q, want one", p.ids())
		}
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProvider(), newStore()
		p.onCall(func(string, string) error { return errDown })
		r := newRotator(t, p, s, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := r.Acquire(ctx)
		for name, err := range map[string]error{"Acquire": err, "Rotate": r.Rotate(ctx), "Decommission": r.Decommission(ctx)} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s with a canceled context: error = %v", name, err)
			}
		}
		if _, _, err := r.Acquire(t.Context()); err == nil {
			t.Error("Acquire with a failing provider: no error")
		}
	})
}
