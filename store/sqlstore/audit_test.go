// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"bytes"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

var _, auditKey, _ = ed25519.GenerateKey(nil)

func auditSealer(t testing.TB) *audit.Sealer {
	t.Helper()
	seal := must(audit.NewSealer("example.com/audit", gatehouse.NewSecret(bytes.Repeat([]byte("s"), 32))))(t)
	return seal
}

func newRecorder(t testing.TB, s *sqlstore.Store) *audit.Recorder {
	t.Helper()
	r := must(audit.NewRecorder(s.Audit(auditSealer(t)), 0))(t)
	return r
}

// Several stores write to one table: each record gets the next number, in the JSON
// too, and the records verify.
func TestAuditOfSeveralWriters(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		s, _ := migrated(t, driver, dsn)
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
		for record, err := range s.Audit(nil).Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			last = string(record)
		}
		if !strings.HasPrefix(last, `{"seq":59,"time":"`) || !strings.Contains(last, `\u0000é`) {
			t.Errorf("last record = %s, want the number 59 and the subject", last)
		}
		if total, signed, err := verifyAudit(t, s, signAudit(t, s)); total != writers*each || signed != total || err != nil {
			t.Errorf("VerifyRecords() = %d, %d, %v, want 60, 60, nil", total, signed, err)
		}
	})
}

func signAudit(t *testing.T, s *sqlstore.Store) []byte {
	t.Helper()
	point := must(audit.SignRecords(s.Audit(nil).Records(t.Context()), auditSealer(t), auditKey))(t)
	return point
}

func verifyAudit(t *testing.T, s *sqlstore.Store, point []byte) (int64, int64, error) {
	t.Helper()
	return audit.VerifyRecords(s.Audit(nil).Records(t.Context()), auditSealer(t), auditKey.Public(), point)
}

// What the owner of the table changes without the secret is named, record by record: see the
// tests of audit.VerifyRecords. The triggers do not matter then.
func TestAuditNamesChangedRecord(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		r := newRecorder(t, s)
		var point []byte
		for i := range 11 {
			if i == 10 {
				point = signAudit(t, s)
			}
			if err := r.Observe(t.Context(), gatehouse.Event{Type: "report_read", Principal: gatehouse.Principal{Subject: fmt.Sprintf("s%d", i)}}); err != nil {
				t.Fatal(err)
			}
		}
		dropAuditTriggers(t, driver, s, db)
		execute(t, db, "CREATE TABLE kept AS SELECT seq, record FROM gatehouse_audit")
		for _, c := range []struct {
			name, change string
			want         *audit.Fault
		}{
			{"unchanged", "SELECT 1", nil},
			{"changed", "UPDATE gatehouse_audit SET record = replace(record, 's7', 's8') WHERE seq = 7", &audit.Fault{First: 7, Problem: audit.Changed}},
			{"changed behind the checkpoint", "UPDATE gatehouse_audit SET record = replace(record, 's10', 's11') WHERE seq = 10", &audit.Fault{First: 10, Problem: audit.Changed}},
			{"deleted", "DELETE FROM gatehouse_audit WHERE seq = 4", &audit.Fault{First: 4, Problem: audit.Missing}},
			{"truncated", "DELETE FROM gatehouse_audit WHERE seq >= 8", &audit.Fault{First: 8, Problem: audit.Missing}},
		} {
			execute(t, db, c.change)
			total, _, err := verifyAudit(t, s, point)
			got, _ := errors.AsType[*audit.Fault](err)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil && got == nil {
				t.Errorf("%s: VerifyRecords() = %d, %v (-want +got):\n%s", c.name, total, err, diff)
			}
			if _, err := audit.SignRecords(s.Audit(nil).Records(t.Context()), auditSealer(t), auditKey, point); (err == nil) != (c.want == nil) {
				t.Errorf("%s: SignRecords() error = %v, want %v", c.name, err, c.want)
			}
			execute(t, db, "DELETE FROM gatehouse_audit", "INSERT INTO gatehouse_audit (seq, record) SELECT seq, record FROM kept ORDER BY seq")
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
		statements = []string{"DROP TRIGGER gatehouse_audit_deleted", "DROP TRIGGER gatehouse_audit_updated", "DROP TRIGGER gatehouse_audit_inserted"}
	}
	wantErrorNot(t, "Check with triggers", s.Check(t.Context()), "audit records can be changed")
	for _, statement := range statements {
		execute(t, db, statement)
		wantError(t, "Check after "+statement, s.Check(t.Context()), "audit records can be changed")
	}
}

func TestAuditRefusesChanges(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		// Two pages of Records and a part.
		rows := `INSERT INTO gatehouse_audit (seq, record) SELECT n, '{"seq":' || n || ',"type":"a"}' FROM generate_series(0, 2099) AS n`
		changes := []string{
			"TRUNCATE gatehouse_audit",
			"UPDATE gatehouse_audit SET seq = seq WHERE false",
		}
		if driver == "sqlite" {
			rows = `WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 2099)
				INSERT INTO gatehouse_audit (seq, record) SELECT n, '{"seq":' || n || ',"type":"a"}' FROM r`
			changes = []string{"INSERT OR REPLACE INTO gatehouse_audit (seq, record) VALUES (5, '{}')"}
		}
		execute(t, db, rows)
		changes = append(changes,
			"INSERT INTO gatehouse_audit (seq, record) VALUES (2101, '{}')",
			"INSERT INTO gatehouse_audit (seq, record) VALUES (-1, '{}')",
			"INSERT INTO gatehouse_audit (record) VALUES ('{}')",
			"UPDATE gatehouse_audit SET record = '{}' WHERE seq = 5",
			"DELETE FROM gatehouse_audit WHERE seq = 2099",
			"INSERT INTO gatehouse_audit (seq, record) VALUES (5, '{}') ON CONFLICT (seq) DO UPDATE SET record = '{}'")
		for _, change := range changes {
			if _, err := db.ExecContext(t.Context(), change); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: error = %v, want append-only", change, err)
			}
		}
		n := 0
		for record, err := range s.Audit(nil).Records(t.Context()) {
			if want := fmt.Sprintf(`{"seq":%d,"type":"a"}`, n); err != nil || string(record) != want {
				t.Fatalf("record %d = %s, %v, want %s", n, record, err, want)
			}
			n++
		}
		if n != 2100 {
			t.Errorf("Records() has %d records, want 2100", n)
		}
		for _, err := range s.Audit(nil).Records(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			break
		}
	})
}

// A record that the database does not keep is an error.
func TestAuditFailsClosed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		wantError(t, "Append of text", s.Audit(auditSealer(t)).Append(t.Context(), []byte("text")), "want a JSON object")
		wantError(t, "Append without a sealer", s.Audit(nil).Append(t.Context(), []byte(`{"a":1}`)), "sealer: required")
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
		for _, err := range s.Audit(nil).Records(t.Context()) {
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
