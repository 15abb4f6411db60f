// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

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

// An answer that breaks off is an error, and never a shorter or empty result: a
// revocation that was not read would make a token valid.
func TestTruncatedAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for _, dialect := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.Postgres} {
		db := sql.OpenDB(cutDriver{})
		defer db.Close()
		s, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: dialect})
		if err != nil {
			t.Fatal(err)
		}
		ctx, keys, families, revocations := t.Context(), s.APIKeys(), s.Families(), s.Revocations()
		filter, targets := refresh.Filter{Subject: "s"}, make([]revocation.Target, 9)
		for name, call := range map[string]func() error{
			"find key":              func() error { _, err := keys.Find(ctx, "a"); return err },
			"list keys":             func() error { _, err := keys.List(ctx, apikey.Query{Limit: 9}); return err },
			"revoke all keys":       func() error { _, err := keys.RevokeAll(ctx, apikey.Filter{}, 9); return err },
			"touch key":             func() error { _, err := keys.Touch(ctx, "a", 1, 0); return err },
			"delete key":            func() error { return keys.Delete(ctx, "a") },
			"import key":            func() error { _, err := keys.Import(ctx, apikey.Record{}); return err },
			"find family":           func() error { _, err := families.Find(ctx, "a"); return err },
			"list families":         func() error { _, err := families.List(ctx, filter, 9); return err },
			"revoke all families":   func() error { _, err := families.RevokeAll(ctx, filter, 9); return err },
			"find revocations":      func() error { _, err := revocations.Find(ctx, targets[:2]); return err },
			"find many revocations": func() error { _, err := revocations.Find(ctx, targets); return err },
		} {
			if err := call(); !errors.Is(err, errCut) {
				t.Errorf("%s, %s: error = %v, want %v", dialect, name, err, errCut)
			}
		}
	}
}
