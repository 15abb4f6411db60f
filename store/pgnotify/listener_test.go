// SPDX-License-Identifier: Apache-2.0

package pgnotify_test

import (
	"context"
	"database/sql"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func newListener(t *testing.T, url string, failed func(error)) *pgnotify.Listener {
	t.Helper()
	conn, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	l, err := pgnotify.New(pgnotify.Config{Conn: conn, Failed: failed})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newKeys(t *testing.T, url string) *sqlstore.APIKeys {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.APIKeys()
}

func TestContract(t *testing.T) {
	server := enginetest.StartPostgres(t, "fsync=off")
	apikeytest.TestWatcher(t, func(t *testing.T) (apikey.Store, apikey.Watcher) {
		url := server.Database(t)
		return newKeys(t, url), newListener(t, url, nil).APIKeys()
	})
}

// What the application wants to hear over connections of its own does not keep
// the listener from hearing.
func TestOwnHandler(t *testing.T) {
	server := enginetest.StartPostgres(t, "fsync=off")
	url := server.Database(t)
	keys := newKeys(t, url)
	conn, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	conn.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	l, err := pgnotify.New(pgnotify.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	changes := watch(t, l.APIKeys())
	enginetest.Receive(t, changes, "", "it listens")
	if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Revoke(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	enginetest.Receive(t, changes, "a", "it was revoked")
}

func TestNewReportsMistakes(t *testing.T) {
	_, err := pgnotify.New(pgnotify.Config{})
	if err == nil || !strings.Contains(err.Error(), "pgnotify: Config.Conn: required") {
		t.Errorf("error %v", err)
	}
}

// watch runs Watch for the length of the test and returns what it tells.
func watch(t *testing.T, w apikey.Watcher) <-chan string {
	t.Helper()
	changes := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.Watch(ctx, func(id string) { changes <- id }); err == nil {
			t.Error("Watch returned nil")
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return changes
}

// A watcher that has missed something says so, however its connection was lost.
func TestWatchAfterBreak(t *testing.T) {
	server := enginetest.StartPostgres(t)
	url := server.Database(t)
	keys := newKeys(t, url)
	proxy := enginetest.StartProxy(t, server.Addr())
	var failures atomic.Int32
	changes := watch(t, newListener(t, enginetest.Via(t, url, proxy), func(err error) {
		if err == nil {
			t.Error("failed without an error")
		}
		failures.Add(1)
	}).APIKeys())
	enginetest.Receive(t, changes, "", "it listens")

	create := func(id string) {
		t.Helper()
		if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}); err != nil {
			t.Fatal(err)
		}
	}
	revoke := func(id string) {
		t.Helper()
		if _, err := keys.Revoke(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		create(id)
	}
	revoke("a")
	enginetest.Receive(t, changes, "a", "it was revoked")

	proxy.Cut()
	revoke("b")
	proxy.Restore()
	enginetest.Receive(t, changes, "", "the connection was cut, and something was lost")
	if failures.Load() == 0 {
		t.Error("nobody was told that the connection was cut")
	}
	revoke("c")
	enginetest.Receive(t, changes, "c", "it was revoked after the break")

	// Without a word: only the heartbeat can find out. What the proxy holds
	// back it delivers afterwards, to a connection that nobody reads.
	failures.Store(0)
	proxy.Freeze()
	enginetest.Eventually(t, time.Minute, "the silence is noticed", func() bool { return failures.Load() > 0 })
	proxy.Thaw()
	enginetest.Receive(t, changes, "", "the connection was silent")

	server.Kill(t)
	server.Start(t)
	enginetest.Receive(t, changes, "", "the server has crashed")
	enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
		_, err := keys.Revoke(t.Context(), "d")
		return err == nil
	})
	enginetest.Receive(t, changes, "d", "it was revoked after the crash")
}

// What an operator changes by hand is told too; a use is not.
func TestWatchByHand(t *testing.T) {
	server := enginetest.StartPostgres(t, "fsync=off")
	url := server.Database(t)
	keys := newKeys(t, url)
	changes := watch(t, newListener(t, url, nil).APIKeys())
	enginetest.Receive(t, changes, "", "it listens")
	for _, id := range []string{"touched", "revoked", "deleted"} {
		if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := keys.Touch(t.Context(), "touched", 1, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, sql := range []string{
		"UPDATE gatehouse_apikeys SET revoked = now() WHERE id = 'revoked'",
		"DELETE FROM gatehouse_apikeys WHERE id = 'deleted'",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"revoked", "deleted"} {
		select {
		case got := <-changes:
			if got != want {
				t.Errorf("word of %q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no word of %q", want)
		}
	}
}
