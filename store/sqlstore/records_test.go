// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func replayKey(n int) (key [32]byte) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key
}

func family(id string) refresh.Record {
	return refresh.Record{Family: refresh.Family{ID: id, Grant: refresh.Grant{Subject: "s", Client: "c"}}}
}

// browser returns a session.
func browser(id string) session.Record {
	return session.Record{
		Session:   session.Session{ID: id, Issuer: "i", Subject: "s", SID: "d", Idle: time.Hour},
		Principal: "{}", Tokens: "sealed",
	}
}

func createSession(t testing.TB, sessions session.Store, r session.Record, lifetime time.Duration) {
	t.Helper()
	must(sessions.Create(t.Context(), r, lifetime))(t)
}

// createKeys creates keys of tenant t. Each one lives longer than the one before by
// step.
func createKeys(t testing.TB, keys apikey.Store, step time.Duration, ids ...string) {
	t.Helper()
	for i, id := range ids {
		r := apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Tenant: "t", Lifetime: 24*time.Hour + time.Duration(i)*step}}
		must(keys.Create(t.Context(), r))(t)
	}
}

// TestListOrdersTiesByID: sessions with the same LastSeen are ordered by the bytes of
// their IDs.
func TestListOrdersTiesByID(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, _ string, s *sqlstore.Store, db *sql.DB) {
		for _, id := range []string{"b", "é", "A", "Z", "a", "B", "aa"} {
			createSession(t, s.Sessions(), browser(id), time.Hour)
		}
		execute(t, db, "UPDATE gatehouse_sessions SET last_seen = (SELECT max(created) FROM gatehouse_sessions)")
		for limit, want := range map[int]string{-1: "", 3: "A B Z", 10: "A B Z a aa b é"} {
			found, err := s.Sessions().List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, limit)
			var ids []string
			for _, r := range found {
				ids = append(ids, r.ID)
			}
			if got := strings.Join(ids, " "); got != want || err != nil {
				t.Errorf("List(limit %d) = %s, %v, want %s", limit, got, err, want)
			}
		}
	})
}

// TestDamagedRecords: a malformed row or ID is an error, and none of the contract.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, _ string, s *sqlstore.Store, db *sql.DB) {
		keys, sessions, ctx := s.APIKeys(), s.Sessions(), t.Context()
		createKeys(t, keys, 0, "a")
		createSession(t, sessions, browser("a"), time.Hour)
		check := func(call string, err error) {
			t.Helper()
			for _, answer := range []error{nil, apikey.ErrNotFound, session.ErrConflict, session.ErrNotFound} {
				if errors.Is(err, answer) {
					t.Errorf("%s: error = %v, want none of the contract", call, err)
				}
			}
		}
		for _, test := range []struct{ damage, repair string }{
			{"scopes = 'a  b'", "scopes = ''"},
			{"networks = 'everywhere'", "networks = ''"},
			{"networks = '10.0.0.0/8 '", "networks = ''"},
			{"current_pepper = 4294967296", "current_pepper = 0"},
			{"current_pepper = -1", "current_pepper = 0"},
			{"previous_pepper = 1", "previous_pepper = NULL"},
		} {
			execute(t, db, "UPDATE gatehouse_apikeys SET "+test.damage)
			check("Find with "+test.damage, second(keys.Find(ctx, "a")))
			execute(t, db, "UPDATE gatehouse_apikeys SET "+test.repair)
			wantError(t, "Find with "+test.repair, second(keys.Find(ctx, "a")), "")
		}
		check("Create of an empty ID", second(sessions.Create(ctx, browser(""), time.Hour)))
		check("Create of a long ID", second(sessions.Create(ctx, browser(strings.Repeat("é", 128)), time.Hour)))
		check("Swap to an empty ID", second(sessions.Swap(ctx, "a", 1, session.Change{})))
		execute(t, db, "ALTER TABLE gatehouse_sessions RENAME COLUMN label TO other")
		check("Get with a missing column", second(sessions.Get(ctx, "a")))
	})
}
