// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

type object = webtest.Object

// site is the application under test, at the provider.
type site struct {
	*httptest.Server
	t        *testing.T
	app      *app
	provider *webtest.Provider
	log      *webtest.Log
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
	s := &site{t: t, provider: p, log: new(webtest.Log)}
	s.Server = httptest.NewUnstartedServer(nil)
	if origin == "" {
		origin = "http://" + s.Listener.Addr().String()
	}
	config, err := readConfig(webtest.Configure(t, origin, p.URL, changes))
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
		p.CheckLog(t, s.log)
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
