// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/session"
)

// TestStore tests a store against the contract of [session.Store]. It calls newStore
// once for each rule, with the t of its subtest, for an empty store.
func TestStore(t *testing.T, newStore func(t *testing.T) session.Store) {
	contract.Test(t, rulesOf(), newStore)
}

// rule is a rule of the contract: its name, its text and its test.
type rule struct {
	name, rule string
	run        func(s suite, store session.Store)
}

// rulesOf returns all rules of the contract.
func rulesOf() []contract.Rule[session.Store] {
	var rules []contract.Rule[session.Store]
	for _, r := range slices.Concat(recordRules, endRules, changeRules, listRules, raceRules) {
		rules = append(rules, contract.Rule[session.Store]{
			Name: r.name, Rule: r.rule, Run: func(s contract.Suite, store session.Store) { r.run(suite{s}, store) },
		})
	}
	return rules
}

// suite is the environment of the test of one rule.
type suite struct{ contract.Suite }

// must ends the test if a call fails.
func must[T any](s suite, value T, err error) T {
	s.Helper()
	s.NoError(err)
	return value
}

func isStateError(err error) bool {
	return errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict)
}

func (s suite) notFound(what string, err error) {
	s.Helper()
	if !errors.Is(err, session.ErrNotFound) {
		s.Failf("%s: error = %v, want ErrNotFound", what, err)
	}
}

func (s suite) conflict(what string, err error) {
	s.Helper()
	if !errors.Is(err, session.ErrConflict) {
		s.Failf("%s: error = %v, want ErrConflict", what, err)
	}
}

// draft returns the argument of Create for a login.
func draft(id string) session.Record {
	return session.Record{
		Session: session.Session{
			ID: id, Issuer: "https://issuer.example", Subject: "subject", SID: "sid", Label: "Firefox on Linux",
			Idle: 30 * time.Minute,
		},
		Principal: `{"sub":"subject", "n":1.50,"é":"\u0000 ☂"}`,
		Tokens:    "sealed-" + id,
	}
}

// sessionID returns an ID of the form that sessions have: 32 bytes in base64url.
func sessionID(n int) string { return fmt.Sprintf("Session-%035d", n) }

// clockID is the ID of the session that serves to read the time of the store.
const clockID = "clock"

func (s suite) create(store session.Store, r session.Record, lifetime time.Duration) session.Record {
	s.Helper()
	created, err := store.Create(s.Context(), r, lifetime)
	return must(s, created, err)
}

func (s suite) get(store session.Store, id string) session.Record {
	s.Helper()
	found, err := store.Get(s.Context(), id)
	return must(s, found, err)
}

func (s suite) gone(what string, store session.Store, id string) {
	s.Helper()
	_, err := store.Get(s.Context(), id)
	s.notFound(what+": get "+id, err)
}

func (s suite) swap(store session.Store, id string, version int64, c session.Change) session.Record {
	s.Helper()
	swapped, err := store.Swap(s.Context(), id, version, c)
	return must(s, swapped, err)
}

func (s suite) list(store session.Store, sel session.Selector, limit int) []session.Record {
	s.Helper()
	found, err := store.List(s.Context(), sel, limit)
	return must(s, found, err)
}

func (s suite) deleteAll(store session.Store, sel session.Selector) int {
	s.Helper()
	n, err := store.DeleteAll(s.Context(), sel)
	return must(s, n, err)
}

// same compares two records, except for AsOf.
func (s suite) same(what string, got, want session.Record) {
	s.Helper()
	got.AsOf, want.AsOf = time.Time{}, time.Time{}
	if got != want {
		s.Failf("%s:\n got %s\nwant %s", what, brief(got), brief(want))
	}
}

// brief returns a record as text, with long fields shortened.
func brief(r session.Record) string {
	for _, text := range []*string{&r.Principal, &r.Tokens, &r.Issuer, &r.Subject, &r.SID, &r.Label} {
		if len(*text) > 200 {
			*text = fmt.Sprintf("%s… (%d bytes)", (*text)[:100], len(*text))
		}
	}
	return fmt.Sprintf("%+v", r)
}

// unchanged checks that the stored record is the given one.
func (s suite) unchanged(store session.Store, want session.Record) {
	s.Helper()
	s.same("record that must not change, "+want.ID, s.get(store, want.ID), want)
}

// now returns the time of the store.
func (s suite) now(store session.Store) time.Time {
	s.Helper()
	found, err := store.Get(s.Context(), clockID)
	if errors.Is(err, session.ErrNotFound) {
		r := draft(clockID)
		r.Issuer, r.Subject, r.SID = "clock", "clock", "clock"
		found, err = store.Create(s.Context(), r, time.Hour)
	}
	return must(s, found, err).AsOf
}

// until waits until the time of the store is after t.
func (s suite) until(store session.Store, t time.Time) {
	s.Helper()
	s.Until(fmt.Sprintf("the time of the store passes %v", t), func() bool { return s.now(store).After(t) })
}
