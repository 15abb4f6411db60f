// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

type object = webtest.Object

const cookieKey = "8c1f0a5e7d3b92466e5f4c1b0a9d8e7f6a5b4c3d2e1f0987"

// site is the application under test, at the provider.
type site struct {
	*httptest.Server
	t        *testing.T
	app      *app
	provider *webtest.Provider
	log      *logged
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// settings are a configuration that is good, but for the changes: a nil value
// takes a member away.
func settings(t *testing.T, origin, issuer string, changes object) string {
	t.Helper()
	t.Setenv("SIGNIN_TEST_SECRET", webtest.ClientSecret)
	t.Setenv("SIGNIN_TEST_KEY", cookieKey)
	t.Setenv("SIGNIN_TEST_SHORT", cookieKey[:31])
	config := object{
		"addr": "127.0.0.1:0", "public_origin": origin, "issuer": issuer, "client_id": webtest.ClientID,
		"client_secret": "env:SIGNIN_TEST_SECRET", "scopes": []string{"openid", "email"}, "cookie_keys": []string{"env:SIGNIN_TEST_KEY"},
		"session_store": object{"driver": "memory"}, "idle": "15m", "absolute": "12h",
	}
	for name, value := range changes {
		if config[name] = value; value == nil {
			delete(config, name)
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(text))
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open runs the application, and looks for tokens at the end: none of them may
// have come to the log.
func open(t *testing.T, p *webtest.Provider, changes object) *site {
	t.Helper()
	return openFor(t, p, "", changes)
}

// openFor runs one more process of an application that has the origin.
func openFor(t *testing.T, p *webtest.Provider, origin string, changes object) *site {
	t.Helper()
	s := &site{t: t, provider: p, log: new(logged)}
	s.Server = httptest.NewUnstartedServer(nil)
	if origin == "" {
		origin = "http://" + s.Listener.Addr().String()
	}
	config, err := loadConfig(settings(t, origin, p.URL, changes))
	if err != nil {
		t.Fatal(err)
	}
	if s.app, err = newApp(config, slog.New(slog.NewJSONHandler(s.log, nil))); err != nil {
		t.Fatal(err)
	}
	if err := s.app.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = s.app.handler
	s.Start()
	t.Cleanup(func() {
		s.Close()
		s.app.close()
		for _, token := range append(p.Given(), webtest.ClientSecret, cookieKey) {
			if strings.Contains(s.log.String(), token) {
				t.Errorf("a secret is in the log: %s", s.log)
			}
		}
		if t.Failed() {
			t.Logf("the log:\n%s", s.log)
		}
	})
	return s
}

// browser returns a browser in which somebody has signed in.
func (s *site) browser() *webtest.Browser {
	s.t.Helper()
	b := webtest.NewBrowser(s.t)
	if page := b.Go(s.URL + "/login"); page.Status != 200 || page.URL != s.URL+"/" {
		s.t.Fatalf("login: %v at %s", page, page.URL)
	}
	return b
}

// fetch is a script of the page itself.
func (s *site) fetch(b *webtest.Browser, method, path string) webtest.Page {
	s.t.Helper()
	return b.Fetch(method, s.URL+path, s.URL)
}
