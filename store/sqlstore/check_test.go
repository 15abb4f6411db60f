// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/session/sessiontest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func TestCheckSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.db")
	good := sqlstore.SQLiteDSN(path)
	check := func(dsn string) error { return newStore(t, open(t, "sqlite", dsn)).Check(t.Context()) }
	wants := func(dsn, want string) {
		t.Helper()
		if want == "" {
			wantError(t, "Check of "+dsn, check(dsn), "")
		} else {
			wantUnsuitable(t, "Check of "+dsn, check(dsn), want)
		}
	}
	wants(good, "call Migrate first")
	_, db := migrated(t, "sqlite", good)
	wants(good, "")
	wants("file:"+path, "busy_timeout is 0s")
	wants(strings.Replace(good, "FULL", "NORMAL", 1), "synchronous is 1")
	wants(good+"&_pragma=query_only(1)", "query_only is 1, which must be off")
	execute(t, db, "DROP TRIGGER gatehouse_families_added")
	wants(good, "gatehouse_families_added: missing or disabled")
	other := strings.Replace(sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "other.db")), "WAL", "DELETE", 1)
	migrated(t, "sqlite", other)
	wants(other, "journal_mode is delete")
}

// TestReadOnlySQLite: Check and Migrate say why a file cannot be written.
func TestReadOnlySQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.db")
	good := sqlstore.SQLiteDSN(path)
	execute(t, open(t, "sqlite", good), "CREATE TABLE other (id)")
	wantUnsuitable(t, "Migrate with mode=ro", newStore(t, open(t, "sqlite", good+"&mode=ro")).Migrate(t.Context()), "remove mode=ro")
	s, _ := migrated(t, "sqlite", good)
	wantError(t, "Check", s.Check(t.Context()), "")
	for _, parameter := range []string{"mode=ro", "immutable=1"} {
		err := newStore(t, open(t, "sqlite", good+"&"+parameter)).Check(t.Context())
		wantUnsuitable(t, "Check with "+parameter, err, "the database is read-only, which it must not be: otherwise every change fails: remove mode=ro and immutable=1")
	}
	if os.Geteuid() == 0 {
		return // permissions do not apply to root
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	wantUnsuitable(t, "Check without the right to write", newStore(t, open(t, "sqlite", good)).Check(t.Context()), "the right to write the file")
}

func TestCheckPostgres(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	durable := enginetest.StartPostgres(t)
	url := durable.Database(t)
	s := newStore(t, open(t, "pgx", url))
	wantError(t, "Check without tables", s.Check(t.Context()), "call Migrate first")
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantError(t, "Check of a durable server", s.Check(t.Context()), "")
	err := newStore(t, open(t, "pgx", url+"&synchronous_commit=off")).Check(t.Context())
	wantError(t, "Check without synchronous_commit", err, "synchronous_commit is off")
	execute(t, open(t, "pgx", url), "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
		"CREATE ROLE reader", "GRANT SELECT ON gatehouse_migrations TO reader")
	err = newStore(t, open(t, "pgx", url+"&role=reader")).Check(t.Context())
	wantError(t, "Check by a role that may read the versions only", err, "")
	err = newStore(t, open(t, "pgx", strings.Replace(url, "/test1?", "/latin?", 1))).Check(t.Context())
	wantError(t, "Check of a LATIN1 database", err, "server_encoding is LATIN1")

	unsafe := enginetest.StartPostgres(t, "fsync=off", "full_page_writes=off")
	err = newStore(t, open(t, "pgx", unsafe.Database(t))).Check(t.Context())
	for _, want := range []string{"fsync is off", "full_page_writes is off"} {
		wantError(t, "Check of a server that is not durable", err, want)
	}
	durable.Kill(t)
	if err := s.Check(t.Context()); err == nil || errors.Is(err, sqlstore.ErrUnsuitable) {
		t.Errorf("Check() of a server that is down: error = %v, want another one than %v", err, sqlstore.ErrUnsuitable)
	}
}

// Check names what makes changes fail or lose their effect.
func TestCheckPostgresSettings(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	s, db := migrated(t, "pgx", url)
	for _, test := range []struct{ name, parameter, want string }{
		{"read-only default", "default_transaction_read_only=on", "default_transaction_read_only is on, which must be off"},
		{"serializable default", "default_transaction_isolation=serializable", "default_transaction_isolation is serializable, which must be read committed"},
		{"repeatable read default", "default_transaction_isolation=repeatable%20read", "default_transaction_isolation is repeatable read"},
		{"triggers off", "session_replication_role=replica", "session_replication_role is replica"},
	} {
		wantUnsuitable(t, "Check with "+test.name, newStore(t, open(t, "pgx", url+"&"+test.parameter)).Check(t.Context()), test.want)
	}
	for _, change := range []struct{ damage, repair, want string }{
		{"ALTER TABLE gatehouse_sessions SET UNLOGGED", "ALTER TABLE gatehouse_sessions SET LOGGED", "UNLOGGED tables is gatehouse_sessions, which must be none"},
		{"ALTER TABLE gatehouse_apikeys DISABLE TRIGGER USER", "ALTER TABLE gatehouse_apikeys ENABLE TRIGGER USER", "gatehouse_apikeys_updated, gatehouse_apikeys_deleted, gatehouse_apikeys_added: missing or disabled"},
		{"ALTER TABLE gatehouse_families ENABLE REPLICA TRIGGER gatehouse_families_added", "ALTER TABLE gatehouse_families ENABLE TRIGGER gatehouse_families_added", "gatehouse_families_added: missing or disabled"},
		{"DROP TRIGGER gatehouse_replays_added ON gatehouse_replays", "", "gatehouse_replays_added: missing or disabled"},
	} {
		execute(t, db, change.damage)
		wantUnsuitable(t, "Check after "+change.damage, s.Check(t.Context()), change.want)
		if change.repair != "" {
			execute(t, db, change.repair)
			wantErrorNot(t, "Check after "+change.repair, s.Check(t.Context()), change.want)
		}
	}
}

// Migrate does not wait longer than the timeout of the store for a process that hangs.
func TestMigrateObeysTimeout(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		conn := must(open(t, driver, dsn).Conn(t.Context()))(t)
		defer conn.Close()
		begin, lock := "BEGIN IMMEDIATE", "CREATE TABLE x (a INTEGER)"
		if driver == "pgx" {
			begin, lock = "BEGIN", "SELECT pg_advisory_xact_lock(x'67617465686f7573'::bigint)"
		}
		for _, statement := range []string{begin, lock} {
			must(conn.ExecContext(t.Context(), statement))(t)
		}
		s := withTimeout(t, open(t, driver, dsn), 300*time.Millisecond)
		ended := make(chan error, 1)
		go func() { ended <- s.Migrate(t.Context()) }()
		select {
		case err := <-ended:
			if err == nil {
				t.Error("Migrate() beside a process that hangs: error = nil")
			}
		case <-time.After(time.Minute):
			t.Error("Migrate() beside a process that hangs does not return within a minute")
		}
	})
}

// Migrate says which setting makes it fail, and needs no right to create tables if they
// are there.
func TestMigrateReportsReason(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	readOnly := url + "&default_transaction_read_only=on"
	err := newStore(t, open(t, "pgx", readOnly)).Migrate(t.Context())
	wantUnsuitable(t, "Migrate of a read-only database", err, "default_transaction_read_only is on")
	db := open(t, "pgx", url)
	execute(t, db, "CREATE ROLE app", "REVOKE CREATE ON SCHEMA public FROM app")
	app := url + "&role=app"
	wantUnsuitable(t, "Migrate without the right", newStore(t, open(t, "pgx", app)).Migrate(t.Context()), "permission denied for schema public")
	if err := newStore(t, db).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "GRANT SELECT ON gatehouse_migrations TO app")
	wantError(t, "Migrate of current tables without the right", newStore(t, open(t, "pgx", app)).Migrate(t.Context()), "")
}

// An answer of the server is a reason to refuse it; a server that is down is not.
func TestUnavailableIsNotUnsuitable(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	for name, dsn := range map[string]string{
		"no such database": strings.Replace(url, "/test", "/missing", 1),
		"wrong password":   strings.Replace(url, "gatehouse:", "gatehouse:x", 1),
	} {
		s := newStore(t, open(t, "pgx", dsn))
		wantUnsuitable(t, "Check with "+name, s.Check(t.Context()), "check: ")
		wantUnsuitable(t, "Migrate with "+name, s.Migrate(t.Context()), "migrate: ")
	}
	proxy := enginetest.StartProxy(t, "127.0.0.1:1")
	s := newStore(t, open(t, "pgx", enginetest.Via(t, url, proxy)))
	for name, call := range map[string]func(context.Context) error{"Check": s.Check, "Migrate": s.Migrate} {
		if err := call(t.Context()); err == nil || errors.Is(err, sqlstore.ErrUnsuitable) {
			t.Errorf("%s of a server that is down: error = %v, want another one than %v", name, err, sqlstore.ErrUnsuitable)
		}
	}
}

// Behind PgBouncer in transaction mode everything works with the documented setting.
func TestPgBouncer(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	bouncer := enginetest.StartPgBouncer(t, url)
	if !strings.HasSuffix(bouncer, "&default_query_exec_mode=exec") {
		t.Errorf("URL = %s, want the setting of the documentation", bouncer)
	}
	s, db := migrated(t, "pgx", bouncer)
	wantErrorNot(t, "Check", s.Check(t.Context()), "trigger")
	clear := func(t *testing.T) {
		execute(t, db, "TRUNCATE gatehouse_apikeys", "TRUNCATE gatehouse_sessions")
	}
	apikeytest.TestStore(t, func(t *testing.T) apikey.Store { clear(t); return s.APIKeys() })
	sessiontest.TestStore(t, func(t *testing.T) session.Store { clear(t); return s.Sessions() })
}
