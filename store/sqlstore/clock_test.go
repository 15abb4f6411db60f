// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// clockConn is a connection to SQLite whose statements read the time from a table.
type clockConn struct{ driver.Conn }

func withClock(query string) string {
	return strings.ReplaceAll(query, "unixepoch('subsec')", "(SELECT now FROM test_clock)")
}

func (c clockConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, withClock(query), args)
}

func (c clockConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c clockConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, withClock(query))
}

type clockConnector struct {
	driver driver.Driver
	dsn    string
}

func (c clockConnector) Driver() driver.Driver { return c.driver }

func (c clockConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	return clockConn{conn}, err
}

// newClock returns a store on SQLite, and a function that sets its clock to a time after
// that of the first call.
func newClock(t *testing.T) (s *sqlstore.Store, set func(after time.Duration)) {
	t.Helper()
	dsn := sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "clock.db")) + "&_pragma=synchronous(OFF)"
	_, plain := migrated(t, "sqlite", dsn)
	execute(t, plain, "CREATE TABLE test_clock (now REAL)", "INSERT INTO test_clock VALUES (0)")
	db := sql.OpenDB(clockConnector{plain.Driver(), dsn})
	t.Cleanup(func() { db.Close() })
	s, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.SQLite})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now().UnixMilli()
	return s, func(after time.Duration) {
		execute(t, plain, fmt.Sprintf("UPDATE test_clock SET now = %.3f", float64(start+after.Milliseconds())/1000))
	}
}

// A time limit is decided to the millisecond, the resolution of SQLite's clock: what
// expires at a time is expired at that time.
func TestTimeLimitsOfSQLite(t *testing.T) {
	t.Parallel()
	s, set := newClock(t)
	ctx, keys, families, sessions := t.Context(), s.APIKeys(), s.Families(), s.Sessions()
	newKey := func(id string) error {
		_, err := keys.Create(ctx, apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Minute}})
		return err
	}
	newFamily := func(id string) error {
		_, err := families.Create(ctx, family(id), time.Minute)
		return err
	}
	rotate := func(id string, grace time.Duration) string {
		_, outcome, err := families.Rotate(ctx, id, refresh.Presentation{Client: "c", Next: refresh.Hash{1}, Successor: []byte{1}, Grace: grace})
		return fmt.Sprint(outcome, " ", err)
	}
	rotated := func(grace time.Duration) func(string) error {
		return func(id string) error {
			err := newFamily(id)
			if got := rotate(id, grace); got != "rotated <nil>" {
				err = errors.Join(err, errors.New(got))
			}
			return err
		}
	}
	newSession := func(idle, lifetime time.Duration) func(string) error {
		return func(id string) error {
			_, err := sessions.Create(ctx, session.Record{Session: session.Session{ID: id, Issuer: "i", Subject: id, Idle: idle}, Principal: "{}"}, lifetime)
			return err
		}
	}
	get := func(id string) any { _, err := sessions.Get(ctx, id); return err }
	for _, test := range []struct {
		name       string
		limit      time.Duration // after the call of prepare
		prepare    func(id string) error
		act        func(id string) any
		before, at any
	}{
		{"rotate a key", time.Minute, newKey, func(id string) any {
			_, err := keys.Rotate(ctx, id, apikey.Rotation{MaxLifetime: time.Hour})
			return err
		}, nil, apikey.ErrConflict},
		{"delete a key", time.Minute, newKey, func(id string) any { return keys.Delete(ctx, id) }, apikey.ErrConflict, nil},
		{"rotate a family", time.Minute, newFamily, func(id string) any { return rotate(id, 0) }, "rotated <nil>", "expired <nil>"},
		{"replay within the grace period", time.Second, rotated(time.Second), func(id string) any { return rotate(id, 0) }, "replayed <nil>", "reused <nil>"},
		{"reuse within one millisecond, without a grace period", time.Millisecond, rotated(0), func(id string) any { return rotate(id, 0) }, "reused <nil>", "reused <nil>"},
		{"get an idle session", time.Minute, newSession(time.Minute, time.Hour), get, nil, session.ErrNotFound},
		{"get an old session", time.Minute, newSession(time.Hour, time.Minute), get, nil, session.ErrNotFound},
		{"touch a session", time.Second, newSession(time.Minute, time.Hour), func(id string) any {
			return fmt.Sprint(sessions.Touch(ctx, id, time.Second))
		}, "false <nil>", "true <nil>"},
		{"swap a session", time.Minute, newSession(time.Minute, time.Hour), func(id string) any {
			_, err := sessions.Swap(ctx, id, 1, session.Change{ID: id + "b"})
			return err
		}, nil, session.ErrNotFound},
	} {
		for when, want := range map[time.Duration]any{-time.Millisecond: test.before, 0: test.at} {
			id := test.name + when.String()
			set(0)
			if err := test.prepare(id); err != nil {
				t.Errorf("%s: prepare: %v", test.name, err)
				continue
			}
			set(test.limit + when)
			got := test.act(id)
			failed, isError := got.(error)
			if target, ok := want.(error); got != want && !(ok && isError && errors.Is(failed, target)) {
				t.Errorf("%s, %v from the limit: %v, want %v", test.name, when, got, want)
			}
		}
	}
}
