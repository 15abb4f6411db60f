// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

type object = webtest.Object

// site is the running application.
type site struct {
	*httptest.Server
	t        *testing.T
	app      *app
	provider *webtest.Provider
	log      *webtest.Log
}

// open runs the application. When the test ends, its log must contain no token.
func open(t *testing.T, p *webtest.Provider, changes object) *site {
	t.Helper()
	return openFor(t, p, "", changes)
}

// openFor runs another process of an application with this origin.
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

// browser returns a browser with a session.
func (s *site) browser() *webtest.Browser {
	s.t.Helper()
	b := webtest.NewBrowser(s.t)
	if page := b.Go(s.URL + "/login"); page.Status != 200 || page.URL != s.URL+"/" {
		s.t.Fatalf("GET /login = %v at %s, want / with 200", page, page.URL)
	}
	return b
}

// fetch sends a request as a script of the page.
func (s *site) fetch(b *webtest.Browser, method, path string) webtest.Page {
	s.t.Helper()
	return b.Fetch(method, s.URL+path, s.URL)
}

// want sends a request as a script of the page and compares the status and the
// error code.
func (s *site) want(b *webtest.Browser, method, path string, status int, code any) {
	s.t.Helper()
	a := s.fetch(b, method, path)
	if got := a.JSON(s.t)["error"]; a.Status != status || got != code {
		s.t.Errorf("%s %s = %v, want %d %v", method, path, a, status, code)
	}
}

// wantSignedOut checks that the browser has no cookie and no session.
func (s *site) wantSignedOut(b *webtest.Browser) {
	s.t.Helper()
	if len(b.Cookies()) != 0 {
		s.t.Errorf("cookies = %v, want none", b.Cookies())
	}
	s.want(b, "GET", "/api/me", 401, "missing_credentials")
}

// wantNoToken checks that no response to the browser contained a token.
func (s *site) wantNoToken(b *webtest.Browser) {
	s.t.Helper()
	tokens := s.provider.Issued()
	if len(tokens) == 0 {
		s.t.Error("the provider has issued no tokens")
	}
	for _, token := range tokens {
		if strings.Contains(b.Seen(), token) {
			s.t.Errorf("the browser has received the token %s", token)
		}
	}
}

// wantLog checks that the log contains a text.
func (s *site) wantLog(text string) {
	s.t.Helper()
	if !strings.Contains(s.log.String(), text) {
		s.t.Errorf("the log does not contain %s", text)
	}
}

// logout sends the logout form from a page of an origin.
func (s *site) logout(b *webtest.Browser, from string) webtest.Page {
	s.t.Helper()
	return b.Do(webtest.Request{
		Method: "POST", URL: s.URL + "/logout", From: from, Navigation: true, Type: "application/x-www-form-urlencoded",
	})
}
