// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// populateSessionsSQL inserts 5,000 sessions of 1,000 users; a tenth are expired.
var populateSessionsSQL = map[string]string{
	"pgx": `
INSERT INTO gatehouse_sessions (id, issuer, subject, sid, label, idle, created, last_seen, expires, ends, swept, version, principal, tokens)
SELECT 'id-' || n, 'issuer', 'subject' || n % 1000, 'sid' || n, '', 1800000000, now(), now(), now() + interval '12 hours',
	now() + (n % 1000 - 100) * interval '1 minute', now() + (n % 1000 - 40) * interval '1 minute', 1, '{}', repeat(md5(n::text), 40)
FROM generate_series(1, 5000) AS n`,
	"sqlite": `
INSERT INTO gatehouse_sessions (id, issuer, subject, sid, label, idle, created, last_seen, expires, ends, swept, version, principal, tokens)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 5000), clock AS (SELECT unixepoch() * 1000000 AS now)
SELECT 'id-' || n, 'issuer', 'subject' || n % 1000, 'sid' || n, '', 1800000000, now, now, now + 43200000000,
	now + (n % 1000 - 100) * 60000000, now + (n % 1000 - 40) * 60000000, 1, '{}', hex(randomblob(600))
FROM series, clock`,
}

// TestSessionPlans checks that the query plans use an index, so that the cost does
// not grow with the number of sessions.
func TestSessionPlans(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		sessions := newSessions(t, db)
		execute(t, db, populateSessionsSQL[driver], "ANALYZE")
		primary := "USING INDEX sqlite_autoindex_gatehouse_sessions_1 (id=?)"
		if driver == "pgx" {
			primary = "Index Scan using gatehouse_sessions_pkey"
		}
		check := func(what, want, query string, args ...any) {
			t.Helper()
			plan := explain(t, driver, db, query, args...)
			t.Logf("%s:\n%s", what, plan)
			if !strings.Contains(plan, want) {
				t.Errorf("%s: plan without %q:\n%s", what, want, plan)
			}
			for line := range strings.SplitSeq(plan, "\n") {
				if strings.Contains(line, "Seq Scan on gatehouse_sessions") || strings.HasPrefix(line, "SCAN gatehouse_sessions") && !strings.Contains(line, "USING") {
					t.Errorf("%s: the plan reads the whole table:\n%s", what, plan)
				}
			}
		}
		check("get", primary, sessions.GetSQL(), "id-7")
		check("touch", primary, sessions.TouchSQL(), "id-7", 60_000_000)
		check("swap", primary, sessions.SwapSQL(), "id-7", 1, "id-x", "{}", "sealed", 0)
		if driver == "pgx" { // in SQLite a trigger does it, which no plan shows
			check("create", "gatehouse_sessions_swept", sessions.CreateSQL(), "id-x", "i", "s", "d", "", 1, 1, "{}", "")
		}
		for _, test := range []struct {
			index string
			sel   session.Selector
		}{
			{"subject", session.Selector{Issuer: "issuer", Subject: "subject7"}},
			{"sid", session.Selector{Issuer: "issuer", SID: "sid7"}},
			{"sid", session.Selector{Issuer: "issuer", Subject: "subject7", SID: "sid7"}},
		} {
			query, args := sessions.ListSQL(test.sel, 50)
			check("list by "+test.index, "gatehouse_sessions_"+test.index, query, args...)
			query, args = sessions.DeleteAllSQL(test.sel)
			check("delete all by "+test.index, "gatehouse_sessions_"+test.index, query, args...)
		}
	})
}

// TestTouchIsHeapOnlyUpdate checks that Touch changes an indexed column once an
// hour only.
func TestTouchIsHeapOnlyUpdate(t *testing.T) {
	t.Parallel()
	server := enginetest.StartPostgres(t, "fsync=off", "autovacuum=off")
	db := open(t, "pgx", server.Database(t))
	db.SetMaxOpenConns(1) // so that the statistics are those of this connection
	sessions := newSessions(t, db)
	createSession(t, sessions, browser("a"), 12*time.Hour)
	const touches = 50
	for range touches {
		if touched, err := sessions.Touch(t.Context(), "a", 0); err != nil || !touched {
			t.Fatal(touched, err)
		}
	}
	execute(t, db, "SELECT pg_stat_force_next_flush()")
	var updates, hot int
	if err := db.QueryRowContext(t.Context(), "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'gatehouse_sessions'").Scan(&updates, &hot); err != nil {
		t.Fatal(err)
	}
	if updates != touches || hot < touches*8/10 {
		t.Errorf("%d of %d updates are heap-only, want at least 80%% of %d", hot, updates, touches)
	}
}
