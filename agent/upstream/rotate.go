// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// maxSwaps limits the attempts to change the record while other nodes change it.
const maxSwaps = 32

// update changes the record and applies it. change reports whether it changed the state.
// It is called again if another node changed the record first.
func (r *Rotator) update(ctx context.Context, change func(s *state, now time.Time) bool) error {
	select {
	case r.writing <- struct{}{}:
		defer func() { <-r.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for range maxSwaps {
		record, err := r.store.Load(ctx, r.name)
		if err != nil {
			return err
		}
		s, err := decode(record.Data, r.name, r.keys)
		if err != nil {
			return err
		}
		// The first hold releases credentials that this node no longer uses; the second
		// one adds the credential that change activates.
		changed := r.hold(s, record.AsOf)
		changed = change(s, record.AsOf) || changed
		if r.hold(s, record.AsOf) || changed {
			data, err := s.encode(r.name, r.keys)
			if err != nil {
				return err
			}
			err = r.store.Swap(ctx, r.name, record.Revision, data)
			if errors.Is(err, ErrConflict) {
				if err := sleep(ctx, jitter()); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
		}
		r.apply(s)
		return nil
	}
	return ErrConflict
}

// jitter returns a random time of up to 10 ms, so that nodes do not conflict again.
func jitter() time.Duration {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return time.Duration(b[0]) * 40 * time.Microsecond
}

// turn reads the record, renews the hold of this node and does the steps that are
// due, if this node has or gets the lease. wait is the time until the next turn. It
// continues after a step that failed, and returns the first error of a step.
func (r *Rotator) turn(ctx context.Context) (wait time.Duration, failed error) {
	select {
	case r.working <- struct{}{}:
		defer func() { <-r.working }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for {
		var id string
		var step stage
		var secret gatehouse.Secret
		var events []gatehouse.Event
		err := r.update(ctx, func(s *state, now time.Time) bool {
			id, step, events, wait = "", "", nil, r.refresh
			mine := s.Lease.Node == r.node
			if !mine && now.Before(s.Lease.Expires) {
				return false
			}
			id, step, events, wait = r.plan(s, now)
			switch {
			case step != "":
				s.Lease = lease{Node: r.node, Expires: now.Add(2 * r.timeout)}
				secret = s.find(id).secret
			case mine:
				s.Lease = lease{}
			}
			return step != "" || mine || len(events) > 0
		})
		if err != nil {
			r.failed(ctx, "load", "", err)
			return r.refresh, errors.Join(failed, err)
		}
		r.reportAll(ctx, events)
		if step == "" {
			return wait, failed
		}
		if err := r.do(ctx, id, step, secret); err != nil && failed == nil {
			failed = err
		}
	}
}

// do calls the provider and records the result, even if ctx ends meanwhile.
func (r *Rotator) do(ctx context.Context, id string, step stage, secret gatehouse.Secret) error {
	call, cancel := context.WithTimeout(ctx, r.timeout)
	var err error
	var name string
	switch step {
	case creating:
		name = "create"
		if secret, err = r.provider.Create(call, id); err == nil && secret.Len() == 0 {
			err = errors.New("upstream: Provider.Create returned no credential")
		}
	case created:
		name = "probe"
		err = r.provider.Probe(call, secret)
	default:
		name = "revoke"
		err = r.provider.Revoke(call, id)
	}
	cancel()
	if err != nil {
		r.failed(ctx, name, id, err)
	}
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	var events []gatehouse.Event
	lost := r.update(record, func(s *state, now time.Time) bool {
		events = r.done(s, now, id, step, secret, err)
		return true
	})
	if lost != nil {
		r.failed(ctx, "load", id, lost)
		return lost
	}
	r.reportAll(ctx, events)
	if step == created && len(events) == 0 {
		return nil // the next probe is due soon
	}
	return err
}

func (r *Rotator) reportAll(ctx context.Context, events []gatehouse.Event) {
	for _, e := range events {
		r.report(ctx, e)
	}
}

// failed reports a failure without the text of the error, because the provider's client
// may put an address or a credential into it.
func (r *Rotator) failed(ctx context.Context, step, id string, err error) {
	e := gatehouse.Event{Type: EventFailed, Level: slog.LevelError, Credential: id, Cause: newFailure(r.name, err)}
	if ctx.Err() != nil {
		e.Level = slog.LevelInfo // the program ends
	}
	e.Attrs = []slog.Attr{slog.String(AttrStep, step)}
	r.report(ctx, e)
}

// Run rotates until ctx ends, and returns the error of ctx. It creates the first
// credential at once. Call it once on each node.
func (r *Rotator) Run(ctx context.Context) error {
	defer r.flight.Close()
	for {
		wait, _ := r.turn(ctx) // turn reports its errors as events
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			r.leave(ctx)
			return ctx.Err()
		}
	}
}

// leave releases the lease of this node and renews its hold, because calls may continue.
func (r *Rotator) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	_ = r.update(ctx, func(s *state, _ time.Time) bool {
		if s.Lease.Node == r.node {
			s.Lease = lease{}
		}
		return true
	})
}

// until calls turn until the condition is true. It returns the error of ctx, or the first
// error of a step.
func (r *Rotator) until(ctx context.Context, condition func() bool) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if condition() {
			return nil
		}
		wait, err := r.turn(ctx)
		switch {
		case condition():
			return nil
		case err != nil:
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}
