// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// soon is how long a session lives that a test waits for. Between its creation
// and its end there must be time for a few calls to a busy engine, but no test
// relies on that.
const soon = 100 * time.Millisecond

// shortLived are the two ways in which a session ends.
var shortLived = []struct {
	name           string
	lifetime, idle time.Duration
}{
	{"at its deadline", soon, time.Hour},
	{"idle", time.Hour, soon},
}

// end is when a session is over, if nobody calls until then.
func end(r session.Record) time.Time {
	if idle := r.LastSeen.Add(r.Idle); idle.Before(r.Expires) {
		return idle
	}
	return r.Expires
}

// ends waits until the session of the id is gone, which must be at the time
// given: not before, and not after.
func (s suite) ends(what string, store session.Store, id string, at time.Time) {
	s.Helper()
	s.Until(what+": the session ends", func() bool {
		s.Helper()
		got, err := store.Get(s.Context(), id)
		switch {
		case err == nil && !got.AsOf.Before(at):
			s.Stopf("%s: found at %v, when it was over at %v", what, got.AsOf, at)
		case errors.Is(err, session.ErrNotFound):
			if now := s.now(store); now.Before(at) {
				s.Stopf("%s: gone at %v, before it was over at %v", what, now, at)
			}
			return true
		default:
			must(s, got, err)
		}
		return false
	})
}

// short creates a session that ends soon, in the way given.
func (s suite) short(store session.Store, id string, way int) session.Record {
	s.Helper()
	r := draft(id)
	r.Idle = shortLived[way].idle
	return s.create(store, r, shortLived[way].lifetime)
}

var endRules = []rule{
	{
		"end", "A session is over once now is not before Expires, or not before LastSeen + Idle. It is then as if it were not there, for every method.",
		func(s suite, store session.Store) {
			s.now(store)
			for way, kind := range shortLived {
				r := s.short(store, sessionID(way), way)
				s.ends(kind.name, store, r.ID, end(r))
				_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID, Tokens: "late"})
				s.notFound(kind.name+": swap", err)
				_, err = store.Swap(s.Context(), r.ID, 1, session.Change{ID: sessionID(50), Tokens: "late"})
				s.notFound(kind.name+": swap into another id", err)
				_, err = store.Swap(s.Context(), r.ID, 2, session.Change{ID: r.ID, Tokens: "late"})
				s.notFound(kind.name+": swap of another version", err)
				touched, err := store.Touch(s.Context(), r.ID, 0)
				if must(s, touched, err) {
					s.Failf("%s: a session that is over was touched", kind.name)
				}
				sel := session.Selector{Issuer: r.Issuer, Subject: r.Subject}
				if n := len(s.list(store, sel, 10)); n > 0 {
					s.Failf("%s: a session that is over is listed", kind.name)
				}
				if n := s.deleteAll(store, sel); n > 0 {
					s.Failf("%s: a session that is over was counted", kind.name)
				}
				must(s, 0, store.Delete(s.Context(), r.ID))
				s.gone(kind.name+": afterwards", store, r.ID)
			}
		},
	},
	{
		"end after a change", "Swap and Touch leave the deadline as it is, also under another id.",
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
					if !errors.Is(err, session.ErrNotFound) { // it is over already
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
				s.ends("a session that was changed", store, change(r), r.Expires)
			}
		},
	},
	{
		"prolong", "A session is over once now is not before LastSeen + Idle: Swap and Touch, which set LastSeen to now, put that off.",
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
				"swap into another id": func(r session.Record, other string) (string, error) {
					_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: other})
					return other, err
				},
			} {
				// A busy machine may be too late for a short one.
				told := false
				for try := 0; !told && try < 6; try++ {
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
							s.Stopf("%s: at %v a session is gone that was seen at %v and may be idle for %v", name, now, changed.LastSeen, r.Idle)
						}
						told = err == nil
						s.ends(name, store, id, end(changed))
					}
				}
				if !told {
					s.Failf("%s: the session always ended before the call, or as if there had been none", name)
				}
			}
		},
	},
	{
		"taken by one that is over", "Where the old one is over it is replaced, and nothing is left of it.",
		func(s suite, store session.Store) {
			s.now(store)
			for way, kind := range shortLived {
				old := s.short(store, sessionID(way), way)
				s.swapOrLate(store, old)
				s.until(store, end(old).Add(soon))
				r := draft(old.ID)
				r.Subject, r.SID, r.Tokens = "somebody else", "other sid", ""
				got, err := store.Create(s.Context(), r, time.Hour)
				must(s, got, err)
				want := r
				want.Created, want.LastSeen, want.Expires, want.Version = got.AsOf, got.AsOf, got.AsOf.Add(time.Hour), 1
				s.same(kind.name+", created", got, want)
				s.same(kind.name+", found", s.get(store, r.ID), want)
				sel := session.Selector{Issuer: old.Issuer, Subject: old.Subject}
				if n := len(s.list(store, sel, 10)); n > 0 {
					s.Failf("%s: the new session is listed as that of the old subject", kind.name)
				}
				if n := s.deleteAll(store, sel); n > 0 {
					s.Failf("%s: the new session was removed as that of the old subject", kind.name)
				}
				s.unchanged(store, want)
				if n := s.deleteAll(store, session.Selector{Issuer: r.Issuer, Subject: r.Subject}); n != 1 {
					s.Failf("%s: of the new subject %d sessions were removed, want 1", kind.name, n)
				}
			}
		},
	},
}

// swapOrLate gives the session a claim and a second version, if it is there.
func (s suite) swapOrLate(store session.Store, r session.Record) {
	s.Helper()
	_, err := store.Swap(s.Context(), r.ID, 1, session.Change{ID: r.ID, Tokens: "old", Claim: time.Hour})
	if !errors.Is(err, session.ErrNotFound) {
		must(s, 0, err)
	}
}
