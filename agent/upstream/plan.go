// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	// maxVersions limits the credentials at the provider: two during a rotation, and
	// those of failed creations.
	maxVersions = 8
	// probePause is the time between two probes: a new credential may not be known
	// everywhere at once.
	probePause = time.Second
	// maxBackoffSteps limits the time between two attempts to 2^6 times Timeout.
	maxBackoffSteps = 6
)

// plan moves credentials to their next stage if that needs no call of the provider. It
// returns the credential and the stage for which to call the provider now, "" for none,
// the events of the moves, and the time until the next step may be due.
//
// Only the node with the lease calls it, and does one step at a time. So a credential in
// stage creating is one whose result another process or an earlier attempt did not
// record.
func (r *Rotator) plan(s *state, now time.Time) (id string, step stage, events []gatehouse.Event, wait time.Duration) {
	wait = r.refresh
	for i := range s.Versions {
		v := &s.Versions[i]
		switch {
		case v.Stage == creating:
			// The provider may still create it.
			v.move(revoking, now)
			v.Next = v.Created.Add(2 * r.timeout)
			events = append(events, event(EventDrained, v.ID))
		case s.Closed && v.Stage != revoking,
			v.Stage == draining && (v.Dead || !s.inUse(v.ID, now) || !now.Before(v.Since.Add(r.drain))):
			v.move(revoking, now)
			events = append(events, event(EventDrained, v.ID))
		}
	}
	for _, step := range []stage{created, revoking} {
		for i := range s.Versions {
			v := &s.Versions[i]
			if v.Stage != step {
				continue
			}
			if !now.Before(v.Next) {
				return v.ID, step, events, 0
			}
			wait = min(wait, v.Next.Sub(now))
		}
	}
	if s.Closed || s.at(created) != nil || len(s.Versions) >= maxVersions {
		return "", "", events, wait
	}
	if v := s.at(active); v != nil && v.ID != s.Replace {
		if left := v.Since.Add(r.every).Sub(now); left > 0 {
			return "", "", events, min(wait, left)
		}
	}
	if left := s.Retry.Sub(now); left > 0 {
		return "", "", events, min(wait, left)
	}
	v := version{ID: rand.Text(), Created: now}
	v.move(creating, now)
	s.Versions = append(s.Versions, v)
	return v.ID, creating, append(events, event(EventCreating, v.ID)), 0
}

func event(t gatehouse.EventType, id string) gatehouse.Event {
	return gatehouse.Event{Type: t, Level: slog.LevelInfo, Credential: id}
}

// done records the result of a call of the provider, unless another node has moved the
// credential meanwhile.
func (r *Rotator) done(s *state, now time.Time, id string, step stage, secret gatehouse.Secret, err error) (events []gatehouse.Event) {
	v := s.find(id)
	if v == nil || v.Stage != step {
		return nil
	}
	switch {
	case step == creating && err == nil:
		v.secret = secret
		v.move(created, now)
		return []gatehouse.Event{event(EventCreated, id)}
	case step == created && err == nil:
		if old := s.at(active); old != nil {
			old.move(draining, now)
		}
		v.move(active, now)
		s.Replace, s.Failures = "", 0
		s.Retry = now.Add(r.refresh) // if the provider soon rejects it too, a new one would not help
		return []gatehouse.Event{event(EventActivated, id)}
	case step == revoking && err == nil:
		s.remove(id)
		return []gatehouse.Event{event(EventRevoked, id)}
	case step == revoking:
		v.Next = now.Add(r.backoff(v.Failures))
		v.Failures++
		return nil
	case step == created && now.Before(v.Since.Add(2*r.timeout)):
		v.Next = now.Add(min(probePause, r.timeout))
		return nil
	}
	// The provider may have created it although Create failed.
	v.move(revoking, now)
	if step == creating {
		v.Next = v.Created.Add(2 * r.timeout)
	}
	s.Retry = now.Add(r.backoff(s.Failures))
	s.Failures++
	return []gatehouse.Event{event(EventDrained, id)}
}

func (r *Rotator) backoff(failures int) time.Duration {
	return r.timeout << min(failures, maxBackoffSteps)
}
