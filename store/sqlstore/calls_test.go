// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// callAll calls every method of the stores, in an order in which each one succeeds.
func callAll(ctx context.Context, t *testing.T, s *sqlstore.Store) map[string]error {
	keys, families, revocations, sessions, replays := s.APIKeys(), s.Families(), s.Revocations(), s.Sessions(), s.Replays()
	budgets, agents, approvals, upstreams, audit := s.Budgets(), s.Agents(), s.Approvals(), s.Upstreams(), s.Audit(auditSealer(t))
	now := time.Now()
	key := apikey.Key{ID: "a", Owner: "o", Lifetime: time.Hour}
	imported := apikey.Record{Key: apikey.Key{ID: "b", Owner: "o", Lifetime: time.Hour, Created: now, Rotated: now, Expires: now.Add(time.Hour), Generation: 1}}
	sub, sel, targets := refresh.Filter{Subject: "s"}, session.Selector{Issuer: "i", Subject: "s"}, make([]revocation.Target, 9)
	targets[0] = revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	start, end := now.Add(-time.Hour).Truncate(time.Hour), now.Add(2*time.Hour)
	hold := budget.Reservation{Tenant: "t", ID: "a", TTL: time.Minute, Entries: []budget.Entry{
		{Account: "a", Window: "day", Start: start, Since: start, Next: end, End: end, Max: 40, Limit: 40, Amount: 4},
	}}
	asked := approval.Approval{ID: "a", Call: approval.Call{Tenant: "t", Tool: "x", Arguments: "{}"}, Rule: approval.Rule{Consent: true, Count: 1}}
	return map[string]error{
		"APIKeys.Create":          second(keys.Create(ctx, apikey.Record{Key: key})),
		"APIKeys.Find":            second(keys.Find(ctx, "a")),
		"APIKeys.Rotate":          second(keys.Rotate(ctx, "a", apikey.Rotation{MaxLifetime: time.Hour})),
		"APIKeys.Suspend(true)":   second(keys.Suspend(ctx, "a", true)),
		"APIKeys.Suspend(false)":  second(keys.Suspend(ctx, "a", false)),
		"APIKeys.Touch":           second(keys.Touch(ctx, "a", 1, 0)),
		"APIKeys.Import":          second(keys.Import(ctx, imported)),
		"APIKeys.List":            second(keys.List(ctx, apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 9})),
		"APIKeys.Revoke":          second(keys.Revoke(ctx, "a")),
		"APIKeys.RevokeAll":       second(keys.RevokeAll(ctx, apikey.Filter{}, 9)),
		"APIKeys.Delete":          keys.Delete(ctx, "a"),
		"Families.Create":         second(families.Create(ctx, family("a"), time.Hour)),
		"Families.Find":           second(families.Find(ctx, "a")),
		"Families.Rotate":         third(families.Rotate(ctx, "a", refresh.Presentation{Client: "c"})),
		"Families.List":           second(families.List(ctx, sub, 9)),
		"Families.Revoke":         second(families.Revoke(ctx, "a")),
		"Families.RevokeAll":      second(families.RevokeAll(ctx, sub, 9)),
		"Revocations.Revoke":      revocations.Revoke(ctx, targets[0], time.Hour),
		"Revocations.Find(two)":   second(revocations.Find(ctx, targets[:2])),
		"Revocations.Find(nine)":  second(revocations.Find(ctx, targets)),
		"Sessions.Create":         second(sessions.Create(ctx, browser("a"), time.Hour)),
		"Sessions.Get":            second(sessions.Get(ctx, "a")),
		"Sessions.Swap":           second(sessions.Swap(ctx, "a", 1, session.Change{ID: "a"})),
		"Sessions.Touch":          second(sessions.Touch(ctx, "a", 0)),
		"Sessions.List":           second(sessions.List(ctx, sel, 9)),
		"Sessions.DeleteAll":      second(sessions.DeleteAll(ctx, sel)),
		"Sessions.Delete":         sessions.Delete(ctx, "a"),
		"Replays.Insert":          second(replays.Insert(ctx, replayKey(1), time.Minute)),
		"Budgets.Reserve":         second(budgets.Reserve(ctx, hold)),
		"Budgets.Extend":          second(budgets.Extend(ctx, hold)),
		"Budgets.Settle":          second(budgets.Settle(ctx, "t", "a", []int64{4})),
		"Budgets.Read":            third(budgets.Read(ctx, "t", "a", "day", start)),
		"Budgets.List":            third(budgets.List(ctx, "t", 9)),
		"Budgets.Sweep":           second(budgets.Sweep(ctx, 9)),
		"Agents.Register":         second(agents.Register(ctx, "a", "t", []byte("{}"))),
		"Agents.Find":             second(agents.Find(ctx, "a")),
		"Agents.List":             second(agents.List(ctx, "t", "", 9)),
		"Agents.Decommission":     second(agents.Decommission(ctx, "t", "a")),
		"Approvals.Request":       third(approvals.Request(ctx, asked, approval.Limits{Lifetime: time.Hour, Pending: 9, Bytes: 99}, false)),
		"Approvals.Find":          second(approvals.Find(ctx, "t", "a")),
		"Approvals.List":          second(approvals.List(ctx, approval.Filter{Tenant: "t"}, 9, 99)),
		"Approvals.Decide":        third(approvals.Decide(ctx, "t", "a", approval.Decision{Approve: true})),
		"Approvals.Claim":         second(approvals.Claim(ctx, "t", asked.Digest())),
		"Upstreams.Load":          second(upstreams.Load(ctx, "a")),
		"Upstreams.Swap(create)":  upstreams.Swap(ctx, "a", 0, []byte("x")),
		"Upstreams.Swap(replace)": upstreams.Swap(ctx, "a", 1, []byte("y")),
		"Audit.Append":            audit.Append(ctx, []byte(`{"a":1}`)),
		"Audit.Records":           firstError(ctx, audit),
	}
}

func firstError(ctx context.Context, a *sqlstore.Audit) error {
	for _, err := range a.Records(ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}

var errCut = errors.New("connection reset")

// cutDriver is a database whose answers break off before the first row.
type cutDriver struct{}

func (cutDriver) Connect(context.Context) (driver.Conn, error) { return cutDriver{}, nil }
func (d cutDriver) Driver() driver.Driver                      { return d }
func (cutDriver) Open(string) (driver.Conn, error)             { return cutDriver{}, nil }
func (cutDriver) Prepare(string) (driver.Stmt, error)          { return cutDriver{}, nil }
func (cutDriver) Begin() (driver.Tx, error)                    { return nil, errCut }
func (cutDriver) Close() error                                 { return nil }
func (cutDriver) NumInput() int                                { return -1 }
func (cutDriver) Exec([]driver.Value) (driver.Result, error)   { return nil, errCut }
func (cutDriver) Query([]driver.Value) (driver.Rows, error)    { return cutRows{}, nil }

type cutRows struct{}

func (cutRows) Columns() []string         { return nil }
func (cutRows) Close() error              { return nil }
func (cutRows) Next([]driver.Value) error { return errCut }

// TestUnavailable: without a database, without tables and if an answer breaks off, every
// method returns an error that is no answer of the store. An empty result would make a
// revoked token valid.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	answers := []error{
		apikey.ErrNotFound, apikey.ErrConflict, refresh.ErrNotFound, session.ErrNotFound, session.ErrConflict, agent.ErrNotFound, agent.ErrConflict,
		agent.ErrDecommissioned, approval.ErrNotFound, approval.ErrTooMany, upstream.ErrConflict,
	}
	check := func(t *testing.T, why string, s *sqlstore.Store, want error) {
		t.Helper()
		for method, err := range callAll(t.Context(), t, s) {
			if err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("%s, %s error = %v, want %v", why, method, err, want)
			}
			for _, answer := range answers {
				if errors.Is(err, answer) {
					t.Errorf("%s, %s error = %v, which is an answer", why, method, err)
				}
			}
		}
	}
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		s, db := newStore(t, open(t, driver, dsn)), open(t, driver, dsn)
		check(t, "no tables", s, nil)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed := newStore(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, "closed", closed, nil)
	})
	for _, dialect := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.Postgres} {
		db := sql.OpenDB(cutDriver{})
		defer db.Close()
		s := must(sqlstore.New(sqlstore.Config{DB: db, Dialect: dialect}))(t)
		check(t, string(dialect)+" breaks off", s, errCut)
	}
}

// TestPostgresLeastPrivilege: the methods need no right but SELECT, INSERT, UPDATE and
// DELETE.
func TestPostgresLeastPrivilege(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	_, db := migrated(t, "pgx", url)
	execute(t, db, "CREATE ROLE calls_app", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO calls_app",
		"REVOKE ALL ON gatehouse_migrations FROM calls_app")
	app := newStore(t, open(t, "pgx", url+"&role=calls_app"))
	if err := app.Migrate(t.Context()); err == nil {
		t.Error("Migrate error = nil, want one: the role has too many rights for this test")
	}
	for method, err := range callAll(t.Context(), t, app) {
		if err != nil {
			t.Errorf("%s error = %v, want nil", method, err)
		}
	}
	for n := range 100 { // some of them remove expired keys
		if _, err := app.Replays().Insert(t.Context(), replayKey(9+n), time.Millisecond); err != nil {
			t.Errorf("Replays.Insert error = %v, want nil", err)
		}
	}
}
