// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// tenants returns a database with the protected table notes, as its owner and as the
// role of the application, which has a URL.
func tenants(t *testing.T) (owner *sql.DB, app string) {
	t.Helper()
	enginetest.Slow(t)
	owned := enginetest.StartPostgres(t, "fsync=off").Database(t)
	owner = openPostgres(t, owned)
	statements(t, owner, `CREATE ROLE app LOGIN PASSWORD 'app'`,
		`CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, tenant text, body text NOT NULL, PRIMARY KEY (tenant, id))`,
		tenant.Protect("public.notes", "tenant"), `GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app`)
	u, err := url.Parse(owned)
	if err != nil {
		t.Fatal("not a URL")
	}
	u.User = url.UserPassword("app", "app")
	return owner, u.String()
}

func openPostgres(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db := must(sql.Open("pgx", dsn))
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(6) // fewer than there are goroutines, so that they share them
	db.SetMaxIdleConns(6)
	return db
}

func statements(t *testing.T, db *sql.DB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// Random queries of random tenants share connections, directly and through PgBouncer in
// transaction mode, after panics, errors and canceled contexts: no query sees, changes
// or adds a foreign row, and no connection keeps a tenant.
func TestTenantsSeeTheirRowsOnly(t *testing.T) {
	t.Parallel()
	_, app := tenants(t)
	for name, dsn := range map[string]string{"direct": app, "pgbouncer": enginetest.StartPgBouncer(t, app)} {
		t.Run(name, func(t *testing.T) {
			db := openPostgres(t, dsn)
			if err := tenant.CheckRows(t.Context(), db); err != nil {
				t.Fatalf("CheckRows error = %v", err)
			}
			var queries, panics, canceled, rows atomic.Int64
			start := time.Now()
			going := func() bool {
				spent := time.Since(start)
				missing := panics.Load() == 0 || canceled.Load() == 0 || rows.Load() == 0
				return !t.Failed() && (spent < 2*time.Second || missing && spent < time.Minute)
			}
			var work sync.WaitGroup
			for range 12 {
				work.Go(func() {
					for going() {
						queries.Add(1)
						mine := fmt.Sprintf("tenant-%d", rand.N(5))
						ctx := must(tenant.Job(t.Context(), mine))
						switch rand.N(8) {
						case 0: // without a transaction nothing is there
							var n int
							var setting string
							if err := db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM notes), coalesce(current_setting('gatehouse.tenant', true), '')").Scan(&n, &setting); err != nil || n != 0 || setting != "" {
								t.Errorf("outside of Tx: %d rows, tenant %q, %v, want none", n, setting, err)
							}
						case 1:
							func() {
								defer func() { _ = recover(); panics.Add(1) }()
								_ = tenant.Tx(ctx, db, nil, func(tx *sql.Tx) error {
									_, _ = tx.ExecContext(ctx, "INSERT INTO notes (body) VALUES ('lost')")
									panic("of f")
								})
							}()
						case 2:
							short, cancel := context.WithTimeout(ctx, time.Duration(rand.N(8))*time.Millisecond)
							if tenant.Tx(short, db, nil, func(tx *sql.Tx) error {
								_, err := tx.ExecContext(short, "INSERT INTO notes (body) VALUES ('lost'); SELECT pg_sleep(0.02)")
								return err
							}) != nil {
								canceled.Add(1)
							}
							cancel()
						case 3:
							if err := tenant.Tx(ctx, db, nil, func(tx *sql.Tx) error {
								_, err := tx.ExecContext(ctx, "INSERT INTO notes (tenant, body) VALUES ($1, 'planted')", mine+"x")
								return err
							}); err == nil {
								t.Error("a foreign row was added")
							}
						default:
							if err := tenant.Tx(ctx, db, nil, func(tx *sql.Tx) error { return randomQuery(ctx, tx, mine, &rows) }); err != nil && !errors.Is(err, driver.ErrBadConn) { // closed because of a canceled query
								t.Errorf("Tx error = %v", err)
							}
						}
					}
				})
			}
			work.Wait()
			t.Logf("%d queries, %d panics, %d canceled, %d rows seen", queries.Load(), panics.Load(), canceled.Load(), rows.Load())
			if panics.Load() == 0 || canceled.Load() == 0 || rows.Load() == 0 {
				t.Error("not everything was tried")
			}
		})
	}
}

// randomQuery does a query that would concern the rows of all tenants.
func randomQuery(ctx context.Context, tx *sql.Tx, mine string, seen *atomic.Int64) error {
	query := []string{
		"INSERT INTO notes (body) VALUES ('a'), ('b') RETURNING tenant",
		"SELECT tenant FROM notes WHERE body LIKE '%' OR true",
		"SELECT a.tenant FROM notes a FULL JOIN notes b ON true LIMIT 50",
		"UPDATE notes SET body = body || 'x' WHERE id % 3 = 0 RETURNING tenant",
		"DELETE FROM notes WHERE id % 7 = 0 RETURNING tenant",
		"SELECT tenant FROM (SELECT * FROM notes UNION ALL TABLE notes) AS x",
		"WITH x AS (DELETE FROM notes WHERE random() < 0.1 RETURNING *) SELECT tenant FROM x",
	}[rand.N(7)]
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var of string
		if err := rows.Scan(&of); err != nil {
			return err
		}
		if seen.Add(1); of != mine {
			return fmt.Errorf("%s as %s: a row of %s", query, mine, of)
		}
	}
	return rows.Err()
}

// The owner sees no foreign row either; a caller without a tenant gets no transaction.
func TestTenantIsRequired(t *testing.T) {
	t.Parallel()
	_, app := tenants(t)
	ctx := must(tenant.Job(t.Context(), "acme"))
	add := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO notes (body) VALUES ('ours')")
		return err
	}
	db := openPostgres(t, app)
	if err := tenant.Tx(ctx, db, nil, add); err != nil {
		t.Fatal(err)
	}
	if err := tenant.Tx(t.Context(), db, nil, add); !errors.Is(err, tenant.ErrNone) {
		t.Errorf("Tx without a tenant: error = %v", err)
	}
	failed := errors.New("f failed")
	if err := tenant.Tx(ctx, db, nil, func(tx *sql.Tx) error { return errors.Join(add(tx), failed) }); !errors.Is(err, failed) {
		t.Errorf("Tx error = %v, want that of f", err)
	}
	var n int
	if err := tenant.Tx(ctx, db, &sql.TxOptions{ReadOnly: true}, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM notes").Scan(&n)
	}); err != nil || n != 1 {
		t.Errorf("the tenant has %d rows, %v, want 1", n, err)
	}
	if err := tenant.Tx(ctx, db, nil, func(tx *sql.Tx) error { return tx.Commit() }); err == nil {
		t.Error("Tx whose f ends the transaction: no error")
	}
}

// CheckRows finds each hole that is planted.
func TestCheckRowsFindsPlantedHoles(t *testing.T) {
	t.Parallel()
	owner, app := tenants(t)
	db := openPostgres(t, app)
	check := func(shared ...string) string {
		t.Helper()
		err := tenant.CheckRows(t.Context(), db, shared...)
		if err == nil {
			return ""
		}
		return err.Error()
	}
	if got := check(); got != "" {
		t.Fatalf("CheckRows of a protected database: %s", got)
	}
	for _, hole := range []struct{ plant, remove, want string }{
		{"CREATE TABLE secrets (tenant text)", "DROP TABLE secrets", "public.secrets: has no row-level security"},
		{"CREATE SCHEMA other; CREATE TABLE other.x (tenant text)", "DROP SCHEMA other CASCADE", "other.x: has no row-level security"},
		{"ALTER TABLE notes NO FORCE ROW LEVEL SECURITY", "ALTER TABLE notes FORCE ROW LEVEL SECURITY", "public.notes: does not force"},
		{"ALTER TABLE notes DISABLE ROW LEVEL SECURITY", "ALTER TABLE notes ENABLE ROW LEVEL SECURITY", "public.notes: has no row-level security"},
		{"CREATE POLICY wide ON notes USING (true)", "DROP POLICY wide ON notes", "public.notes: has the permissive policy wide"},
		{"CREATE POLICY wide ON notes FOR INSERT WITH CHECK (true)", "DROP POLICY wide ON notes", "public.notes: has the permissive policy wide"},
		{"CREATE TABLE bare (tenant text); ALTER TABLE bare ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "DROP TABLE bare", "public.bare: has no permissive policy"},
		{
			"CREATE TABLE parts (tenant text) PARTITION BY LIST (tenant); CREATE TABLE part PARTITION OF parts DEFAULT;" + tenant.Protect("parts", "tenant"),
			"DROP TABLE parts", "public.part: has no row-level security",
		},
		{"CREATE VIEW all_notes AS TABLE notes", "DROP VIEW all_notes", "public.all_notes: is a view without security_invoker"},
		{"CREATE MATERIALIZED VIEW copies AS TABLE notes", "DROP MATERIALIZED VIEW copies", "public.copies: is a materialized view"},
		{"CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM notes'", "DROP FUNCTION f", "public.f: is a function with SECURITY DEFINER"},
		{"GRANT TRUNCATE ON notes TO app", "REVOKE TRUNCATE ON notes FROM app", "public.notes: the role may TRUNCATE it"},
		{"ALTER ROLE app BYPASSRLS", "ALTER ROLE app NOBYPASSRLS", "role app: has BYPASSRLS"},
		{"ALTER ROLE app SUPERUSER", "ALTER ROLE app NOSUPERUSER", "role app: is a superuser"},
		{"ALTER TABLE notes OWNER TO app", "ALTER TABLE notes OWNER TO gatehouse; REVOKE ALL ON notes FROM app; GRANT SELECT ON notes TO app", "public.notes: the role owns it"},
	} {
		statements(t, owner, hole.plant)
		if got := check(); !strings.Contains(got, hole.want) {
			t.Errorf("CheckRows after %s: %q, want %q", hole.plant, got, hole.want)
		}
		statements(t, owner, hole.remove)
		if got := check(); got != "" {
			t.Fatalf("CheckRows after %s: %s", hole.remove, got)
		}
	}
	statements(t, owner, "CREATE TABLE countries (code text)", "CREATE VIEW safe WITH (security_invoker = on) AS TABLE notes")
	if got := check("public.countries"); got != "" {
		t.Errorf("CheckRows with a shared table: %s", got)
	}
	db.Close()
	if check() == "" {
		t.Error("CheckRows of a closed database: no error")
	}
}
