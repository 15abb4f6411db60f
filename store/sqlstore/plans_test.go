// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// populateKeysSQL inserts a number of keys, of 100 tenants and of owners with ten keys
// each, a fifth of them revoked.
var populateKeysSQL = map[string]string{
	"pgx": `
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, revoked, generation, uses, current_sum, current_pepper)
SELECT substr(md5(n::text), 1, 16), 'owner' || n / 10, 'tenant' || n %% 100, 'live', 'reports:read reports:write', '', '{}', 7776000000000,
	now() - n * interval '1 second', now() - n * interval '1 second', now() + (n %% 7776000) * interval '1 second',
	CASE WHEN n %% 5 = 0 THEN now() END, 1, 0, sha256(n::text::bytea), 0
FROM generate_series(1, %d) AS n`,
	"sqlite": `
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, revoked, generation, uses, current_sum, current_pepper)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %d)
SELECT lower(hex(randomblob(8))), 'owner' || n / 10, 'tenant' || n %% 100, 'live', 'reports:read reports:write', '', '{}', 7776000000000,
	unixepoch() * 1000000 - n * 1000000, unixepoch() * 1000000 - n * 1000000, unixepoch() * 1000000 + (n %% 7776000) * 1000000,
	CASE WHEN n %% 5 = 0 THEN unixepoch() * 1000000 END, 1, 0, randomblob(32), 0
FROM series`,
}

// populateSQL creates 5,000 families of 1,000 subjects and 500 clients, as many
// revocations, and as many sessions of 1,000 users, of which a tenth are expired.
var populateSQL = map[string][]string{
	"pgx": {`
INSERT INTO gatehouse_families (id, subject, client, tenant, scopes, metadata, created, expires, generation, outcome, key_sum, current_sum)
SELECT 'id-' || n, 'subject-' || n % 1000, 'client-' || n % 500, '', '', '{}', now(), now() + interval '1 hour', 1, '',
	sha256(n::text::bytea), sha256(n::text::bytea)
FROM generate_series(1, 5000) AS n`, `
INSERT INTO gatehouse_revocations SELECT 'i', 'sub', n::text, now(), now() + interval '1 hour' FROM generate_series(1, 5000) AS n`, `
INSERT INTO gatehouse_sessions (id, issuer, subject, sid, label, idle, created, last_seen, expires, ends, swept, version, principal, tokens)
SELECT 'id-' || n, 'issuer', 'subject' || n % 1000, 'sid' || n, '', 1800000000, now(), now(), now() + interval '12 hours',
	now() + (n % 1000 - 100) * interval '1 minute', now() + (n % 1000 - 40) * interval '1 minute', 1, '{}', repeat(md5(n::text), 40)
FROM generate_series(1, 5000) AS n`, "ANALYZE"},
	"sqlite": {`
INSERT INTO gatehouse_families (id, subject, client, tenant, scopes, metadata, created, expires, generation, outcome, key_sum, current_sum)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 5000)
SELECT 'id-' || n, 'subject-' || n % 1000, 'client-' || n % 500, '', '', '{}', 1, 9000000000000000, 1, '', randomblob(32), randomblob(32)
FROM series`, `
INSERT INTO gatehouse_revocations
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 5000)
SELECT 'i', 'sub', CAST(n AS TEXT), 1, 9000000000000000 FROM series`, `
INSERT INTO gatehouse_sessions (id, issuer, subject, sid, label, idle, created, last_seen, expires, ends, swept, version, principal, tokens)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 5000), clock AS (SELECT unixepoch() * 1000000 AS now)
SELECT 'id-' || n, 'issuer', 'subject' || n % 1000, 'sid' || n, '', 1800000000, now, now, now + 43200000000,
	now + (n % 1000 - 100) * 60000000, now + (n % 1000 - 40) * 60000000, 1, '{}', hex(randomblob(600))
FROM series, clock`, "ANALYZE"},
}

// primaryKeys are the names of SQLite for the primary keys of Postgres.
var primaryKeys = strings.NewReplacer("gatehouse_apikeys_pkey", "USING PRIMARY KEY (id=?)", "gatehouse_families_pkey", "USING PRIMARY KEY (id=?)",
	"gatehouse_sessions_pkey", "USING INDEX sqlite_autoindex_gatehouse_sessions_1 (id=?)",
	"gatehouse_revocations_pkey", "USING PRIMARY KEY (issuer=? AND kind=? AND value=?)")

// scale returns GATEHOUSE_SCALE, a number of keys, 0 if it is empty.
func scale(t *testing.T) (keys int) {
	t.Helper()
	if text := os.Getenv("GATEHOUSE_SCALE"); text != "" {
		keys = must(strconv.Atoi(text))(t)
	}
	return keys
}

// TestPlans checks that the statements of requests and lists use the primary keys and
// indexes, also among GATEHOUSE_SCALE keys.
func TestPlans(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		execute(t, db, fmt.Sprintf(populateKeysSQL[driver], max(scale(t), 5000)))
		execute(t, db, populateSQL[driver]...)
		for name, p := range s.Plans() {
			plan := explain(t, driver, db, p.Query, p.Args...)
			index, bad := "gatehouse_"+p.Index, []string{"Seq Scan on gatehouse", "SCAN gatehouse"}
			if driver == "sqlite" {
				index = primaryKeys.Replace(index)
			}
			if strings.HasPrefix(name, "list keys") {
				bad = append(bad, "Sort", "TEMP B-TREE")
			}
			if n := strings.Count(plan, index); n < p.Lookups {
				t.Errorf("%s: the plan has %q %d times, want %d:\n%s", name, index, n, p.Lookups, plan)
			}
			for _, not := range bad {
				if strings.Contains(plan, not) {
					t.Errorf("%s: the plan has %q:\n%s", name, not, plan)
				}
			}
		}
	})
}

// explain returns the plan of a statement: of PostgreSQL the generic one, which
// does not depend on the arguments.
func explain(t testing.TB, driverName string, db *sql.DB, query string, args ...any) string {
	t.Helper()
	conn := must(db.Conn(t.Context()))(t)
	defer conn.Close()
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }() // ends the connection, with its statement
	explained := "EXPLAIN QUERY PLAN " + query
	if driverName == "pgx" {
		literals := make([]string, len(args))
		for i, arg := range args {
			literals[i] = "'" + fmt.Sprint(arg) + "'"
		}
		for _, setup := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE query AS " + query} {
			must(conn.ExecContext(t.Context(), setup))(t)
		}
		explained, args = "EXPLAIN (COSTS OFF) EXECUTE query("+strings.Join(literals, ", ")+")", nil
	}
	rows := must(conn.QueryContext(t.Context(), explained, args...))(t)
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

// TestLookupTimeIsConstant compares the time of a lookup among GATEHOUSE_SCALE keys with
// that among a thousand.
func TestLookupTimeIsConstant(t *testing.T) {
	many := scale(t)
	if many == 0 {
		t.Skip("a measurement: set GATEHOUSE_SCALE to a number of keys; TestPlans checks what it depends on")
	}
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		sizes := [2]int{1000, many}
		var keys [2]*sqlstore.APIKeys
		var ids [2][]string
		for i, n := range sizes {
			driverName, dsn := database(t)
			s, db := migrated(t, driverName, dsn)
			execute(t, db, fmt.Sprintf(populateKeysSQL[driverName], n), "ANALYZE")
			keys[i] = s.APIKeys()
			ids[i] = strings.Fields(query[string](t, db, "SELECT string_agg(id, ' ') FROM (SELECT id FROM gatehouse_apikeys ORDER BY random() LIMIT 200) AS some"))
		}
		// Interleaved, so that other load on the machine affects both.
		const passes = 9
		var times [2][]time.Duration
		var ratios []float64
		for pass := range passes {
			for i := range sizes {
				start := time.Now()
				for _, id := range ids[i] {
					must(keys[i].Find(t.Context(), id))(t)
				}
				times[i] = append(times[i], time.Since(start)/time.Duration(len(ids[i])))
			}
			ratios = append(ratios, float64(times[1][pass])/float64(times[0][pass]))
		}
		slices.Sort(times[0])
		slices.Sort(times[1])
		slices.Sort(ratios)
		t.Logf("a lookup among %d keys takes %v, among %d keys %v: ratio %.2f (%.2f to %.2f)", sizes[0], times[0][passes/2],
			sizes[1], times[1][passes/2], ratios[passes/2], ratios[0], ratios[passes-1])
		if ratios[passes/2] > 3 {
			t.Errorf("the time of a lookup grows with the number of keys: ratio %.2f, want at most 3", ratios[passes/2])
		}
	})
}

// TestTouchIsHeapOnlyUpdate checks that Touch changes an indexed column once an
// hour only.
func TestTouchIsHeapOnlyUpdate(t *testing.T) {
	t.Parallel()
	server := enginetest.StartPostgres(t, "fsync=off", "autovacuum=off")
	s, db := migrated(t, "pgx", server.Database(t))
	db.SetMaxOpenConns(1) // so that the statistics are those of this connection
	sessions := s.Sessions()
	createSession(t, sessions, browser("a"), 12*time.Hour)
	const touches = 50
	for range touches {
		if touched, err := sessions.Touch(t.Context(), "a", 0); err != nil || !touched {
			t.Fatal(touched, err)
		}
	}
	execute(t, db, "SELECT pg_stat_force_next_flush()")
	const counts = " FROM pg_stat_user_tables WHERE relname = 'gatehouse_sessions'"
	updates, hot := query[int](t, db, "SELECT n_tup_upd"+counts), query[int](t, db, "SELECT n_tup_hot_upd"+counts)
	if updates != touches || hot < touches*8/10 {
		t.Errorf("%d of %d updates are heap-only, want at least 80%% of %d", hot, updates, touches)
	}
}
