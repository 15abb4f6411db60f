// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestOpen(t *testing.T) {
	t.Setenv("STORE_DSN", "https://u:hunter2@localhost/") // of no driver
	for name, test := range map[string]struct {
		config store.Config
		want   string
	}{
		"no driver":              {store.Config{DSN: "keys.db"}, `store: Config.Driver: "" is none of "memory", "sqlite", "postgres" and "redis"`},
		"unknown driver":         {store.Config{Driver: "mysql", DSN: "hunter2"}, `store: Config.Driver: "mysql" is none of "memory", "sqlite", "postgres" and "redis"`},
		"DSN of memory":          {store.Config{Driver: "memory", DSN: "hunter2"}, "store: Config.DSN: the driver memory has none"},
		"no DSN":                 {store.Config{Driver: "sqlite"}, "store: Config.DSN: required"},
		"no such variable":       {store.Config{Driver: "sqlite", DSN: "env:STORE_NONE"}, "store: Config.DSN: gatehouse: secret env:STORE_NONE: not set"},
		"other URL for Postgres": {store.Config{Driver: "postgres", DSN: "env:STORE_DSN"}, "store: Config.DSN: not a PostgreSQL connection string"},
		"words for Postgres":     {store.Config{Driver: "postgres", DSN: "hunter2"}, "store: Config.DSN: not a PostgreSQL connection string"},
		"other URL for Redis":    {store.Config{Driver: "redis", DSN: "env:STORE_DSN"}, "store: Config.DSN: not a Redis URL"},
		"negative connections":   {store.Config{Driver: "sqlite", DSN: "keys.db", MaxConnections: -1}, "store: Config.MaxConnections: -1: must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(test.config)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Open(%+v) error = %v, want %s", test.config, err, test.want)
			}
		})
	}
}

// A password may look like a URL. Nothing connects before Start.
func TestOpenPostgresWords(t *testing.T) {
	db, err := store.Open(store.Config{Driver: "postgres", DSN: "host=127.0.0.1 user=u password=p://w"})
	if err != nil {
		t.Fatalf("Open with a password that has :// = %v, want nil", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
}

// stores are the stores of a database, by their fields.
func stores(db *store.DB) map[string]any {
	all := map[string]any{}
	fields := reflect.ValueOf(db).Elem()
	for i := range fields.NumField() {
		if field := fields.Type().Field(i); field.IsExported() {
			all[field.Name] = fields.Field(i).Interface()
		}
	}
	return all
}

// config returns the configuration of a new database, and functions that stop and start
// its server, nil for SQLite.
func config(t *testing.T, driver string) (c store.Config, down, up func()) {
	t.Helper()
	c = store.Config{Driver: driver, Logger: slog.New(slog.DiscardHandler)}
	switch driver {
	case "sqlite":
		c.DSN = filepath.Join(t.TempDir(), "gatehouse.db")
	case "postgres":
		engine := enginetest.StartPostgres(t)
		c.DSN, down, up = engine.Database(t), func() { engine.Kill(t) }, func() { engine.Start(t) }
	case "redis":
		engine := enginetest.StartRedis(t)
		c.DSN, down, up = engine.URL(), func() { engine.Kill(t) }, func() { engine.Start(t) }
	}
	return c, down, up
}

func open(t *testing.T, c store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(c)
	if err != nil {
		t.Fatalf("Open(%s) error = %v, want nil", c.Driver, err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close() error = %v, want nil", err)
		}
	})
	return db
}

func find(db *store.DB) error {
	_, err := db.APIKeys.Find(context.Background(), "1")
	return err
}

// No store of a database responds before the check, and all do after it.
func TestStart(t *testing.T) {
	for driver, missing := range map[string][]string{
		"memory": {"Upstreams", "Watcher"}, "sqlite": {"Watcher"}, "postgres": nil, "redis": nil,
	} {
		t.Run(driver, func(t *testing.T) {
			if driver == "postgres" || driver == "redis" {
				enginetest.Slow(t)
			}
			c, _, _ := config(t, driver)
			db := open(t, c)
			for name, s := range stores(db) {
				if got, want := s == nil, slices.Contains(missing, name); got != want {
					t.Errorf("%s is nil: %t, want %t", name, got, want)
				}
			}
			if db.Ready() {
				t.Error("Ready() = true before Start, want false")
			}
			if err := find(db); driver != "memory" && !errors.Is(err, store.ErrNotReady) {
				t.Errorf("Find() error = %v before Start, want %v", err, store.ErrNotReady)
			}
			if err := db.Start(t.Context()); err != nil {
				t.Fatalf("Start() error = %v, want nil", err)
			}
			enginetest.Eventually(t, time.Minute, "the database is ready", db.Ready) // later than Start on a slow machine
			if err := find(db); !errors.Is(err, apikey.ErrNotFound) {
				t.Errorf("Find() error = %v, want %v", err, apikey.ErrNotFound)
			}
			if _, err := db.Budgets.Sweep(t.Context(), 10); err != nil { // a pipeline of Redis
				t.Errorf("Sweep() error = %v, want nil", err)
			}
		})
	}
}

// A service starts while its server is down, and is ready when the server is up.
func TestStartWithoutServer(t *testing.T) {
	enginetest.Slow(t)
	for _, driver := range []string{"postgres", "redis"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			c, down, up := config(t, driver)
			down()
			var log enginetest.Log
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			failures := 2
			c.Seed = func(context.Context) error {
				if failures--; failures >= 0 {
					return errors.New("no seed yet")
				}
				return nil
			}
			db := open(t, c)
			if err := db.Start(t.Context()); err != nil {
				t.Fatalf("Start() error = %v, want nil", err)
			}
			if err := find(db); !errors.Is(err, store.ErrNotReady) || db.Ready() {
				t.Errorf("Find() error = %v, Ready() = %t, want %v, false", err, db.Ready(), store.ErrNotReady)
			}
			up()
			enginetest.Eventually(t, time.Minute, "the store is ready", func() bool { return strings.Contains(log.String(), "store ready") })
			if err := find(db); !errors.Is(err, apikey.ErrNotFound) {
				t.Errorf("Find() error = %v, want %v", err, apikey.ErrNotFound)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			want := []string{"level=WARN msg=store driver=" + driver, `level=ERROR msg=store driver=` + driver + ` problem="no seed yet"`, `level=INFO msg="store ready" driver=` + driver}
			if !slices.EqualFunc(lines[max(0, len(lines)-3):], want, strings.Contains) {
				t.Errorf("log = %q, want lines with %q", lines, want)
			}
			if u, err := url.Parse(c.DSN); err == nil {
				if password, ok := u.User.Password(); ok && strings.Contains(log.String(), password) {
					t.Error("the log has the password")
				}
			}
		})
	}
}

// A database that must not be used serves nothing when it comes up, and no service starts on it.
func TestUnsuitable(t *testing.T) {
	enginetest.Slow(t)
	for driver, test := range map[string]struct{ dsn, addr, want string }{
		"postgres": func() struct{ dsn, addr, want string } {
			engine := enginetest.StartPostgres(t, "fsync=off")
			return struct{ dsn, addr, want string }{engine.Database(t), engine.Addr(), "fsync is off"}
		}(),
		"redis": func() struct{ dsn, addr, want string } {
			engine := enginetest.StartRedis(t, "appendfsync everysec")
			return struct{ dsn, addr, want string }{engine.URL(), engine.Addr(), "appendfsync"}
		}(),
	} {
		t.Run(driver, func(t *testing.T) {
			proxy := enginetest.StartProxy(t, test.addr)
			proxy.Cut()
			var log enginetest.Log
			db := open(t, store.Config{Driver: driver, DSN: enginetest.Via(t, test.dsn, proxy), Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err := db.Start(t.Context()); err != nil {
				t.Fatalf("Start() error = %v while the server is down, want nil", err)
			}
			proxy.Restore()
			enginetest.Eventually(t, time.Minute, "the log has the setting", func() bool {
				return strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), test.want)
			})
			for name, call := range map[string]func() error{
				"Find":  func() error { return find(db) },
				"Sweep": func() error { _, err := db.Budgets.Sweep(t.Context(), 10); return err },
			} {
				if err := call(); !errors.Is(err, store.ErrNotReady) {
					t.Errorf("%s() error = %v, want %v", name, err, store.ErrNotReady)
				}
			}

			db = open(t, store.Config{Driver: driver, DSN: test.dsn})
			if err := db.Start(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) || db.Ready() {
				t.Errorf("Start() error = %v, Ready() = %t, want one with %q, false", err, db.Ready(), test.want)
			}
		})
	}
}

// An error of Seed, and a file that is no database, end the start.
func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	seed := errors.New("two agents have one ID")
	failing := func(context.Context) error { return seed }
	for name, test := range map[string]struct {
		config store.Config
		want   string
	}{
		"seed of memory":    {store.Config{Driver: "memory", Seed: failing}, seed.Error()},
		"seed of SQLite":    {store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "keys.db"), Seed: failing}, seed.Error()},
		"no directory":      {store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "none", "keys.db")}, "unable to open database file"},
		"not a database":    {store.Config{Driver: "sqlite", DSN: text}, "file is not a database"},
		"context has ended": {store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "late.db")}, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if name == "context has ended" {
				cancel()
			}
			if err := open(t, test.config).Start(ctx); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Start() error = %v, want one with %q", err, test.want)
			}
		})
	}
}

// A Redis server that forbids CONFIG GET is unsuitable, unless the program accepts that.
func TestUnreadableSettings(t *testing.T) {
	enginetest.Slow(t)
	dsn := enginetest.StartRedis(t, `rename-command CONFIG ""`).URL()
	err := open(t, store.Config{Driver: "redis", DSN: dsn}).Start(t.Context())
	if !errors.Is(err, redisstore.ErrUnsuitable) || !strings.Contains(err.Error(), "appendfsync cannot be read") {
		t.Errorf("Start() error = %v, want %v", err, redisstore.ErrUnsuitable)
	}
	db := open(t, store.Config{Driver: "redis", DSN: dsn, AllowUnreadableSettings: true})
	if err := db.Start(t.Context()); err != nil {
		t.Errorf("Start() error = %v with AllowUnreadableSettings, want nil", err)
	}
}
