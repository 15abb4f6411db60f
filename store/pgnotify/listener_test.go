// SPDX-License-Identifier: Apache-2.0

package pgnotify_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// must returns a value, or fails the test.
func must[A any](value A, err error) func(testing.TB) A {
	return func(t testing.TB) A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// open returns the API keys and a watcher of a new database. Conn is the
// connection of the watcher.
func open(t *testing.T, url string, conn *pgx.ConnConfig) (*sqlstore.APIKeys, *pgnotify.Channel) {
	t.Helper()
	db := must(sql.Open("pgx", url))(t)
	t.Cleanup(func() { db.Close() })
	s := must(sqlstore.New(sqlstore.Config{DB: db, Timeout: time.Minute}))(t)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.APIKeys(), must(pgnotify.New(pgnotify.Config{Conn: conn}))(t).APIKeys()
}

func config(t *testing.T, url string) *pgx.ConnConfig {
	t.Helper()
	return must(pgx.ParseConfig(url))(t)
}

// create creates keys with these IDs.
func create(t *testing.T, keys *sqlstore.APIKeys, ids ...string) {
	t.Helper()
	for _, id := range ids {
		must(keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}))(t)
	}
}

func revoke(t *testing.T, keys *sqlstore.APIKeys, id string) {
	t.Helper()
	must(keys.Revoke(t.Context(), id))(t)
}

// recorder is a watcher that also sends the IDs that it reports to a channel.
type recorder struct {
	apikey.Watcher
	ids chan string
}

func (r recorder) Watch(ctx context.Context, changed func(id string)) error {
	return r.Watcher.Watch(ctx, func(id string) { changed(id); r.ids <- id })
}

// watch runs Keys.Watch until the test ends, and returns the IDs that w reports and the
// types of the events.
func watch(t *testing.T, w apikey.Watcher) (changes, events <-chan string) {
	t.Helper()
	ids, types := make(chan string, 1000), make(chan string, 1000)
	keys := must(apikey.New(apikey.Config{
		Store: apikey.NewMemory(0), Prefix: "acme", CacheTTL: time.Second, Watcher: recorder{w, ids},
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { types <- string(e.Type); return nil }),
	}))(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = keys.Watch(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return ids, types
}

func TestContract(t *testing.T) {
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	apikeytest.TestWatcher(t, func(t *testing.T) (apikey.Store, apikey.Watcher) {
		url := server.Database(t)
		return open(t, url, config(t, url))
	})
}

func TestNewRequiresConn(t *testing.T) {
	t.Parallel()
	if _, err := pgnotify.New(pgnotify.Config{}); err == nil || err.Error() != "pgnotify: Config.Conn: required" {
		t.Errorf("New error = %v, want pgnotify: Config.Conn: required", err)
	}
}

// A notification handler in the configuration does not take the notifications.
func TestWatchIgnoresHandlerOfConn(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	conn := config(t, url)
	conn.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	keys, watcher := open(t, url, conn)
	changes, _ := watch(t, watcher)
	enginetest.Receive(t, changes, "", "connected")
	create(t, keys, "a")
	revoke(t, keys, "a")
	enginetest.Receive(t, changes, "a", "revoked")
}

// After each way to lose a connection, the watcher reports that it may have missed
// changes.
func TestWatchReconnects(t *testing.T) {
	t.Parallel()
	server := enginetest.StartPostgres(t, "fsync=off")
	url := server.Database(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	keys, watcher := open(t, url, config(t, enginetest.Via(t, url, proxy)))
	changes, events := watch(t, watcher)
	enginetest.Receive(t, changes, "", "connected")
	create(t, keys, "a", "b", "c", "d")
	revoke(t, keys, "a")
	enginetest.Receive(t, changes, "a", "revoked")

	proxy.Cut()
	revoke(t, keys, "b")
	enginetest.Receive(t, events, string(apikey.EventWatchFailed), "the connection was cut")
	proxy.Restore()
	enginetest.Receive(t, changes, "", "the connection was cut")
	enginetest.Receive(t, events, string(apikey.EventWatchRestored), "connected again")
	revoke(t, keys, "c")
	enginetest.Receive(t, changes, "c", "revoked after the reconnect")

	server.Kill(t)
	server.Start(t)
	enginetest.Receive(t, changes, "", "the server crashed")
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
		_, err := keys.Revoke(t.Context(), "d")
		return err == nil
	})
	enginetest.Receive(t, changes, "d", "revoked after the crash")
}

// Only the heartbeat detects a connection that transfers nothing.
func TestWatchDetectsFrozenConnection(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	proxy := enginetest.StartProxy(t, server.Addr())
	_, watcher := open(t, url, config(t, enginetest.Via(t, url, proxy)))
	changes, events := watch(t, watcher)
	enginetest.Receive(t, changes, "", "connected")
	proxy.Freeze()
	enginetest.Receive(t, events, string(apikey.EventWatchFailed), "the heartbeat")
	proxy.Thaw() // the proxy delivers what it holds back to the old connection
	enginetest.Receive(t, changes, "", "the connection was frozen")
}

// Manual changes are reported, uses are not.
func TestWatchReportsManualChanges(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	keys, watcher := open(t, url, config(t, url))
	changes, _ := watch(t, watcher)
	enginetest.Receive(t, changes, "", "connected")
	create(t, keys, "touched", "revoked", "deleted")
	if ok, err := keys.Touch(t.Context(), "touched", 1, 0); err != nil || !ok {
		t.Fatalf("Touch = %t, %v, want true", ok, err)
	}
	conn := must(pgx.Connect(t.Context(), url))(t)
	defer func() { _ = conn.Close(t.Context()) }()
	for _, change := range []struct{ id, sql string }{
		{"revoked", "UPDATE gatehouse_apikeys SET revoked = now() WHERE id = 'revoked'"},
		{"deleted", "DELETE FROM gatehouse_apikeys WHERE id = 'deleted'"},
	} {
		must(conn.Exec(t.Context(), change.sql))(t)
		select {
		case got := <-changes:
			if got != change.id {
				t.Errorf("reported %q, want %q", got, change.id)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%q not reported within a minute", change.id)
		}
	}
}
