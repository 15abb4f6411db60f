// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// form sends the form of the page, or that of another one.
func (s *site) form(b *webtest.Browser, from string) webtest.Page {
	s.t.Helper()
	return b.Do(webtest.Request{
		Method: "POST", URL: s.URL + "/logout", From: from, Navigation: true, Type: "application/x-www-form-urlencoded",
	})
}

func (s *site) signedOut(b *webtest.Browser) {
	s.t.Helper()
	if len(b.Cookies()) != 0 {
		s.t.Errorf("cookies %v", b.Cookies())
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 {
		s.t.Errorf("signed out: %v", a)
	}
}

func TestLogout(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	stolen := b.Copy()
	page := s.form(b, s.URL)
	at, err := url.Parse(page.Header.Get("Location"))
	if err != nil || page.Status != 303 || !strings.HasPrefix(at.String(), p.URL+"/end?") {
		t.Fatalf("logout: %v", page)
	}
	q := at.Query()
	if q.Get("client_id") != webtest.ClientID || q.Get("post_logout_redirect_uri") != s.URL+"/" || !slices.Contains(p.Issued(), q.Get("id_token_hint")) {
		t.Errorf("logout: %v", q)
	}
	if page.Header.Get("Clear-Site-Data") == "" || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("logout: %v", page.Header)
	}
	if revoked := p.Revoked(); len(revoked) != 1 || !strings.HasPrefix(revoked[0], "refresh-") || !slices.Contains(p.Issued(), revoked[0]) {
		t.Errorf("revoked %v", revoked)
	}
	s.signedOut(b)
	if a := s.fetch(stolen, "GET", "/api/me"); a.Status != 401 {
		t.Errorf("with the old cookie: %v", a)
	}
	// Who is not signed in can sign out all the same.
	if page := s.form(b, s.URL); page.Status != 303 || len(p.Revoked()) != 1 {
		t.Errorf("once more: %v", page)
	}
}

// TestLogoutByScript holds that a script does not get the ID token either.
func TestLogoutByScript(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	a := s.fetch(b, "POST", "/logout")
	at, _ := a.JSON(t)["logout_url"].(string)
	if a.Status != 200 || !strings.HasPrefix(at, p.URL+"/end?") || strings.Contains(at, "id_token_hint") || !strings.Contains(at, "post_logout_redirect_uri=") {
		t.Errorf("logout: %v", a)
	}
	if len(p.Revoked()) != 1 {
		t.Errorf("revoked %v", p.Revoked())
	}
	s.signedOut(b)
	s.holdsNoToken(b)
}

func TestLogoutFromElsewhere(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	for _, from := range []string{"https://evil.example", "http://127.0.0.1:1", "null"} {
		if page := s.form(b, from); page.Status != 403 || len(page.Header["Set-Cookie"]) != 0 || !strings.Contains(page.Body, "still signed in") {
			t.Errorf("a form of %s: %v", from, page)
		}
		if a := b.Fetch("POST", s.URL+"/logout", from); a.Status != 403 {
			t.Errorf("a script of %s: %v", from, a)
		}
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 200 || len(p.Revoked()) != 0 {
		t.Errorf("afterwards: %v, revoked %v", a, p.Revoked())
	}
}

// TestLogoutWithoutProvider holds that nobody stays signed in because another
// server is down, or has no logout.
func TestLogoutWithoutProvider(t *testing.T) {
	p := webtest.NewProvider(t)
	delete(p.Metadata, "end_session_endpoint")
	s := open(t, p, nil)
	b := s.browser()
	if page := s.form(b, s.URL); page.Status != 303 || page.Header.Get("Location") != "/" || len(p.Revoked()) != 1 {
		t.Errorf("without such an endpoint: %v", page)
	}
	s.signedOut(b)

	b = s.browser()
	p.Change(func() {
		p.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	})
	if page := s.form(b, s.URL); page.Status != 303 || page.Header.Get("Location") != "/" {
		t.Errorf("with an endpoint that is down: %v", page)
	}
	s.signedOut(b)
	if !strings.Contains(s.log.String(), `"msg":"revocation"`) {
		t.Error("nothing in the log")
	}
}

func TestBackChannelLogout(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	ada, ada2 := s.browser(), s.browser()
	p.Change(func() { p.Subject = "u2" })
	other := s.browser()
	send := func(token string) webtest.Page {
		return webtest.NewBrowser(t).Do(webtest.Request{
			Method: "POST", URL: s.URL + "/backchannel-logout", Type: "application/x-www-form-urlencoded",
			Body: url.Values{"logout_token": {token}}.Encode(),
		})
	}
	if a := send("a.b.c"); a.Status != 400 {
		t.Errorf("not a token: %v", a)
	}
	if a := s.fetch(ada, "GET", "/api/me"); a.Status != 200 {
		t.Fatalf("before: %v", a)
	}
	if a := send(p.LogoutToken(t, "u1")); a.Status != 200 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("logout: %v", a)
	}
	for _, b := range []*webtest.Browser{ada, ada2} {
		if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 {
			t.Errorf("afterwards: %v", a)
		}
	}
	if a := s.fetch(other, "GET", "/api/me"); a.Status != 200 {
		t.Errorf("somebody else: %v", a)
	}
	if !strings.Contains(s.log.String(), `"event":"ended_all"`) {
		t.Error("nothing in the log")
	}
}
