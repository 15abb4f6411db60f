// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// foreign is an unknown driver.
type foreign struct{}

func (foreign) Connect(context.Context) (driver.Conn, error) { return nil, driver.ErrBadConn }
func (f foreign) Driver() driver.Driver                      { return f }
func (foreign) Open(string) (driver.Conn, error)             { return nil, driver.ErrBadConn }

func TestNewReportsAllErrors(t *testing.T) {
	t.Parallel()
	unknown := sql.OpenDB(foreign{})
	defer unknown.Close()
	lite := open(t, "sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "a.db")))
	for _, test := range []struct {
		config sqlstore.Config
		want   []string
	}{
		{sqlstore.Config{Timeout: -1}, []string{"sqlstore: Config.DB: required", "sqlstore: Config.Timeout: -1ns: must not be negative"}},
		{sqlstore.Config{DB: unknown}, []string{"sqlstore: Config.Dialect: required: the driver sqlstore_test.foreign is unknown"}},
		{sqlstore.Config{DB: lite, Dialect: "mysql"}, []string{`sqlstore: Config.Dialect: "mysql": want sqlite or postgres`}},
	} {
		_, err := sqlstore.New(test.config)
		for _, want := range test.want {
			wantError(t, "New", err, want)
		}
	}
	for _, config := range []sqlstore.Config{{DB: lite}, {DB: unknown, Dialect: sqlstore.Postgres}} {
		if _, err := sqlstore.New(config); err != nil {
			t.Errorf("New(%+v): error = %v", config, err)
		}
	}
}

// newKeys returns a store of API keys with one key in it.
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

// withShortTimeout returns a store with a timeout of 300 ms.
func withShortTimeout(t testing.TB, db *sql.DB) *sqlstore.APIKeys {
	t.Helper()
	s, err := sqlstore.New(sqlstore.Config{DB: db, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s.APIKeys()
}

// checkTimeouts checks that reads, if wanted, and writes fail after the store's
// timeout or that of the context, whichever is shorter.
func checkTimeouts(t *testing.T, keys *sqlstore.APIKeys, reads bool) {
	t.Helper()
	for _, timeout := range []time.Duration{time.Hour, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		for name, call := range map[string]func() error{
			"find":   func() error { _, err := keys.Find(ctx, "a"); return err },
			"revoke": func() error { _, err := keys.Revoke(ctx, "a"); return err },
		} {
			if name == "find" && !reads {
				continue
			}
			start := time.Now()
			if err := call(); err == nil || time.Since(start) > 10*time.Second {
				t.Errorf("%s with a context of %v: error = %v after %v, want an error within 10s", name, timeout, err, time.Since(start))
			}
		}
		cancel()
	}
}

func TestTimeoutsPostgres(t *testing.T) {
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	db := open(t, "pgx", enginetest.Via(t, server.Database(t), proxy))
	keys := newKeys(t, sqlstore.Config{DB: db}, "a")
	proxy.Freeze()
	checkTimeouts(t, withShortTimeout(t, db), true)
	proxy.Thaw()
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
		_, err := keys.Find(t.Context(), "a")
		return err == nil
	})
}

// Another process holds the write lock of the file. Reads are not affected.
func TestTimeoutsSQLite(t *testing.T) {
	t.Parallel()
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
	checkTimeouts(t, withShortTimeout(t, db), false)
	if _, err := keys.Find(t.Context(), "a"); err != nil {
		t.Errorf("Find() while another process writes: error = %v", err)
	}
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Revoke(t.Context(), "a"); err != nil {
		t.Errorf("Revoke() after the other process: error = %v", err)
	}
}

// A change without a response is not retried: a second rotation would end the
// previous secret.
func TestChangesAreNotRetried(t *testing.T) {
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	beside := newKeys(t, sqlstore.Config{DB: open(t, "pgx", url)}, "warm")
	proxy := enginetest.StartProxy(t, server.Addr())
	db := open(t, "pgx", enginetest.Via(t, url, proxy))
	db.SetMaxOpenConns(1)
	for _, id := range []string{"a", "b", "c"} {
		through := newKeys(t, sqlstore.Config{DB: db}, id)
		// The connection has prepared the statement and sends the change at once.
		if _, err := through.Rotate(t.Context(), "none", apikey.Rotation{}); err != apikey.ErrNotFound {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		proxy.DropResponses()
		go func() {
			_, err := through.Rotate(t.Context(), id, apikey.Rotation{MaxLifetime: time.Hour})
			done <- err
		}()
		enginetest.Eventually(t, time.Minute, "the server has rotated the key", func() bool {
			r, err := beside.Find(t.Context(), id)
			return err == nil && r.Generation > 1
		})
		proxy.Cut()
		proxy.Restore()
		if err := <-done; err == nil {
			t.Error("Rotate() without a response: error = nil")
		}
		if r, err := beside.Find(t.Context(), id); err != nil || r.Generation != 2 {
			t.Errorf("Find() after Rotate: generation %d, %v, want 2", r.Generation, err)
		}
	}
}

// A damaged record is an error other than ErrNotFound.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
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
				t.Errorf("Find() with %s = %+v, %v, want an error other than ErrNotFound", test.damage, r, err)
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
