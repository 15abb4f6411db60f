// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// clockConn is a connection whose statements read the time from a table.
type clockConn struct{ driver.Conn }

var clocks = strings.NewReplacer("unixepoch('subsec')", "(SELECT now FROM test_clock)", "clock_timestamp()", "(SELECT now FROM test_clock)")

func withClock(query string) string { return clocks.Replace(query) }

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

// newClock returns a store of an engine, the resolution of its clock, and a function that
// sets the clock to a time after that of the first call.
func newClock(t *testing.T, engine, dsn string) (s *sqlstore.Store, resolution time.Duration, set func(after time.Duration)) {
	t.Helper()
	start := time.Now()
	dialect, table, update := sqlstore.Postgres, "timestamptz", func(at time.Time) string {
		return fmt.Sprintf("timestamptz 'epoch' + %d * interval '1 microsecond'", at.UnixMicro())
	}
	resolution = time.Microsecond
	if engine == "sqlite" {
		resolution, dialect, table, update = time.Millisecond, sqlstore.SQLite, "REAL", func(at time.Time) string {
			return fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000)
		}
	}
	_, plain := migrated(t, engine, dsn)
	execute(t, plain, "CREATE TABLE test_clock (now "+table+")", "INSERT INTO test_clock VALUES ("+update(start)+")")
	if engine != "sqlite" {
		execute(t, plain, "CREATE OR REPLACE FUNCTION gatehouse_budget_now() RETURNS BIGINT LANGUAGE sql VOLATILE AS 'SELECT (extract(epoch FROM now) * 1000000)::bigint FROM test_clock'")
	}
	db := sql.OpenDB(clockConnector{plain.Driver(), dsn})
	t.Cleanup(func() { db.Close() })
	s = must(sqlstore.New(sqlstore.Config{DB: db, Dialect: dialect}))(t)
	return s, resolution, func(after time.Duration) { execute(t, plain, "UPDATE test_clock SET now = "+update(start.Add(after))) }
}

// A time limit is decided to the resolution of the clock, in SQLite a millisecond: what
// expires at a time is expired at that time.
func TestTimeLimits(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		testTimeLimits(t, driver, dsn)
	})
}

func testTimeLimits(t *testing.T, driver, dsn string) {
	s, resolution, set := newClock(t, driver, dsn)
	ctx, keys, families, sessions := t.Context(), s.APIKeys(), s.Families(), s.Sessions()
	newKey := func(id string) error {
		return second(keys.Create(ctx, apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Minute}}))
	}
	newFamily := func(id string) error { return second(families.Create(ctx, family(id), time.Minute)) }
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
	idle := newSession(time.Minute, time.Hour)
	get := func(id string) any { return second(sessions.Get(ctx, id)) }
	touch := func(id string) any { return fmt.Sprint(keys.Touch(ctx, id, 1, time.Second)) }
	insert := func(id string) any {
		return fmt.Sprint(s.Replays().Insert(ctx, sha256.Sum256([]byte(id)), time.Minute))
	}
	request := func(id string) any {
		a := approval.Approval{ID: id, Call: approval.Call{Tenant: "t", Tool: strings.TrimSuffix(id, " again"), Arguments: "{}"}, Rule: approval.Rule{Consent: true}}
		_, added, err := s.Approvals().Request(ctx, a, approval.Limits{Lifetime: time.Minute, Pending: 99, Bytes: 999}, false)
		return fmt.Sprint(added, err)
	}
	// hold reserves the whole capacity of a counter of an hour.
	set(0)
	_, start, err := s.Budgets().List(ctx, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	reservation := func(account, id string) budget.Reservation {
		end := start.Add(time.Hour)
		return budget.Reservation{Tenant: "t", ID: id, TTL: time.Minute, Entries: []budget.Entry{
			{Account: account, Window: "day", Start: start, Since: start, Next: end, End: end, Max: 40, Limit: 40, Amount: 40},
		}}
	}
	hold := func(account, id string) any {
		r, err := s.Budgets().Reserve(ctx, reservation(account, id))
		return fmt.Sprint(r.Outcome, " ", err)
	}
	settle := func(id string) any {
		_, errSweep := s.Budgets().Sweep(ctx, 9)
		r, err := s.Budgets().Settle(ctx, "t", id, []int64{7})
		return fmt.Sprint(r.Outcome, " ", errors.Join(errSweep, err))
	}
	reserve := func(id string) any { return hold(id, id) }
	done := func(act func(string) any, want string) func(string) error {
		return func(id string) error {
			if got := act(id); got != want {
				return fmt.Errorf("%v, want %s", got, want)
			}
			return nil
		}
	}
	held := done(reserve, "held <nil>")
	for _, test := range []struct {
		name       string
		limit      time.Duration // after the call of prepare
		prepare    func(id string) error
		act        func(id string) any
		before, at any
	}{
		{"rotate a key", time.Minute, newKey, func(id string) any {
			return second(keys.Rotate(ctx, id, apikey.Rotation{MaxLifetime: time.Hour}))
		}, nil, apikey.ErrConflict},
		{"delete a key", time.Minute, newKey, func(id string) any { return keys.Delete(ctx, id) }, apikey.ErrConflict, nil},
		{"touch a key", time.Second, func(id string) error { return errors.Join(newKey(id), done(touch, "true <nil>")(id)) }, touch, "false <nil>", "true <nil>"},
		{"insert a replay again", time.Minute, done(insert, "true <nil>"), insert, "false <nil>", "true <nil>"},
		{"request an approval again", time.Minute, done(request, "true <nil>"), func(id string) any { return request(id + " again") }, "false <nil>", "true <nil>"},
		{"reserve at the end of a counter", time.Hour, func(string) error { return nil }, reserve, "held <nil>", "moved <nil>"},
		{"reserve what a hold has", time.Minute, held, func(id string) any { return hold(id, id+" again") }, "exceeded <nil>", "held <nil>"},
		{"extend a hold", time.Minute, held, func(id string) any {
			r, err := s.Budgets().Extend(ctx, reservation(id, id))
			return fmt.Sprint(r.Outcome, " ", err)
		}, "held <nil>", "expired <nil>"},
		{"settle again", budget.Retention, func(id string) error {
			return errors.Join(held(id), done(settle, "settled <nil>")(id))
		}, settle, "settled <nil>", "absent <nil>"},
		{"read an old counter", time.Hour + budget.CounterRetention, held, func(id string) any {
			_, errSweep := s.Budgets().Sweep(ctx, 9)
			counters, _, err := s.Budgets().Read(ctx, "t", id, "day", start)
			return fmt.Sprint(len(counters), errors.Join(errSweep, err))
		}, "1 <nil>", "0 <nil>"},
		{"create a session again", time.Minute, idle, func(id string) any { return idle(id) }, session.ErrConflict, nil},
		{"rotate a family", time.Minute, newFamily, func(id string) any { return rotate(id, 0) }, "rotated <nil>", "expired <nil>"},
		{"replay within the grace period", time.Second, rotated(time.Second), func(id string) any { return rotate(id, 0) }, "replayed <nil>", "reused <nil>"},
		{"reuse within one millisecond, without a grace period", time.Millisecond, rotated(0), func(id string) any { return rotate(id, 0) }, "reused <nil>", "reused <nil>"},
		{"get an idle session", time.Minute, idle, get, nil, session.ErrNotFound},
		{"get an old session", time.Minute, newSession(time.Hour, time.Minute), get, nil, session.ErrNotFound},
		{"touch a session", time.Second, idle, func(id string) any {
			return fmt.Sprint(sessions.Touch(ctx, id, time.Second))
		}, "false <nil>", "true <nil>"},
		{"swap a session", time.Minute, idle, func(id string) any {
			return second(sessions.Swap(ctx, id, 1, session.Change{ID: id + "b"}))
		}, nil, session.ErrNotFound},
	} {
		for when, want := range map[time.Duration]any{-resolution: test.before, 0: test.at} {
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
