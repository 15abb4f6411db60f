// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Rotate replaces the active credential now, and returns when calls of this node use the new
// one. Calls in progress keep the previous one; it is revoked when they have ended. If a step
// fails, [Rotator.Run] retries the rotation. The error wraps [ErrDecommissioned] or a
// [*gatehouse.Error] of status 503.
func (r *Rotator) Rotate(ctx context.Context) error {
	old, _, err := r.replace(ctx, "", false)
	if err == nil {
		err = r.until(ctx, func() bool { return r.id() != old && r.id() != "" || r.isClosed() })
	}
	if err == nil && r.isClosed() {
		err = ErrDecommissioned
	}
	return r.outcome(err)
}

// replace records that the credential with an ID, "" for the active one, must be
// replaced. ok is false if it is not the active one, or if no credential may be created
// now.
func (r *Rotator) replace(ctx context.Context, id string, dead bool) (old string, ok bool, err error) {
	err = r.update(ctx, func(s *state, now time.Time) bool {
		old, ok = "", false
		v := s.at(active)
		if v == nil || id != "" && v.ID != id {
			return false
		}
		old, ok = v.ID, true
		if dead { // callers must not shorten the backoff of a failing provider
			ok = !now.Before(s.Retry)
		} else {
			s.Retry = now
		}
		s.Replace, v.Dead = v.ID, v.Dead || dead
		return true
	})
	return old, ok, err
}

// Rejected implements [Source]. If the provider also rejects the credential in a probe,
// Rejected replaces it without waiting for calls in progress. It returns when calls use
// the new one or the replacement failed.
func (r *Rotator) Rejected(ctx context.Context, c Credential) {
	if r.id() != c.ID {
		return // another credential is already active
	}
	// The flight has a timeout, and ends with Run.
	_, _ = r.flight.Do(ctx, c.ID, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.recover(ctx, c)
	})
}

func (r *Rotator) recover(ctx context.Context, c Credential) error {
	// Another node may have replaced it.
	if err := r.update(ctx, func(*state, time.Time) bool { return false }); err != nil || r.id() != c.ID {
		return err
	}
	probe, cancel := context.WithTimeout(ctx, r.timeout)
	err := r.provider.Probe(probe, c.Secret)
	cancel()
	if !errors.Is(err, ErrRejected) {
		return err // the 401 was about the request
	}
	_, ok, err := r.replace(ctx, c.ID, true)
	if err != nil || !ok {
		return err
	}
	r.report(ctx, gatehouse.Event{Type: EventReplacing, Level: slog.LevelWarn, Credential: c.ID})
	return r.until(ctx, func() bool { return r.id() != c.ID })
}

// Decommission revokes all credentials, without waiting for calls in progress, and
// returns when they are revoked. After that, the rotators of all nodes yield no
// credential and create none. If a step fails, [Rotator.Run] retries it, and the error
// wraps a [*gatehouse.Error] of status 503.
func (r *Rotator) Decommission(ctx context.Context) error {
	left := true
	check := func(s *state, _ time.Time) bool {
		left = len(s.Versions) > 0
		before := s.Closed
		s.Closed = true
		return !before
	}
	err := r.update(ctx, check)
	if err == nil {
		r.report(ctx, gatehouse.Event{Type: EventDecommissioned, Level: slog.LevelWarn})
	}
	for err == nil && left {
		var wait time.Duration
		if wait, err = r.turn(ctx); err != nil {
			break
		}
		if err = r.update(ctx, check); err == nil && left {
			err = sleep(ctx, wait)
		}
	}
	return r.outcome(err)
}

// outcome returns err without text from other packages: a 503 unless the rotator is
// decommissioned.
func (r *Rotator) outcome(err error) error {
	if err == nil {
		return nil
	}
	f := newFailure(r.name, err)
	if !errors.Is(err, ErrDecommissioned) {
		f.refusal = refusal(r.name, err)
	}
	return f
}
