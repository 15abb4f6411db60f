// SPDX-License-Identifier: Apache-2.0

package tenant_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// database is one that answers every query with one text, or cannot be reached. What
// PostgreSQL does is tested with the real one, in the module store.
type database struct {
	answer     string
	findings   [][]driver.Value // instead of the answer
	rolledBack *bool
	cut        bool // the connection ends before the first row
	full       bool // the transaction cannot be committed
	lost       bool // the transaction cannot be rolled back
}

var errDown = errors.New("down")

func (d database) Connect(context.Context) (driver.Conn, error) {
	if d.answer == "" {
		return nil, errDown
	}
	return d, nil
}

func (d database) Driver() driver.Driver               { return nil }
func (d database) Prepare(string) (driver.Stmt, error) { return nil, errDown }
func (d database) Close() error                        { return nil }
func (d database) Begin() (driver.Tx, error)           { return d, nil }

func (d database) Commit() error {
	if d.full {
		return errDown
	}
	return nil
}

func (d database) Rollback() error {
	if d.lost {
		return errDown
	}
	if d.rolledBack != nil {
		*d.rolledBack = true
	}
	return nil
}

func (d database) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) > 0 && (query != "SELECT set_config('gatehouse.tenant', $1, true)" || args[0].Value != "acme") { // true: for this transaction only
		return nil, errors.New("not the query that sets the tenant acme: " + query)
	}
	if d.findings != nil {
		return &answer{d.findings, d.cut}, nil
	}
	return &answer{[][]driver.Value{{d.answer}}, d.cut}, nil
}

type answer struct {
	rows [][]driver.Value
	cut  bool
}

func (a *answer) Columns() []string { return make([]string, len(a.rows[0])) }
func (*answer) Close() error        { return nil }

func (a *answer) Next(row []driver.Value) error {
	if a.cut {
		return errDown
	}
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(row, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}

func TestTxFails(t *testing.T) {
	job := jobOf(t, "acme")
	failed := errors.New("failed")
	for answer, want := range map[string]string{
		"": "tenant: begin: ", "globex": "has changed the name of the tenant", "acme2": "has changed the name of the tenant", "acme": "failed",
	} {
		db := sql.OpenDB(database{answer: answer})
		ran := false
		err := tenant.Tx(job, db, nil, func(*sql.Tx) error { ran = true; return failed })
		if err == nil || !strings.Contains(err.Error(), want) || ran != (answer == "acme") || ran && err != failed {
			t.Errorf("Tx() at a database that answers %q: error = %v, f ran %t, want %q", answer, err, ran, want)
		}
		e, unavailable := errors.AsType[*gatehouse.Error](err)
		if unavailable == (answer == "acme") || unavailable && (e.Code != gatehouse.CodeTemporarilyUnavailable || e.Reason != tenant.ReasonDatabaseUnavailable || e.Cause == nil) {
			t.Errorf("Tx() at a database that answers %q: error = %v, want a 503 unless it is that of f", answer, err)
		}
		if err := tenant.CheckRows(t.Context(), db); err == nil || !strings.HasPrefix(err.Error(), "tenant: check rows: ") || db.Stats().InUse > 0 {
			t.Errorf("CheckRows() at a database that answers %q: error = %v with %d connections in use, want one with 0", answer, err, db.Stats().InUse)
		}
		_ = db.Close()
	}
	if err := tenant.Tx(t.Context(), sql.OpenDB(database{}), nil, func(*sql.Tx) error { return nil }); !errors.Is(err, tenant.ErrNone) {
		t.Errorf("Tx() without a tenant: error = %v, want %v", err, tenant.ErrNone)
	}
	err := tenant.Tx(job, sql.OpenDB(database{answer: "acme", cut: true}), nil, func(*sql.Tx) error { return nil })
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != tenant.ReasonDatabaseUnavailable || !errors.Is(err, errDown) {
		t.Errorf("Tx() whose tenant cannot be set: error = %v, want a 503 for %v", err, errDown)
	}
	err = tenant.Tx(job, sql.OpenDB(database{answer: "acme", lost: true}), nil, func(*sql.Tx) error { return failed })
	if !errors.Is(err, failed) || !errors.Is(err, errDown) || !strings.Contains(err.Error(), "tenant: rollback: ") {
		t.Errorf("Tx() that cannot be rolled back: error = %v, want %v and %v", err, failed, errDown)
	}
	err = tenant.Tx(job, sql.OpenDB(database{answer: "acme", full: true}), nil, func(*sql.Tx) error { return nil })
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != tenant.ReasonDatabaseUnavailable || !errors.Is(err, errDown) {
		t.Errorf("Tx() that cannot be committed: error = %v, want a 503 for %v", err, errDown)
	}
	err = tenant.Tx(job, sql.OpenDB(database{answer: "acme"}), &sql.TxOptions{ReadOnly: true}, func(*sql.Tx) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "read-only") { // which this driver does not support
		t.Errorf("Tx() with options: error = %v, want that of the driver", err)
	}
	// A transaction that has ended with its context is rolled back already.
	ctx, cancel := context.WithCancel(job)
	err = tenant.Tx(ctx, sql.OpenDB(database{answer: "acme"}), nil, func(tx *sql.Tx) error {
		cancel()
		_ = tx.Rollback()
		return failed
	})
	if err != failed { // it is returned as it is
		t.Errorf("Tx() that ended before: error = %v, want that of f", err)
	}
}

func TestTxEndsAfterPanic(t *testing.T) {
	rolledBack := false
	db := sql.OpenDB(database{answer: "acme", rolledBack: &rolledBack})
	defer func() { _ = db.Close() }()
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("Tx did not panic as f did")
			}
		}()
		_ = tenant.Tx(jobOf(t, "acme"), db, nil, func(*sql.Tx) error { panic("mine") })
	}()
	if open := db.Stats().InUse; open != 0 || !rolledBack {
		t.Errorf("after a panic: %d connections in use, rolled back = %v, want 0, true", open, rolledBack)
	}
}

func TestCheckRowsListsEverything(t *testing.T) {
	db := sql.OpenDB(database{answer: "acme", findings: [][]driver.Value{{"public.a", "is bare"}, {"public.b", "is the same for all"}, {"public.c", "is a view"}, {"public.c", "is a function"}}})
	defer func() { _ = db.Close() }()
	const want = "tenant: public.a: is bare\ntenant: public.c: is a view\ntenant: public.c: is a function"
	if err := tenant.CheckRows(t.Context(), db, "public.x", "public.b"); err == nil || err.Error() != want {
		t.Errorf("CheckRows error = %v, want %s", err, want)
	}
}

// An answer that ends before its rows is not one without findings.
func TestCheckRowsOfCutAnswer(t *testing.T) {
	db := sql.OpenDB(database{answer: "acme", cut: true})
	defer func() { _ = db.Close() }()
	if err := tenant.CheckRows(t.Context(), db); !errors.Is(err, errDown) {
		t.Errorf("CheckRows error = %v, want %v", err, errDown)
	}
}
