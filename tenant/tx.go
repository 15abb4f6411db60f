// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// Setting is the run-time parameter of PostgreSQL with the tenant of a transaction. The
// policies of [Protect] compare with it.
const Setting = "gatehouse.tenant"

// Tx runs f in a transaction of PostgreSQL that sees only the rows of the tenant of the
// context, see [Of] and [Protect]. It commits if f returns nil. It rolls back if f returns
// an error or panics, or if ctx ends. It returns the error of f unchanged; if the database
// does not begin or commit, the error wraps a [*gatehouse.Error] of status 503.
//
// The tenant is set for this transaction only (SET LOCAL), so that the next user of the
// connection does not have it. This also holds behind a pooler such as PgBouncer in
// transaction mode; there, pgx needs default_query_exec_mode=exec. Queries of f need no
// condition for the tenant; an index that begins with the tenant makes them quick.
//
// The role of db must be one that [CheckRows] accepts. f must not set [Setting] and must
// not end the transaction. Tx costs one round trip more than a transaction without it.
func Tx(ctx context.Context, db *sql.DB, options *sql.TxOptions, f func(tx *sql.Tx) error) error {
	n, err := Of(ctx)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, options)
	if err != nil {
		return unavailable("begin", err)
	}
	done := false
	defer func() {
		if !done { // f panicked
			_ = tx.Rollback()
		}
	}()
	err = within(ctx, tx, n, f)
	done = true
	if err != nil {
		if failed := tx.Rollback(); failed != nil && !errors.Is(failed, sql.ErrTxDone) {
			err = errors.Join(err, fmt.Errorf("tenant: rollback: %w", failed))
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return unavailable("commit", err)
	}
	return nil
}

func within(ctx context.Context, tx *sql.Tx, n Namespace, f func(tx *sql.Tx) error) error {
	// SET LOCAL takes no parameters, and does nothing but warn outside of a transaction.
	var got string
	if err := tx.QueryRowContext(ctx, "SELECT set_config('"+Setting+"', $1, true)", n.tenant).Scan(&got); err != nil {
		return unavailable("set", err)
	}
	if got != n.tenant {
		return unavailable("set", errors.New("the database has changed the name of the tenant"))
	}
	return f(tx)
}

// unavailable returns the error for a failed step of the database.
func unavailable(step string, err error) error {
	return fmt.Errorf("tenant: %s: %w: %w", step, &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonDatabaseUnavailable, Cause: err,
	}, err)
}

// Protect returns the statements that separate the tenants in a table, for a migration.
// column is the column with the tenant, of type text. Then a row can be read, changed and
// added only in a [Tx] of its tenant, even by the owner of the table. The column is NOT
// NULL and gets the tenant of the transaction by default.
//
// Put the tenant into every key: a unique key without the column reveals the keys of
// other tenants, and a foreign key without it can refer to a row of another tenant.
// Protect panics if a name is empty or has a NUL. A table may have a schema, "app.notes".
func Protect(table, column string) string {
	var quoted []string
	for part := range strings.SplitSeq(table, ".") {
		quoted = append(quoted, quote(part))
	}
	name, column := strings.Join(quoted, "."), quote(column)
	// As a subquery, the setting is read once for each statement instead of once for each
	// row.
	current := "(SELECT nullif(current_setting('" + Setting + "', true), ''))"
	return fmt.Sprintf(`ALTER TABLE %[1]s ALTER COLUMN %[2]s SET NOT NULL;
ALTER TABLE %[1]s ALTER COLUMN %[2]s SET DEFAULT nullif(current_setting('%[4]s', true), '');
ALTER TABLE %[1]s ENABLE ROW LEVEL SECURITY;
ALTER TABLE %[1]s FORCE ROW LEVEL SECURITY;
CREATE POLICY gatehouse_tenant ON %[1]s USING (%[2]s = %[3]s) WITH CHECK (%[2]s = %[3]s);
`, name, column, current, Setting)
}

// quote returns an identifier of SQL.
func quote(name string) string {
	if name == "" || strings.Contains(name, "\x00") {
		panic(fmt.Sprintf("tenant: Protect: %q is not a name", name))
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
