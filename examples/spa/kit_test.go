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
	t        *testing.T
	app      *app
	provider *webtest.Provider
	log      *webtest.Log
	page     string // the origin of the page
	backend  string // that of the back end
}

// open runs the application, and looks for tokens at the end: none of them may
// have come to the log.
func open(t *testing.T, p *webtest.Provider) *site {
	t.Helper()
	backend, page := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	s := &site{
		t: t, provider: p, log: new(webtest.Log),
		backend: "http://" + backend.Listener.Addr().String(), page: "http://" + page.Listener.Addr().String(),
	}
	config, err := readConfig(webtest.Configure(t, s.backend, p.URL, object{"app_addr": "127.0.0.1:0", "app_origin": s.page}))
	if err != nil {
		t.Fatal(err)
	}
	if s.app, err = newApp(config, slog.New(slog.NewJSONHandler(s.log, nil))); err != nil {
		t.Fatal(err)
	}
	if err := s.app.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	backend.Config.Handler, page.Config.Handler = s.app.backend, s.app.page
	backend.Start()
	page.Start()
	t.Cleanup(func() {
		backend.Close()
		page.Close()
		s.app.close()
		p.CheckLog(t, s.log)
	})
	return s
}

// browser returns a browser in which somebody has signed in.
func (s *site) browser() *webtest.Browser {
	s.t.Helper()
	b := webtest.NewBrowser(s.t)
	if page := b.Go(s.backend + "/login"); page.Status != 200 || page.URL != s.page+"/" {
		s.t.Fatalf("login: %v at %s", page, page.URL)
	}
	return b
}

// fetch is the script of the page, which can read the answer, whatever it is.
func (s *site) fetch(b *webtest.Browser, method, path string) webtest.Page {
	s.t.Helper()
	a := b.Fetch(method, s.backend+path, s.page)
	s.readable(path, a)
	return a
}

// readable says that the browser lets the script of the page read the answer.
func (s *site) readable(what string, a webtest.Page) {
	s.t.Helper()
	h := a.Header
	if h.Get("Access-Control-Allow-Origin") != s.page || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
		s.t.Errorf("%s: the page cannot read it: %v %v", what, a, h)
	}
}
