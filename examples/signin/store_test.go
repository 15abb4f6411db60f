// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// openEngine returns the dsn of a store that processes can share, and functions that
// stop and start its engine, nil for SQLite.
func openEngine(t *testing.T, driver string) (dsn string, down, up func()) {
	t.Helper()
	switch driver {
	case "sqlite":
		return filepath.Join(t.TempDir(), "sessions.db"), nil, nil
	case "postgres":
		e := enginetest.StartPostgres(t)
		return e.Database(t), func() { e.Kill(t) }, func() { e.Start(t) }
	case "redis":
		e := enginetest.StartRedis(t)
		return e.URL(), func() { e.Kill(t) }, func() { e.Start(t) }
	}
	t.Fatalf("unknown driver %s", driver)
	return
}

// TestSharedStore runs two processes as one application: sessions start and end in
// both, and each refresh token is used once.
func TestSharedStore(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres", "redis"} {
		t.Run(driver, func(t *testing.T) {
			if driver != "sqlite" {
				enginetest.Slow(t)
			}
			dsn, down, up := openEngine(t, driver)
			t.Setenv("WEBTEST_DSN", dsn)
			p := webtest.NewProvider(t)
			p.Lifetime = 0 // expired at once
			first := open(t, p, object{"session_store": object{"driver": driver, "dsn": dsn}})
			second := openFor(t, p, first.URL, object{"session_store": object{"driver": driver, "dsn": "env:WEBTEST_DSN"}})

			b := first.browser()
			second.want(b, "GET", "/api/me", 200, nil)
			var all sync.WaitGroup
			for _, s := range []*site{first, second, first, second, first, second} {
				all.Go(func() {
					if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 200 {
						t.Errorf("GET /api/upstream = %v, want 200", a)
					}
				})
			}
			all.Wait()
			stolen := b.Copy()
			if page := second.logout(b, second.URL); page.Status != 303 {
				t.Errorf("POST /logout = %v, want 303", page)
			}
			first.want(stolen, "GET", "/api/me", 401, "invalid_token")
			if down == nil {
				return
			}
			b = first.browser()
			down()
			first.wantUnavailable(b.Copy())
			up()
			enginetest.Eventually(t, time.Minute, "the session is valid again", func() bool {
				return first.fetch(b, "GET", "/api/me").Status == 200
			})
		})
	}
}

// wantUnavailable checks the responses while the store is down: no access, no
// redirect to a login, no cleared cookie.
func (s *site) wantUnavailable(b *webtest.Browser) {
	s.t.Helper()
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 503 || a.JSON(s.t)["error"] != "temporarily_unavailable" || a.Header.Get("Retry-After") == "" {
		s.t.Errorf("GET /api/me = %v, want 503", a)
	}
	if page := b.Go(s.URL + "/api/me"); page.Status != 503 || len(b.Cookies()) != 1 {
		s.t.Errorf("GET /api/me by a navigation = %v, cookies %v, want 503 and one", page, b.Cookies())
	}
	for _, path := range []string{"/", "/healthz"} {
		if page := b.Go(s.URL + path); page.Status != 200 {
			s.t.Errorf("GET %s = %v, want 200", path, page)
		}
	}
	other := webtest.NewBrowser(s.t)
	if page := other.Go(s.URL + "/login"); page.Status != 503 || !strings.Contains(page.Body, "not possible at the moment") || len(other.Cookies()) != 0 {
		s.t.Errorf("login = %v, cookies %v, want 503 and none", page, other.Cookies())
	}
	if page := s.logout(b, s.URL); page.Status != 503 || !strings.Contains(page.Body, "signed out of this browser") || len(b.Cookies()) != 0 {
		s.t.Errorf("POST /logout = %v, cookies %v, want 503 and none", page, b.Cookies())
	}
}

// TestEngineDownAtStart: the application starts without its engine, and creates its
// tables when the engine is up.
func TestEngineDownAtStart(t *testing.T) {
	enginetest.Slow(t)
	engine := enginetest.StartPostgres(t)
	dsn := engine.Database(t)
	engine.Kill(t)
	p := webtest.NewProvider(t)
	s := open(t, p, object{"session_store": object{"driver": "postgres", "dsn": dsn}})
	b := webtest.NewBrowser(t)
	if page := b.Go(s.URL + "/login"); page.Status != 503 {
		t.Errorf("GET /login = %v, want 503", page)
	}
	engine.Start(t)
	enginetest.Eventually(t, time.Minute, "a login", func() bool { return b.Go(s.URL+"/login").Status == 200 })
}

// TestUnsuitableStore: the application does not start on a database that loses
// acknowledged changes, and uses none that comes up later.
func TestUnsuitableStore(t *testing.T) {
	enginetest.Slow(t)
	engine := enginetest.StartPostgres(t, "fsync=off")
	dsn := engine.Database(t)
	p := webtest.NewProvider(t)
	for driver, store := range map[string]struct{ dsn, setting string }{
		"postgres": {dsn, "fsync is off"},
		"redis":    {enginetest.StartRedis(t, "appendfsync everysec").URL(), "appendfsync"},
	} {
		config, err := readConfig(webtest.Configure(t, "https://notes.example.com", p.URL, object{"session_store": object{"driver": driver, "dsn": store.dsn}}))
		if err != nil {
			t.Fatal(err)
		}
		a, err := newApp(config, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.start(t.Context()); err == nil || !strings.Contains(err.Error(), store.setting) {
			t.Errorf("start = %v, want an error with %q", err, store.setting)
		}
		a.close()
	}

	proxy := enginetest.StartProxy(t, engine.Addr())
	proxy.Cut()
	s := open(t, p, object{"session_store": object{"driver": "postgres", "dsn": enginetest.Via(t, dsn, proxy)}})
	proxy.Restore()
	b := webtest.NewBrowser(t)
	login := func() bool {
		page := b.Go(s.URL + "/login")
		if page.Status != 503 {
			t.Errorf("GET /login = %v, want 503", page)
		}
		return page.Status != 503
	}
	enginetest.Eventually(t, time.Minute, "the log has the setting", func() bool {
		return login() || strings.Contains(s.log.String(), "fsync is off")
	})
	login()
}

// TestTimeouts: idle and absolute are the timeouts of the configuration.
func TestTimeouts(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, object{"idle": "7m", "absolute": "3h"})
	s.browser()
	got, err := s.app.store.Sessions.List(t.Context(), session.Selector{Issuer: p.URL, Subject: p.Subject}, 2)
	if err != nil || len(got) != 1 || got[0].Idle != 7*time.Minute || got[0].Expires.Sub(got[0].Created) != 3*time.Hour {
		t.Errorf("sessions = %+v, %v, want one of 7m idle and 3h at most", got, err)
	}
}

// TestCloseWhileEngineIsDown: close ends the retries of start.
func TestCloseWhileEngineIsDown(t *testing.T) {
	config, err := readConfig(webtest.Configure(t, "https://notes.example.com", "https://auth.example.com",
		object{"session_store": object{"driver": "redis", "dsn": "redis://" + webtest.Closed(t)}}))
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	a.close()
}
