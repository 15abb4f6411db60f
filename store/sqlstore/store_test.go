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
		{sqlstore.Config{DB: lite}, []string{""}},
		{sqlstore.Config{DB: unknown, Dialect: sqlstore.Postgres}, []string{""}},
	} {
		_, err := sqlstore.New(test.config)
		for _, want := range test.want {
			wantError(t, "New", err, want)
		}
	}
}

// checkTimeouts checks that the calls fail after the store's timeout of 300 ms or that of
// the context, whichever is shorter.
func checkTimeouts(t *testing.T, db *sql.DB, calls ...func(context.Context, *sqlstore.APIKeys) error) {
	t.Helper()
	keys := withTimeout(t, db, 300*time.Millisecond).APIKeys()
	for _, timeout := range []time.Duration{time.Hour, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		for i, call := range calls {
			start := time.Now()
			if err := call(ctx, keys); err == nil || time.Since(start) > 10*time.Second {
				t.Errorf("call %d with a context of %v: error = %v after %v, want an error within 10s", i, timeout, err, time.Since(start))
			}
		}
		cancel()
	}
}

func find(ctx context.Context, keys *sqlstore.APIKeys) error { return second(keys.Find(ctx, "a")) }

func revoke(ctx context.Context, keys *sqlstore.APIKeys) error { return second(keys.Revoke(ctx, "a")) }

func TestTimeoutsPostgres(t *testing.T) {
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	_, db := migrated(t, "pgx", enginetest.Via(t, server.Database(t), proxy))
	keys := withTimeout(t, db, 0).APIKeys()
	createKeys(t, keys, 0, "a")
	proxy.Freeze()
	checkTimeouts(t, db, find, revoke)
	proxy.Thaw()
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool { return find(t.Context(), keys) == nil })
}

// Another process holds the write lock of the file. Reads are not affected.
func TestTimeoutsSQLite(t *testing.T) {
	t.Parallel()
	dsn := sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "keys.db"))
	s, db := migrated(t, "sqlite", dsn)
	keys := s.APIKeys()
	createKeys(t, keys, 0, "a")
	release := lock(t, open(t, "sqlite", dsn), "UPDATE gatehouse_apikeys SET owner = 'p'")
	checkTimeouts(t, db, revoke)
	wantError(t, "Find while another process writes", find(t.Context(), keys), "")
	release()
	wantError(t, "Revoke after the other process", revoke(t.Context(), keys), "")
}

// A change without a response is not retried: a second rotation would end the
// previous secret.
func TestChangesAreNotRetried(t *testing.T) {
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	s, _ := migrated(t, "pgx", url)
	beside := s.APIKeys()
	proxy := enginetest.StartProxy(t, server.Addr())
	db := open(t, "pgx", enginetest.Via(t, url, proxy))
	db.SetMaxOpenConns(1)
	through := withTimeout(t, db, 0).APIKeys()
	for _, id := range []string{"a", "b", "c"} {
		createKeys(t, through, 0, id)
		// The connection has prepared the statement and sends the change at once.
		if _, err := through.Rotate(t.Context(), "none", apikey.Rotation{}); err != apikey.ErrNotFound {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		proxy.DropResponses()
		go func() { done <- second(through.Rotate(t.Context(), id, apikey.Rotation{MaxLifetime: time.Hour})) }()
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
