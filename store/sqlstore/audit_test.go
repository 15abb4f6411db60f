// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

var _, auditKey, _ = ed25519.GenerateKey(nil)

func newRecorder(t testing.TB, s *sqlstore.Store) *audit.Recorder {
	t.Helper()
	r, err := audit.NewRecorder(s.Audit(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Several stores write to one table: each record gets the next number, in the JSON
// too, and the records verify. The owner of the table can change one, which is found.
func TestAuditOfSeveralWriters(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		s, db := migrated(t, driver, dsn)
		const writers, each = 3, 20
		var group sync.WaitGroup
		for i := range writers {
			r := newRecorder(t, newStore(t, open(t, driver, dsn)))
			group.Go(func() {
				for j := range each {
					e := gatehouse.Event{Type: "report_read", Principal: gatehouse.Principal{Subject: fmt.Sprintf("s%d-%d\x00é", i, j)}}
					if err := r.Observe(t.Context(), e); err != nil {
						t.Errorf("Observe() error = %v, want nil", err)
					}
				}
			})
		}
		group.Wait()
		last := ""
		for record, err := range s.Audit().Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			last = string(record)
		}
		if !strings.HasPrefix(last, `{"seq":59,"time":"`) || !strings.Contains(last, `\u0000é`) {
			t.Errorf("last record = %s, want the number 59 and the subject", last)
		}
		point, err := audit.SignRecords(s.Audit().Records(t.Context()), "example.com/audit", auditKey)
		if err != nil {
			t.Fatal(err)
		}
		verify := func() (int64, int64, error) {
			return audit.VerifyRecords(s.Audit().Records(t.Context()), auditKey.Public(), point)
		}
		if total, signed, err := verify(); total != writers*each || signed != total || err != nil {
			t.Errorf("VerifyRecords() = %d, %d, %v, want 60, 60, nil", total, signed, err)
		}
		dropAuditTriggers(t, driver, s, db)
		execute(t, db, "UPDATE gatehouse_audit SET record = replace(record, 's0-7', 's0-8')")
		_, _, err = verify()
		if fault, ok := errors.AsType[*audit.Fault](err); !ok || fault.Problem != audit.Rewritten {
			t.Errorf("VerifyRecords() of a changed record: error = %v, want Rewritten", err)
		}
	})
}

// dropAuditTriggers removes the protection against changes, which Check reports.
func dropAuditTriggers(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
	t.Helper()
	statements := []string{
		"ALTER TABLE gatehouse_audit ENABLE REPLICA TRIGGER gatehouse_audit_inserted",
		"DROP TRIGGER gatehouse_audit_changed ON gatehouse_audit",
	}
	if driver == "sqlite" {
		statements = []string{"DROP TRIGGER gatehouse_audit_deleted", "DROP TRIGGER gatehouse_audit_updated"}
	}
	wantErrorNot(t, "Check with triggers", s.Check(t.Context()), "audit records can be changed")
	for _, statement := range statements {
		execute(t, db, statement)
		wantError(t, "Check after "+statement, s.Check(t.Context()), "audit records can be changed")
	}
}

func wantErrorNot(t *testing.T, call string, err error, not string) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), not) {
		t.Errorf("%s: error = %v, want none with %q", call, err, not)
	}
}

func TestAuditRefusesChanges(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		// Two pages of Records and a part.
		rows := "INSERT INTO gatehouse_audit (record) SELECT '{\"type\":\"a\"}' FROM generate_series(0, 2099)"
		changes := []string{
			"TRUNCATE gatehouse_audit",
			"UPDATE gatehouse_audit SET seq = seq WHERE false",
		}
		if driver == "sqlite" {
			rows = `WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 2099)
				INSERT INTO gatehouse_audit (seq, record) SELECT n, '{"seq":' || n || ',"type":"a"}' FROM r`
			changes = []string{
				"INSERT OR REPLACE INTO gatehouse_audit (seq, record) VALUES (5, '{}')",
				"INSERT INTO gatehouse_audit (seq, record) VALUES (2101, '{}')",
				"INSERT INTO gatehouse_audit (seq, record) VALUES (-1, '{}')",
				"INSERT INTO gatehouse_audit (record) VALUES ('{}')",
			}
		}
		execute(t, db, rows)
		changes = append(changes,
			"UPDATE gatehouse_audit SET record = '{}' WHERE seq = 5",
			"DELETE FROM gatehouse_audit WHERE seq = 2099",
			"INSERT INTO gatehouse_audit (seq, record) VALUES (5, '{}') ON CONFLICT (seq) DO UPDATE SET record = '{}'")
		for _, change := range changes {
			if _, err := db.ExecContext(t.Context(), change); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: error = %v, want append-only", change, err)
			}
		}
		point, err := audit.SignRecords(s.Audit().Records(t.Context()), "example.com/audit", auditKey)
		if err != nil || !strings.HasPrefix(string(point), "example.com/audit\n2100\n") {
			t.Errorf("SignRecords() = %q, %v, want 2100 records", point, err)
		}
		for record, err := range s.Audit().Records(t.Context()) {
			if want := `{"seq":0,"type":"a"}`; err != nil || string(record) != want {
				t.Errorf("first record = %s, %v, want %s", record, err, want)
			}
			break
		}
	})
}

// A record that the database does not keep is an error.
func TestAuditFailsClosed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		wantError(t, "Append of text", s.Audit().Append(t.Context(), []byte("text")), "want a JSON object")
		discard := []string{
			"CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
			"CREATE TRIGGER a BEFORE INSERT ON gatehouse_audit FOR EACH ROW EXECUTE FUNCTION discard()",
		}
		if driver == "sqlite" {
			discard = []string{"CREATE TRIGGER a BEFORE INSERT ON gatehouse_audit BEGIN SELECT RAISE(IGNORE); END"}
		}
		execute(t, db, discard...)
		r := newRecorder(t, s)
		e := gatehouse.Event{Type: "report_read"}
		wantError(t, "Observe of a discarded record", r.Observe(t.Context(), e), "discarded")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		wantError(t, "Observe without a database", r.Observe(t.Context(), e), "append audit record")
		for _, err := range s.Audit().Records(t.Context()) {
			wantError(t, "Records without a database", err, "read audit records")
		}
	})
}

// The rights to SELECT and INSERT are enough to record, and others cannot remove the
// triggers.
func TestAuditRights(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	_, db := migrated(t, "pgx", url)
	execute(t, db, "CREATE ROLE recorder", "GRANT SELECT, INSERT ON gatehouse_audit TO recorder", "GRANT SELECT ON gatehouse_migrations TO recorder")
	limited := open(t, "pgx", url+"&role=recorder")
	s := newStore(t, limited)
	if err := newRecorder(t, s).Observe(t.Context(), gatehouse.Event{Type: "report_read"}); err != nil {
		t.Errorf("Observe() with the rights to SELECT and INSERT: error = %v, want nil", err)
	}
	wantErrorNot(t, "Check", s.Check(t.Context()), "audit")
	for _, change := range []string{
		"DROP TRIGGER gatehouse_audit_changed ON gatehouse_audit",
		"UPDATE gatehouse_audit SET record = ''",
		"CREATE OR REPLACE FUNCTION gatehouse_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
	} {
		if _, err := limited.ExecContext(t.Context(), change); err == nil {
			t.Errorf("%s: error = nil", change)
		}
	}
}
