// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// populateSQL inserts a given number of keys: of 100 tenants and of owners with
// ten keys each, a fifth of them revoked.
var populateSQL = map[string]string{
	"pgx": `
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, revoked, generation, uses, current_sum, current_pepper)
SELECT substr(md5(n::text), 1, 16), 'owner' || n / 10, 'tenant' || n % 100, 'live', 'reports:read reports:write', '', '{}', 7776000000000,
	now() - n * interval '1 second', now() - n * interval '1 second', now() + (n % 7776000) * interval '1 second',
	CASE WHEN n % 5 = 0 THEN now() END, 1, 0, sha256(n::text::bytea), 0
FROM generate_series(1, $1::bigint) AS n`,
	"sqlite": `
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, revoked, generation, uses, current_sum, current_pepper)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < ?1)
SELECT lower(hex(randomblob(8))), 'owner' || n / 10, 'tenant' || n % 100, 'live', 'reports:read reports:write', '', '{}', 7776000000000,
	unixepoch() * 1000000 - n * 1000000, unixepoch() * 1000000 - n * 1000000, unixepoch() * 1000000 + (n % 7776000) * 1000000,
	CASE WHEN n % 5 = 0 THEN unixepoch() * 1000000 END, 1, 0, randomblob(32), 0
FROM series`,
}

func populate(t testing.TB, driverName string, db *sql.DB, n int) *sqlstore.APIKeys {
	t.Helper()
	s := newStore(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{populateSQL[driverName], "ANALYZE"} {
		var args []any
		if strings.Contains(query, "INSERT") {
			args = append(args, n)
		}
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	return s.APIKeys()
}

// explain returns the plan of a statement: of PostgreSQL the generic one, which
// does not depend on the arguments.
func explain(t testing.TB, driverName string, db *sql.DB, query string, args ...any) string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	explained := "EXPLAIN QUERY PLAN " + query
	if driverName == "pgx" {
		literals := make([]string, len(args))
		for i, arg := range args {
			literals[i] = "'" + fmt.Sprint(arg) + "'"
		}
		for _, setup := range []string{
			"SET plan_cache_mode = force_generic_plan", "DEALLOCATE ALL", "PREPARE query AS " + query,
		} {
			if _, err := conn.ExecContext(t.Context(), setup); err != nil {
				t.Fatal(err)
			}
		}
		explained, args = "EXPLAIN (COSTS OFF) EXECUTE query("+strings.Join(literals, ", ")+")", nil
	}
	rows, err := conn.QueryContext(t.Context(), explained, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused, line string
		dest := []any{&line}
		if driverName == "sqlite" {
			dest = []any{&id, &parent, &unused, &line}
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// checkPlans checks the plans of the queries whose cost must not grow with the
// number of keys.
func checkPlans(t *testing.T, driverName string, db *sql.DB, keys *sqlstore.APIKeys) {
	t.Helper()
	primary, using := "USING PRIMARY KEY (id=?)", "USING INDEX "
	if driverName == "pgx" {
		primary, using = "Index Scan using gatehouse_apikeys_pkey", " using "
	}
	check := func(what, want, query string, args ...any) {
		t.Helper()
		plan := explain(t, driverName, db, query, args...)
		t.Logf("%s:\n%s", what, plan)
		if !strings.Contains(plan, want) {
			t.Errorf("%s: want %q in the plan:\n%s", what, want, plan)
		}
		for _, bad := range []string{"Seq Scan", "Sort", "SCAN gatehouse_apikeys\n", "TEMP B-TREE"} {
			if strings.Contains(plan, bad) {
				t.Errorf("%s: do not want %q in the plan:\n%s", what, bad, plan)
			}
		}
	}
	check("find", primary, keys.FindSQL(), "0123456789abcdef")
	after := apikey.Position{Time: time.Now(), ID: "0123456789abcdef"}
	for _, test := range []struct {
		index string
		query apikey.Query
	}{
		{"gatehouse_apikeys_created", apikey.Query{Filter: apikey.Filter{AnyTenant: true}, After: after}},
		{"gatehouse_apikeys_tenant", apikey.Query{Filter: apikey.Filter{Tenant: "tenant7"}, After: after}},
		{"gatehouse_apikeys_owner", apikey.Query{Filter: apikey.Filter{Tenant: "tenant7", Owner: "owner7"}, After: after}},
		{"gatehouse_apikeys_due", apikey.Query{Filter: apikey.Filter{AnyTenant: true}, ExpiresWithin: time.Hour, After: after}},
		{"gatehouse_apikeys_tenant_due", apikey.Query{Filter: apikey.Filter{Tenant: "tenant7"}, ExpiresWithin: time.Hour, After: after}},
	} {
		test.query.Limit = 50
		query, args := keys.ListSQL(test.query)
		check(fmt.Sprintf("list %+v", test.query), using+test.index+" ", query, args...)
	}
	query, args := keys.RevokeAllSQL(apikey.Filter{Tenant: "tenant7"}, 500)
	plan := explain(t, driverName, db, query, args...)
	t.Logf("revoke all:\n%s", plan)
	if strings.Contains(plan, "Seq Scan on gatehouse_apikeys") || strings.Contains(plan, "SCAN gatehouse_apikeys\n") {
		t.Errorf("RevokeAll scans the table:\n%s", plan)
	}
}

// TestLookupTimeIsConstant checks the query plans with many keys and compares the
// time of a lookup among them with that among a thousand. GATEHOUSE_SCALE is the
// number of keys, 5,000 by default.
func TestLookupTimeIsConstant(t *testing.T) {
	many := 5_000
	if text := os.Getenv("GATEHOUSE_SCALE"); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			t.Fatalf("GATEHOUSE_SCALE: %v", err)
		}
	}
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		sizes := []int{1000, many}
		keys := make([]*sqlstore.APIKeys, len(sizes))
		ids := make([][]string, len(sizes))
		for i, n := range sizes {
			driverName, dsn := database(t)
			db := open(t, driverName, dsn)
			keys[i] = populate(t, driverName, db, n)
			if i > 0 {
				checkPlans(t, driverName, db, keys[i])
			}
			rows, err := db.QueryContext(t.Context(), "SELECT id FROM gatehouse_apikeys ORDER BY random() LIMIT 200")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var id string
				if err := rows.Scan(&id); err != nil {
					t.Fatal(err)
				}
				ids[i] = append(ids[i], id)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
		}
		// Interleaved, so that other load on the machine affects both.
		const passes = 9
		times := make([][]time.Duration, len(sizes))
		for range passes {
			for i := range sizes {
				start := time.Now()
				for _, id := range ids[i] {
					if _, err := keys[i].Find(t.Context(), id); err != nil {
						t.Fatal(err)
					}
				}
				times[i] = append(times[i], time.Since(start)/time.Duration(len(ids[i])))
			}
		}
		var ratios []float64
		for pass := range passes {
			ratios = append(ratios, float64(times[1][pass])/float64(times[0][pass]))
		}
		for i := range times {
			slices.Sort(times[i])
		}
		slices.Sort(ratios)
		t.Logf("a lookup among %d keys takes %v, among %d keys %v: ratio %.2f (%.2f to %.2f)", sizes[0], times[0][passes/2],
			sizes[1], times[1][passes/2], ratios[passes/2], ratios[0], ratios[passes-1])
		if ratios[passes/2] > 3 {
			t.Errorf("the time of a lookup grows with the number of keys: ratio %.2f, want at most 3", ratios[passes/2])
		}
	})
}
