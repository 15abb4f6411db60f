// SPDX-License-Identifier: Apache-2.0

package main

import (
	"database/sql"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// TestUnsuitableStoreIsRefused: the app does not start on a database that would lose
// acknowledged changes, or that has other tables than this program knows.
func TestUnsuitableStoreIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, driver string
		dsn          func(t *testing.T) string
		want         string
	}{
		{"Postgres, fsync", "postgres", func(t *testing.T) string {
			t.Helper()
			return enginetest.StartPostgres(t, "fsync=off").Database(t)
		}, "fsync is off"},
		{"Redis, appendfsync", "redis", func(t *testing.T) string {
			t.Helper()
			return enginetest.StartRedis(t, "appendfsync everysec").URL()
		}, "appendfsync"},
		{"SQLite, newer tables", "sqlite", func(t *testing.T) string {
			t.Helper()
			path := filepath.Join(t.TempDir(), "keys.db")
			db := must(sql.Open("sqlite", sqlstore.SQLiteDSN(path)))
			defer db.Close()
			backend := must(sqlstore.New(sqlstore.Config{DB: db}))
			if err := backend.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), "INSERT INTO gatehouse_migrations (package, version) VALUES ('apikey', 99)"); err != nil {
				t.Fatal(err)
			}
			return path
		}, "version 99"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.driver != "sqlite" {
				enginetest.Slow(t)
			}
			dsn := test.dsn(t)
			for field, changes := range map[string]object{
				"api_keys.dsn: ":    {"api_keys": object{"driver": test.driver, "dsn": dsn}},
				"dpop.replay.dsn: ": {"public_origin": "https://api.example.com", "dpop": object{"replay": object{"driver": test.driver, "dsn": dsn}}},
			} {
				if got := refuse(t, configure([]object{good(nil)}, changes)); !strings.HasPrefix(got, field) || !strings.Contains(got, test.want) {
					t.Errorf("run = %s, want %q and %q", got, field, test.want)
				}
			}
		})
	}
}

// TestSuitableStoreIsServed starts the app on Postgres with fsync.
func TestSuitableStoreIsServed(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	dsn, keys, _, _ := openShared(t, "postgres")
	s := start(t, configure([]object{good(nil)}, object{"api_keys": object{"driver": "postgres", "dsn": dsn}}))
	var text string
	eventually(t, deadline, "the store is prepared", func() bool {
		unknown, _ := create(t, operator(t, apikey.NewMemory(0)))
		return s.do("GET", "/reports", "X-API-Key", s.key(unknown)).String() == "403 invalid_api_key"
	})
	text, _ = create(t, keys)
	if a := s.do("GET", "/reports", "X-API-Key", s.key(text)); a.status != http.StatusOK {
		t.Errorf("new key = %v, want 200", a)
	}
}

// TestUnsuitableStoreComesUp: the database is down at start, and has fsync=off when it
// comes up. No key is accepted from it, and tokens are.
func TestUnsuitableStoreComesUp(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	engine := enginetest.StartPostgres(t, "fsync=off")
	dsn := engine.Database(t)
	db := must(sql.Open("pgx", dsn))
	defer db.Close()
	backend := must(sqlstore.New(sqlstore.Config{DB: db}))
	if err := backend.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, _ := create(t, operator(t, backend.APIKeys()))

	proxy := enginetest.StartProxy(t, engine.Addr())
	proxy.Cut()
	issuer := authtest.NewIssuer(t)
	s := start(t, configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": "postgres", "dsn": enginetest.Via(t, dsn, proxy)}}))
	proxy.Restore()
	accepted := func() bool {
		a := s.do("GET", "/reports", "X-API-Key", s.key(text))
		if a.String() != "503 temporarily_unavailable" {
			t.Errorf("key of a store with fsync=off = %v, want 503", a)
		}
		return a.status == http.StatusOK
	}
	eventually(t, time.Minute, "the log has the setting", func() bool {
		return accepted() || strings.Contains(s.log.String(), "fsync is off")
	})
	accepted()
	if a := s.with(issuer.Token(reader), "GET", "/reports"); a.status != http.StatusOK {
		t.Errorf("token = %v, want 200", a)
	}
	u := must(url.Parse(dsn))
	if password, _ := u.User.Password(); strings.Contains(s.log.String(), password) {
		t.Error("the log has the password of the database")
	}
}
