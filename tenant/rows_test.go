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
	rolledBack *bool
	cut        bool // the connection ends before the first row
	full       bool // the transaction cannot be committed
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
	if d.rolledBack != nil {
		*d.rolledBack = true
	}
	return nil
}

func (d database) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &answer{d.answer, false, d.cut}, nil
}

type answer struct {
	text string
	read bool
	cut  bool
}

func (*answer) Columns() []string { return []string{"set_config"} }
func (*answer) Close() error      { return nil }

func (a *answer) Next(row []driver.Value) error {
	if a.cut {
		return errDown
	}
	if a.read {
		return io.EOF
	}
	row[0], a.read = a.text, true
	return nil
}

func TestTxFails(t *testing.T) {
	job := jobOf(t, "acme")
	for answer, want := range map[string]string{"": "tenant: begin: ", "globex": "has changed the name of the tenant", "acme": "failed"} {
		db := sql.OpenDB(database{answer: answer})
		ran := false
		err := tenant.Tx(job, db, nil, func(*sql.Tx) error { ran = true; return errors.New("failed") })
		if err == nil || !strings.Contains(err.Error(), want) || ran != (answer == "acme") {
			t.Errorf("Tx() at a database that answers %q: error = %v, f ran %t, want %q", answer, err, ran, want)
		}
		e, unavailable := errors.AsType[*gatehouse.Error](err)
		if unavailable == (answer == "acme") || unavailable && (e.Code != gatehouse.CodeTemporarilyUnavailable || e.Reason != tenant.ReasonDatabaseUnavailable || e.Cause == nil) {
			t.Errorf("Tx() at a database that answers %q: error = %v, want a 503 unless it is that of f", answer, err)
		}
		if err := tenant.CheckRows(t.Context(), db); err == nil {
			t.Errorf("CheckRows() at a database that answers %q: error = nil, want one", answer)
		}
		_ = db.Close()
	}
	if err := tenant.Tx(t.Context(), sql.OpenDB(database{}), nil, func(*sql.Tx) error { return nil }); err == nil {
		t.Error("Tx() without a tenant: error = nil, want one")
	}
	err := tenant.Tx(job, sql.OpenDB(database{answer: "acme", full: true}), nil, func(*sql.Tx) error { return nil })
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != tenant.ReasonDatabaseUnavailable || !errors.Is(err, errDown) {
		t.Errorf("Tx() that cannot be committed: error = %v, want a 503 for %v", err, errDown)
	}
	// A transaction that has ended with its context is rolled back already.
	failed := errors.New("failed")
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

// An answer that ends before its rows is not one without findings.
func TestCheckRowsOfCutAnswer(t *testing.T) {
	db := sql.OpenDB(database{answer: "acme", cut: true})
	defer func() { _ = db.Close() }()
	if err := tenant.CheckRows(t.Context(), db); !errors.Is(err, errDown) {
		t.Errorf("CheckRows error = %v, want %v", err, errDown)
	}
}
