// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"context"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

var recordRules = []rule{
	{
		"create", "Create sets Created and LastSeen to the current time, Expires to the current time + lifetime, Version to 1 and Claimed to zero.",
		func(s suite, store session.Store) {
			r := draft(sessionID(1))
			past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			r.Created, r.LastSeen, r.Expires, r.Claimed, r.AsOf, r.Version = past, past, past, past, past, 7
			got := s.create(store, r, time.Hour)
			want := draft(r.ID)
			want.Created, want.LastSeen, want.Expires, want.Version = got.AsOf, got.AsOf, got.AsOf.Add(time.Hour), 1
			s.same("created", got, want)
			s.same("found", s.get(store, r.ID), want)
		},
	},
	{
		"round trip", "Strings are returned unchanged; SID and Subject may be empty; durations are truncated to microseconds.",
		func(s suite, store session.Store) {
			// Some engines compress repetitive text below their limits.
			var big strings.Builder
			for i := range 10_000 {
				big.WriteString(sessionID(i * i)[33:])
			}
			records := map[string]func(*session.Record){
				"plain":  func(*session.Record) {},
				"sparse": func(r *session.Record) { *r = session.Record{Session: session.Session{ID: r.ID, Idle: time.Minute}} },
				"no sid": func(r *session.Record) { r.SID = "" },
				"long": func(r *session.Record) {
					r.Issuer, r.Subject, r.SID, r.Label = long("i"), long("s"), long("d"), long("l")
				},
				"large": func(r *session.Record) { r.Principal, r.Tokens = big.String(), big.String()+"!" },
				"quotes": func(r *session.Record) {
					r.Issuer, r.Subject, r.SID, r.Label = `'"; -- \ %_*?[`, ` {}:/\0`, `$1 ?1`, ` \x00 `
				},
				"case": func(r *session.Record) {
					r.Issuer, r.Subject, r.SID, r.Label = "HTTPS://Issuer", "SubJect", "SID", "Label"
				},
				"unicode": func(r *session.Record) {
					r.Issuer, r.Subject, r.SID, r.Label = "☂ umbrella 😀", "e\u0301", "é", "\u2028"
				},
				"numbers": func(r *session.Record) { r.Subject, r.SID, r.Tokens = "007", "1e3", "0.10" },
				"id":      func(r *session.Record) { r.ID = `id '"; \ %_*?[]{}:é☂` },
				"idle":    func(r *session.Record) { r.Idle = 100*365*24*time.Hour + 123457*time.Microsecond },
			}
			n := 0
			for name, alter := range records {
				n++
				r := draft(sessionID(n))
				alter(&r)
				lifetime := 100*365*24*time.Hour + 123457*time.Microsecond
				got := s.create(store, r, lifetime)
				want := r
				want.Created, want.LastSeen, want.Expires, want.Version = got.Created, got.Created, got.Created.Add(lifetime), 1
				s.same(name+", created", got, want)
				s.same(name+", found", s.get(store, r.ID), want)
				c := session.Change{ID: r.ID, Principal: r.Tokens, Tokens: r.Principal}
				want.Principal, want.Tokens, want.Version = c.Principal, c.Tokens, 2
				swapped := s.swap(store, r.ID, 1, c)
				want.LastSeen = swapped.LastSeen
				s.same(name+", swapped", swapped, want)
				s.same(name+", found after a swap", s.get(store, r.ID), want)
			}
			fine := draft(sessionID(100))
			fine.Idle = time.Minute + 1999*time.Nanosecond
			got := s.create(store, fine, time.Hour+1999*time.Nanosecond)
			found := s.get(store, fine.ID)
			if want := time.Minute + time.Microsecond; got.Idle != want || found.Idle != want {
				s.Failf("Idle = %v from Create and %v from Get, want %v", got.Idle, found.Idle, want)
			}
			if want := got.Created.Add(time.Hour + time.Microsecond); !got.Expires.Equal(want) || !found.Expires.Equal(want) {
				s.Failf("Expires = %v from Create and %v from Get, want %v", got.Expires, found.Expires, want)
			}
		},
	},
	{
		"taken", "If a session that is not expired has the ID, Create returns ErrConflict and leaves the other record unchanged.",
		func(s suite, store session.Store) {
			first := s.create(store, draft(sessionID(1)), time.Hour)
			second := draft(sessionID(1))
			second.Subject, second.Tokens = "another subject", "other tokens"
			_, err := store.Create(s.Context(), second, time.Minute)
			s.conflict("Create with a taken ID", err)
			s.unchanged(store, first)
			if n := len(s.list(store, session.Selector{Issuer: second.Issuer, Subject: second.Subject}, 10)); n > 0 {
				s.Failf("List returns a session that was not created")
			}
		},
	},
	{
		"get", "Get returns the record, or ErrNotFound. IDs compare byte by byte.",
		func(s suite, store session.Store) {
			s.create(store, draft("IdA0"), time.Hour)
			for _, id := range []string{"", "ida0", "IdA", "IdA00", "IdA%", "IdA*", "'", "IdA0 ", " IdA0", "\\"} {
				s.gone("another ID", store, id)
			}
			lower := s.create(store, draft("ida0"), time.Hour)
			s.same("of two IDs that differ in case", s.get(store, "ida0"), lower)
		},
	},
	{
		"clock", "Times come from one clock, are stored in microseconds and returned in UTC; each returned record has AsOf set.",
		func(s suite, store session.Store) {
			created := s.create(store, draft(sessionID(1)), time.Hour)
			last := created.AsOf
			check := func(what string, r session.Record) {
				s.Helper()
				if r.AsOf.Before(last) {
					s.Failf("%s: AsOf = %v, want not before %v of an earlier call", what, r.AsOf, last)
				}
				last = r.AsOf
				for _, t := range []time.Time{r.AsOf, r.Created, r.LastSeen, r.Expires} {
					if t.IsZero() || t.Location() != time.UTC || !t.Equal(t.Truncate(time.Microsecond)) {
						s.Failf("%s: time %v, want UTC and microseconds", what, t)
					}
				}
				if r.LastSeen.After(r.AsOf) || r.LastSeen.Before(created.Created) {
					s.Failf("%s: LastSeen = %v, want between Created %v and AsOf %v", what, r.LastSeen, created.Created, r.AsOf)
				}
			}
			check("create", created)
			s.until(store, created.AsOf.Add(5*time.Millisecond))
			touched, err := store.Touch(s.Context(), created.ID, 0)
			must(s, touched, err)
			found := s.get(store, created.ID)
			check("touch", found)
			s.until(store, found.LastSeen)
			swapped := s.swap(store, created.ID, 1, session.Change{ID: created.ID, Claim: time.Minute})
			check("swap", swapped)
			if c := swapped.Claimed; c.Location() != time.UTC || !c.Equal(swapped.AsOf.Add(time.Minute)) {
				s.Failf("Claimed = %v, want AsOf %v + 1m", c, swapped.AsOf)
			}
			check("get", s.get(store, created.ID))
			listed := s.list(store, session.Selector{Issuer: created.Issuer, Subject: created.Subject}, 10)
			if len(listed) != 1 {
				s.Stopf("List returns %d sessions, want 1", len(listed))
			}
			check("list", listed[0])
			if !found.LastSeen.After(created.Created) || !swapped.LastSeen.After(found.LastSeen) {
				s.Failf("Created %v, LastSeen %v after Touch and %v after Swap, want them ascending", created.Created, found.LastSeen, swapped.LastSeen)
			}
		},
	},
	{
		"context", "A method whose context is done before it begins changes nothing and returns an error, which is neither ErrNotFound nor ErrConflict.",
		func(s suite, store session.Store) {
			r := s.create(store, draft(sessionID(1)), time.Hour)
			done, cancel := context.WithCancel(s.Context())
			cancel()
			all := session.Selector{Issuer: r.Issuer, Subject: r.Subject}
			for name, call := range map[string]func() error{
				"Create":       func() error { _, err := store.Create(done, draft(sessionID(2)), time.Hour); return err },
				"Create taken": func() error { _, err := store.Create(done, draft(r.ID), time.Hour); return err },
				"Get":          func() error { _, err := store.Get(done, r.ID); return err },
				"Get none":     func() error { _, err := store.Get(done, sessionID(3)); return err },
				"Swap":         func() error { _, err := store.Swap(done, r.ID, 1, session.Change{ID: sessionID(4)}); return err },
				"Swap other":   func() error { _, err := store.Swap(done, r.ID, 2, session.Change{ID: r.ID}); return err },
				"Touch":        func() error { _, err := store.Touch(done, r.ID, 0); return err },
				"Delete":       func() error { return store.Delete(done, r.ID) },
				"DeleteAll":    func() error { _, err := store.DeleteAll(done, all); return err },
				"DeleteAll, no name": func() error {
					_, err := store.DeleteAll(done, session.Selector{})
					return err
				},
				"List":          func() error { _, err := store.List(done, all, 1); return err },
				"List, no name": func() error { _, err := store.List(done, session.Selector{}, 1); return err },
			} {
				if err := call(); err == nil || isStateError(err) {
					s.Failf("%s with a canceled context: error = %v, want one that is neither ErrNotFound nor ErrConflict", name, err)
				}
			}
			s.unchanged(store, r)
			s.gone("not created", store, sessionID(2))
			s.gone("not swapped", store, sessionID(4))
			s.create(store, draft(sessionID(5)), time.Hour) // no lock was kept
		},
	},
}

// long returns a text of 500 bytes that does not compress.
func long(start string) string {
	var b strings.Builder
	b.WriteString(start)
	for i := 0; b.Len() < 500; i++ {
		b.WriteString(time.Unix(int64(i*i*i)*7919, 0).UTC().Format("é05.04-15☂"))
	}
	return strings.ToValidUTF8(b.String()[:500], "")
}
