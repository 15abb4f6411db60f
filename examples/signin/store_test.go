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
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// openEngine returns how the configuration names an engine that processes can
// share, and how to stop and start it, nil if there is nothing to stop.
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
	t.Fatalf("no engine is called %s", driver)
	return
}

// TestSharedStore holds that two processes are one application: what begins or
// ends at one of them does so at the other, and a refresh token is used once.
func TestSharedStore(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres", "redis"} {
		t.Run(driver, func(t *testing.T) {
			dsn, down, up := openEngine(t, driver)
			t.Setenv("WEBTEST_DSN", dsn)
			p := webtest.NewProvider(t)
			p.Lifetime = 0 // over as soon as they are there
			first := open(t, p, object{"session_store": object{"driver": driver, "dsn": dsn}})
			second := openFor(t, p, first.URL, object{"session_store": object{"driver": driver, "dsn": "env:WEBTEST_DSN"}})

			b := first.browser()
			if a := second.fetch(b, "GET", "/api/me"); a.Status != 200 || a.JSON(t)["subject"] != "u1" {
				t.Fatalf("at the other one: %v", a)
			}
			var all sync.WaitGroup
			for _, s := range []*site{first, second, first, second, first, second} {
				all.Go(func() {
					if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 200 {
						t.Errorf("upstream: %v", a)
					}
				})
			}
			all.Wait()
			stolen := b.Copy()
			if page := second.form(b, second.URL); page.Status != 303 {
				t.Errorf("logout: %v", page)
			}
			if a := first.fetch(stolen, "GET", "/api/me"); a.Status != 401 {
				t.Errorf("afterwards: %v", a)
			}
			if down == nil {
				return
			}
			b = first.browser()
			down()
			first.withoutStore(b.Copy())
			up()
			enginetest.Eventually(t, 20*time.Second, "a session after the engine is up", func() bool {
				return first.fetch(b, "GET", "/api/me").Status == 200
			})
		})
	}
}

// withoutStore holds that nobody is let in, signed out or sent to a login because
// the store is down.
func (s *site) withoutStore(b *webtest.Browser) {
	s.t.Helper()
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 503 || a.JSON(s.t)["error"] != "temporarily_unavailable" || a.Header.Get("Retry-After") == "" {
		s.t.Errorf("engine down: %v", a)
	}
	if page := b.Go(s.URL + "/api/me"); page.Status != 503 || len(b.Cookies()) != 1 {
		s.t.Errorf("engine down, by a person: %v", page)
	}
	for _, path := range []string{"/", "/healthz"} {
		if page := b.Go(s.URL + path); page.Status != 200 {
			s.t.Errorf("engine down: %s: %v", path, page)
		}
	}
	other := webtest.NewBrowser(s.t)
	if page := other.Go(s.URL + "/login"); page.Status != 503 || !strings.Contains(page.Body, "not possible at the moment") || len(other.Cookies()) != 0 {
		s.t.Errorf("engine down: login: %v, cookies %v", page, other.Cookies())
	}
	if page := s.form(b, s.URL); page.Status != 503 || !strings.Contains(page.Body, "signed out of this browser") || len(b.Cookies()) != 0 {
		s.t.Errorf("engine down: logout: %v, cookies %v", page, b.Cookies())
	}
}

// TestStoreComesLater holds that the application starts while the engine is
// down, and makes its tables when that is up.
func TestStoreComesLater(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	dsn := engine.Database(t)
	engine.Kill(t)
	p := webtest.NewProvider(t)
	s := open(t, p, object{"session_store": object{"driver": "postgres", "dsn": dsn}})
	b := webtest.NewBrowser(t)
	if page := b.Go(s.URL + "/login"); page.Status != 503 {
		t.Errorf("login: %v", page)
	}
	engine.Start(t)
	enginetest.Eventually(t, 30*time.Second, "a login", func() bool { return b.Go(s.URL+"/login").Status == 200 })
}

// TestShortSession holds that both deadlines are those of the configuration.
func TestShortSession(t *testing.T) {
	s := open(t, webtest.NewProvider(t), object{"idle": "1s", "absolute": "2s"})
	idle, busy := s.browser(), s.browser()
	begun := time.Now()
	enginetest.Eventually(t, 10*time.Second, "the end of a session in use", func() bool {
		return s.fetch(busy, "GET", "/api/me").Status == 401
	})
	if lasted := time.Since(begun); lasted < time.Second || lasted > 5*time.Second {
		t.Errorf("a session in use lasted %v, want 2s", lasted)
	}
	if a := s.fetch(idle, "GET", "/api/me"); a.Status != 401 {
		t.Errorf("a session that nobody uses: %v", a)
	}
}

// TestCloseEnds holds that the program can be stopped while the engine is down.
func TestCloseEnds(t *testing.T) {
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
	a.close() // waits for what start has begun
}
