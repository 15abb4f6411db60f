// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// TestPageOfAnotherUser: a page that shows another user than the session writes
// nothing.
func TestPageOfAnotherUser(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	ada := s.fetch(s.browser(), "GET", "/api/me").JSON(t)["user"].(string)
	p.Change(func() { p.Subject = "u2" })
	b := s.browser()
	post := func(user string) webtest.Page {
		return b.Do(webtest.Request{Method: "POST", URL: s.URL + "/api/note", From: s.URL, Header: http.Header{"Session-User": {user}}, Type: "text/plain", Body: "text"})
	}
	if page := post(ada); page.Status != 409 || page.JSON(t)["error"] != "user_changed" {
		t.Errorf("the page of another user = %v, want 409 user_changed", page)
	}
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != "" {
		t.Errorf("note = %v, want none", got)
	}
	own := s.fetch(b, "GET", "/api/me").JSON(t)["user"].(string)
	if page := post(own); page.Status != 200 {
		t.Errorf("the page of the user = %v, want 200", page)
	}
}

// TestForm: a form without the script leads back to the page, which shows a message
// once.
func TestForm(t *testing.T) {
	s := open(t, webtest.NewProvider(t), nil)
	b := s.browser()
	page := b.Do(webtest.Request{
		Method: "POST", URL: s.URL + "/api/note", From: s.URL, Navigation: true, Type: "application/x-www-form-urlencoded", Body: "note=milk",
	})
	if page.Status != 303 || page.Header.Get("Location") != "/" {
		t.Fatalf("POST /api/note by a form = %v, want 303 to /", page)
	}
	for _, want := range []any{"Saved", nil} {
		if got := s.fetch(b, "GET", "/api/me").JSON(t)["notice"]; got != want {
			t.Errorf("notice = %v, want %v", got, want)
		}
	}
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != "milk" {
		t.Errorf("note = %v, want milk", got)
	}
}

// TestStepUp: the export needs a login that is recent and strong, and a navigation gets
// one.
func TestStepUp(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, object{"step_up": object{"max_age": "5m", "acr_values": []string{"phr"}}})
	login := func(age time.Duration, acr string) {
		p.Change(func() { p.Claims["auth_time"], p.Claims["acr"] = time.Now().Add(-age).Unix(), acr })
	}
	login(time.Hour, "pwd")
	b := s.browser()
	s.want(b, "GET", "/export", 401, "insufficient_user_authentication")
	login(0, "phr")
	page := b.Go(s.URL + "/export")
	if page.Status != 200 || page.URL != s.URL+"/export" || page.JSON(t)["user"].(object)["subject"] != "u1" {
		t.Errorf("GET /export = %v at %s, want a login and the data", page, page.URL)
	}
	if page := s.fetch(b, "GET", "/export"); page.Status != 200 {
		t.Errorf("GET /export after the login = %v, want 200", page)
	}
	if page := b.Go(s.URL + "/"); !strings.Contains(page.Body, "You may have to sign in again") {
		t.Errorf("GET / = %s, want an announcement of the login", page.Body)
	}
	s = open(t, p, nil)
	login(time.Hour, "pwd")
	if page := s.browser().Go(s.URL + "/export"); page.Status != 200 || page.URL != s.URL+"/export" {
		t.Errorf("without step_up: GET /export = %v, want 200", page)
	}
}

// TestBasePath: all routes and links are below the path, behind a proxy that passes it
// on.
func TestBasePath(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, object{"base_path": "/team/notes"})
	const base = "/team/notes"
	b := webtest.NewBrowser(t)
	index := b.Go(s.URL + base + "/")
	if index.Status != 200 {
		t.Fatalf("GET %s/ = %v, want the page", base, index)
	}
	for _, attribute := range []string{`href="`, `src="`, `action="`} {
		for _, part := range strings.Split(index.Body, attribute)[1:] {
			address, _, _ := strings.Cut(part, `"`)
			if !strings.HasPrefix(address, base+"/") && address != "data:," {
				t.Errorf("the page has the address %q, want one below %s", address, base)
			}
		}
	}
	if page := b.Go(s.URL + base + "/api/note?a=b"); page.Status != 200 || page.URL != s.URL+base+"/api/note?a=b" {
		t.Errorf("a deep link leads to %v at %s, want a login and the same address", page, page.URL)
	}
	if got := b.Cookies(); !slices.Equal(got, []string{"__Host-Http-signin-team-notes"}) {
		t.Errorf("cookies = %v, want one for the path", got)
	}
	if page := webtest.NewBrowser(t).Go(s.URL + base + "/callback?state=a"); page.Status != 400 || !strings.Contains(page.Body, `href="`+base+`/login`) || !strings.Contains(page.Body, `href="`+base+`/style.css"`) {
		t.Errorf("a failed login = %v, want a page with links below %s", page, base)
	}
	if page := b.Go(s.URL + "/login"); page.Status != 404 {
		t.Errorf("GET /login = %v, want 404", page)
	}
	for _, text := range []string{"notes", "/notes/", "/", "//a", "/a b", "/../a", "/%61", "/A"} {
		if got := refuse(t, webtest.Configure(t, s.URL, p.URL, object{"base_path": text})); !strings.Contains(got[0], "base_path: ") {
			t.Errorf("base_path %q: run = %q, want an error", text, got)
		}
	}
}
