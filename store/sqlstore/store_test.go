// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// foreign is a driver that nobody knows.
type foreign struct{}

func (foreign) Connect(context.Context) (driver.Conn, error) { return nil, driver.ErrBadConn }
func (f foreign) Driver() driver.Driver                      { return f }
func (foreign) Open(string) (driver.Conn, error)             { return nil, driver.ErrBadConn }

func TestNewReportsMistakes(t *testing.T) {
	unknown := sql.OpenDB(foreign{})
	defer unknown.Close()
	lite := open(t, "sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "a.db")))
	for _, test := range []struct {
		config sqlstore.Config
		want   []string
	}{
		{sqlstore.Config{Timeout: -1}, []string{"sqlstore: Config.DB: required", "sqlstore: Config.Timeout: is negative"}},
		{sqlstore.Config{DB: unknown}, []string{"sqlstore: Config.Dialect: required, since the driver sqlstore_test.foreign says nothing of it"}},
		{sqlstore.Config{DB: lite, Dialect: "mysql"}, []string{`sqlstore: Config.Dialect: "mysql" is none`}},
	} {
		_, err := sqlstore.New(test.config)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
	for _, config := range []sqlstore.Config{{DB: lite}, {DB: unknown, Dialect: sqlstore.Postgres}} {
		if _, err := sqlstore.New(config); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	good := sqlstore.SQLiteDSN(path)
	check := func(dsn string) error { return newStore(t, open(t, "sqlite", dsn)).Check(t.Context()) }
	wants := func(dsn, want string) {
		t.Helper()
		if err := check(dsn); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", dsn, err, want)
		}
	}
	wants(good, "has Migrate been called?")
	if err := newStore(t, open(t, "sqlite", good)).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := check(good); err != nil {
		t.Errorf("the settings of SQLiteDSN: %v", err)
	}
	wants("file:"+path, "PRAGMA busy_timeout is 0s")
	wants(strings.Replace(good, "FULL", "NORMAL", 1), "PRAGMA synchronous is 1")

	other := strings.Replace(sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "other.db")), "WAL", "DELETE", 1)
	if err := newStore(t, open(t, "sqlite", other)).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants(other, "PRAGMA journal_mode is delete")
}

func TestCheckPostgres(t *testing.T) {
	durable := enginetest.StartPostgres(t)
	url := durable.Database(t)
	s := newStore(t, open(t, "pgx", url))
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "has Migrate been called?") {
		t.Errorf("error %v", err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("a durable server: %v", err)
	}
	err := newStore(t, open(t, "pgx", url+"&synchronous_commit=off")).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "SHOW synchronous_commit is off") {
		t.Errorf("error %v", err)
	}
	admin := open(t, "pgx", url)
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	err = newStore(t, open(t, "pgx", strings.Replace(url, "/test1?", "/latin?", 1))).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "SHOW server_encoding is LATIN1") {
		t.Errorf("error %v", err)
	}

	careless := enginetest.StartPostgres(t, "fsync=off", "full_page_writes=off")
	err = newStore(t, open(t, "pgx", careless.Database(t))).Check(t.Context())
	for _, want := range []string{"SHOW fsync is off", "SHOW full_page_writes is off"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	durable.Kill(t)
	if err := s.Check(t.Context()); err == nil {
		t.Error("a server that is down is good")
	}
}

// newKeys makes a store of API keys with one key in it.
func newKeys(t testing.TB, config sqlstore.Config, id string) *sqlstore.APIKeys {
	t.Helper()
	s, err := sqlstore.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := s.APIKeys()
	if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// impatient makes a store with a short timeout.
func impatient(t testing.TB, db *sql.DB) *sqlstore.APIKeys {
	t.Helper()
	s, err := sqlstore.New(sqlstore.Config{DB: db, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s.APIKeys()
}

// bothWays calls a reader and a writer that must fail, with a caller of great
// patience and one of little.
func bothWays(t *testing.T, keys *sqlstore.APIKeys, reads bool) {
	t.Helper()
	for _, patience := range []time.Duration{time.Hour, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		for name, call := range map[string]func() error{
			"find":   func() error { _, err := keys.Find(ctx, "a"); return err },
			"revoke": func() error { _, err := keys.Revoke(ctx, "a"); return err },
		} {
			if name == "find" && !reads {
				continue
			}
			start := time.Now()
			if err := call(); err == nil {
				t.Errorf("%s: succeeds", name)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s: took %v", name, took)
			}
		}
		cancel()
	}
}

// An engine that hangs is down after the store's own timeout, whatever the
// caller's patience, and after the caller's where that is shorter.
func TestTimeoutsPostgres(t *testing.T) {
	server := enginetest.SharedPostgres(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	db := open(t, "pgx", enginetest.Via(t, server.Database(t), proxy))
	keys := newKeys(t, sqlstore.Config{DB: db}, "a")
	proxy.Freeze()
	bothWays(t, impatient(t, db), true)
	proxy.Thaw()
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
		_, err := keys.Find(t.Context(), "a")
		return err == nil
	})
}

// Somebody holds the lock of the file. Readers do not mind.
func TestTimeoutsSQLite(t *testing.T) {
	dsn := sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "keys.db"))
	db := open(t, "sqlite", dsn)
	keys := newKeys(t, sqlstore.Config{DB: db}, "a")
	holder, err := open(t, "sqlite", dsn).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	if _, err := holder.ExecContext(t.Context(), "UPDATE gatehouse_apikeys SET owner = 'p'"); err != nil {
		t.Fatal(err)
	}
	bothWays(t, impatient(t, db), false)
	if _, err := keys.Find(t.Context(), "a"); err != nil {
		t.Errorf("a reader waits for the writer: %v", err)
	}
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Revoke(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// What was sent and not answered is not sent again: a rotation that is carried
// out twice would end the secret before it.
func TestChangesAreSentOnce(t *testing.T) {
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	beside := newKeys(t, sqlstore.Config{DB: open(t, "pgx", url)}, "warm")
	proxy := enginetest.StartProxy(t, server.Addr())
	db := open(t, "pgx", enginetest.Via(t, url, proxy))
	db.SetMaxOpenConns(1)
	for _, id := range []string{"a", "b", "c"} {
		through := newKeys(t, sqlstore.Config{DB: db}, id)
		// The connection knows the statement then, and sends it as a whole.
		if _, err := through.Rotate(t.Context(), "none", apikey.Rotation{}); err != apikey.ErrNotFound {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		proxy.DropResponses()
		go func() {
			_, err := through.Rotate(t.Context(), id, apikey.Rotation{MaxLifetime: time.Hour})
			done <- err
		}()
		enginetest.Eventually(t, time.Minute, "the rotation is carried out", func() bool {
			r, err := beside.Find(t.Context(), id)
			return err == nil && r.Generation > 1
		})
		proxy.Cut()
		proxy.Restore()
		if err := <-done; err == nil {
			t.Error("a rotation without an answer succeeds")
		}
		if r, err := beside.Find(t.Context(), id); err != nil || r.Generation != 2 {
			t.Errorf("generation %d, %v", r.Generation, err)
		}
	}
}

// What cannot be read is not guessed: a damaged record is a store that cannot
// tell.
func TestDamagedRecords(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driverName, dsn := database(t)
		db := open(t, driverName, dsn)
		keys := newKeys(t, sqlstore.Config{DB: db}, "a")
		for _, test := range []struct{ damage, repair string }{
			{"scopes = 'a  b'", "scopes = ''"},
			{"networks = 'everywhere'", "networks = ''"},
			{"networks = '10.0.0.0/8 '", "networks = ''"},
			{"current_pepper = 4294967296", "current_pepper = 0"},
			{"current_pepper = -1", "current_pepper = 0"},
			{"previous_pepper = 1", "previous_pepper = NULL"},
		} {
			if _, err := db.ExecContext(t.Context(), "UPDATE gatehouse_apikeys SET "+test.damage); err != nil {
				t.Fatal(err)
			}
			if r, err := keys.Find(t.Context(), "a"); err == nil || err == apikey.ErrNotFound {
				t.Errorf("%s: %+v, %v", test.damage, r, err)
			}
			if _, err := db.ExecContext(t.Context(), "UPDATE gatehouse_apikeys SET "+test.repair); err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Find(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
	})
}
