// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// soon is the lifetime of a session whose expiry a test waits for. It usually allows
// a few calls to a busy engine, but no test relies on that.
const soon = 100 * time.Millisecond

// shortLived are the two ways in which a session expires.
var shortLived = []struct {
	name           string
	lifetime, idle time.Duration
}{
	{"absolute timeout", soon, time.Hour},
	{"idle timeout", time.Hour, soon},
}

// end returns when a session expires without further use.
func end(r session.Record) time.Time {
	if idle := r.LastSeen.Add(r.Idle); idle.Before(r.Expires) {
		return idle
	}
	return r.Expires
}

// ends waits until the session expires, which must be at the given time.
func (s suite) ends(what string, store session.Store, id string, at time.Time) {
	s.Helper()
	s.Until(what+": the session expires", func() bool {
		s.Helper()
		got, err := store.Get(s.Context(), id)
		switch {
		case err == nil && !got.AsOf.Before(at):
			s.Stopf("%s: Get finds it at %v, want ErrNotFound from %v on", what, got.AsOf, at)
		case errors.Is(err, session.ErrNotFound):
			if now := s.now(store); now.Before(at) {
				s.Stopf("%s: Get returns ErrNotFound at %v, want only from %v on", what, now, at)
			}
			return true
		default:
			must(s, got, err)
		}
		return false
	})
}

// short creates a session that expires soon, in the given way.
func (s suite) short(store session.Store, id string, way int) session.Record {
	s.Helper()
	r := draft(id)
	r.Idle = shortLived[way].idle
	return s.create(store, r, shortLived[way].lifetime)
}

var endRules = []rule{
	{
		"expiry", "A session is expired when the current time is not before Expires, or not before LastSeen + Idle. All methods treat an expired session as missing.",
		func(s suite, store session.Store) {
			s.now(store)
			for way, kind := range shortLived {
				r := s.short(store, sessionID(way), way)
				s.ends(kind.name, store, r.ID, end(r))
				_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID, Tokens: "late"})
				s.notFound(kind.name+": Swap", err)
				_, err = store.Swap(s.Context(), r.ID, 1, session.Change{ID: sessionID(50), Tokens: "late"})
				s.notFound(kind.name+": Swap to another ID", err)
				_, err = store.Swap(s.Context(), r.ID, 2, session.Change{ID: r.ID, Tokens: "late"})
				s.notFound(kind.name+": Swap of another Version", err)
				touched, err := store.Touch(s.Context(), r.ID, 0)
				if must(s, touched, err) {
					s.Failf("%s: Touch(expired session) = true", kind.name)
				}
				sel := session.Selector{Issuer: r.Issuer, Subject: r.Subject}
				if n := len(s.list(store, sel, 10)); n > 0 {
					s.Failf("%s: List returns an expired session", kind.name)
				}
				if n := s.deleteAll(store, sel); n > 0 {
					s.Failf("%s: DeleteAll counts an expired session", kind.name)
				}
				must(s, 0, store.Delete(s.Context(), r.ID))
				s.gone(kind.name+": after Delete", store, r.ID)
			}
		},
	},
	{
		"expiry after a change", "Swap and Touch do not change Expires, also under another ID.",
		func(s suite, store session.Store) {
			s.now(store)
			for i, change := range []func(session.Record) string{
				func(r session.Record) string {
					touched, err := store.Touch(s.Context(), r.ID, 0)
					must(s, touched, err)
					return r.ID
				},
				func(r session.Record) string {
					_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID, Claim: time.Hour})
					if !errors.Is(err, session.ErrNotFound) { // it has expired
						must(s, 0, err)
					}
					return r.ID
				},
				func(r session.Record) string {
					id := sessionID(100)
					if _, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: id}); !errors.Is(err, session.ErrNotFound) {
						must(s, 0, err)
					}
					return id
				},
			} {
				r := s.short(store, sessionID(i), 0)
				s.ends("changed session", store, change(r), r.Expires)
			}
		},
	},
	{
		"extension", "A session is expired when the current time is not before LastSeen + Idle. Swap and Touch set LastSeen and so extend it.",
		func(s suite, store session.Store) {
			s.now(store)
			for name, change := range map[string]func(r session.Record, other string) (string, error){
				"touch": func(r session.Record, _ string) (string, error) {
					_, err := store.Touch(s.Context(), r.ID, 0)
					return r.ID, err
				},
				"swap": func(r session.Record, _ string) (string, error) {
					_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID})
					return r.ID, err
				},
				"swap to another ID": func(r session.Record, other string) (string, error) {
					_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: other})
					return other, err
				},
			} {
				// On a busy machine a short idle timeout may pass before the call.
				seen := false
				for try := 0; !seen && try < 6; try++ {
					r := draft(name + sessionID(try))
					r.Idle = 20 * time.Millisecond << try
					r = s.create(store, r, time.Hour)
					s.until(store, r.Created.Add(r.Idle/2))
					id, err := change(r, name+sessionID(100+try))
					if errors.Is(err, session.ErrNotFound) {
						continue
					}
					must(s, 0, err)
					changed, err := store.Get(s.Context(), id)
					if err == nil && changed.LastSeen.After(r.LastSeen) {
						s.until(store, end(r))
						_, err = store.Get(s.Context(), id)
						if now := s.now(store); err != nil && now.Before(end(changed)) {
							s.Stopf("%s: Get error = %v at %v, want the session until LastSeen %v + %v", name, err, now, changed.LastSeen, r.Idle)
						}
						seen = err == nil
						s.ends(name, store, id, end(changed))
					}
				}
				if !seen {
					s.Failf("%s: the session expired before the call or in spite of it", name)
				}
			}
		},
	},
	{
		"replacement", "Create replaces an expired session with the ID, and nothing of it remains.",
		func(s suite, store session.Store) {
			s.now(store)
			for way, kind := range shortLived {
				old := s.short(store, sessionID(way), way)
				s.swapOrLate(store, old)
				s.until(store, end(old).Add(soon))
				r := draft(old.ID)
				r.Subject, r.SID, r.Tokens = "another subject", "other sid", ""
				got, err := store.Create(s.Context(), r, time.Hour)
				must(s, got, err)
				want := r
				want.Created, want.LastSeen, want.Expires, want.Version = got.AsOf, got.AsOf, got.AsOf.Add(time.Hour), 1
				s.same(kind.name+", created", got, want)
				s.same(kind.name+", found", s.get(store, r.ID), want)
				sel := session.Selector{Issuer: old.Issuer, Subject: old.Subject}
				if n := len(s.list(store, sel, 10)); n > 0 {
					s.Failf("%s: List of the old subject returns the new session", kind.name)
				}
				if n := s.deleteAll(store, sel); n > 0 {
					s.Failf("%s: DeleteAll of the old subject removes the new session", kind.name)
				}
				s.unchanged(store, want)
				if n := s.deleteAll(store, session.Selector{Issuer: r.Issuer, Subject: r.Subject}); n != 1 {
					s.Failf("%s: DeleteAll of the new subject = %d, want 1", kind.name, n)
				}
			}
		},
	},
}

// swapOrLate sets a claim and the second Version unless the session has expired.
func (s suite) swapOrLate(store session.Store, r session.Record) {
	s.Helper()
	_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID, Tokens: "old", Claim: time.Hour})
	if !errors.Is(err, session.ErrNotFound) {
		must(s, 0, err)
	}
}
