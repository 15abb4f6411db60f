// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// TestForm: a form without the script leads back to the page, which shows a message
// once. It writes for the user that it shows only.
func TestForm(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	user, _ := s.fetch(b, "GET", "/api/me").JSON(t)["user"].(string)
	submit := func(b *webtest.Browser, form url.Values) webtest.Page {
		return b.Do(webtest.Request{
			Method: "POST", URL: s.URL + "/note", From: s.URL, Navigation: true, Type: "application/x-www-form-urlencoded", Body: form.Encode(),
		})
	}
	for _, test := range []struct {
		note, notice, kept string
	}{
		{"milk", "Saved", "milk"},
		{strings.Repeat("a", maxNote+1), "Not saved: the note is too long", "milk"},
		{"\xff", "Not saved: this is no note", "milk"},
	} {
		page := submit(b, url.Values{"note": {test.note}, "session_user": {user}})
		if page.Status != 303 || page.Header.Get("Location") != "/" {
			t.Fatalf("POST /note = %v, want 303 to /", page)
		}
		for _, want := range []any{test.notice, nil} {
			if got := s.fetch(b, "GET", "/api/me").JSON(t)["notice"]; got != want {
				t.Errorf("notice = %v, want %v", got, want)
			}
		}
		if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != test.kept {
			t.Errorf("note = %v, want %s", got, test.kept)
		}
	}
	p.Change(func() { p.Subject = "u2" })
	other := s.browser()
	for name, test := range map[string]struct {
		browser *webtest.Browser
		form    url.Values
		status  int
		text    string
	}{
		"of another user":              {other, url.Values{"note": {"theirs"}, "session_user": {user}}, 409, "Another user has signed in"},
		"of no user":                   {other, url.Values{"note": {"theirs"}}, 400, "not possible"},
		"after the end of the session": {webtest.NewBrowser(t), url.Values{"note": {"theirs"}, "session_user": {user}}, 401, "Your session has ended"},
	} {
		page := submit(test.browser, test.form)
		if page.Status != test.status || page.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page.Body, test.text) {
			t.Errorf("a form %s = %v, want %d and a page that says %q", name, page, test.status, test.text)
		}
	}
	if got := s.fetch(other, "GET", "/api/note").JSON(t)["note"]; got != "" {
		t.Errorf("note = %v, want none", got)
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

// TestAdmit: who may not sign in gets a page with a link to use another account.
func TestAdmit(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Claims["groups"] = []string{"guests"}
	s := open(t, p, object{"admit": object{"groups": []string{"staff"}}})
	b := webtest.NewBrowser(t)
	page := b.Go(s.URL + "/login?return_to=/api/me")
	if page.Status != 403 || !strings.Contains(page.Body, "This account may not sign in here") || !strings.Contains(page.Body, "prompt=login") || len(b.Cookies()) != 0 {
		t.Errorf("login of a guest = %v with the cookies %v, want 403", page, b.Cookies())
	}
	p.Change(func() { p.Claims["groups"] = []string{"staff"} })
	if page := b.Go(s.URL + "/login?return_to=/api/me"); page.Status != 200 {
		t.Errorf("login of staff = %v, want 200", page)
	}
	if got := refuse(t, webtest.Configure(t, s.URL, p.URL, object{"admit": object{"email_domains": []string{"@example.com"}}})); !strings.Contains(got[0], "admit") {
		t.Errorf("run = %q, want an error of admit", got)
	}
}

// TestRemember: a user who asks to stay signed in has a cookie that outlives the browser.
func TestRemember(t *testing.T) {
	s := open(t, webtest.NewProvider(t), object{"remember": object{"idle": "240h", "absolute": "720h"}})
	for query, want := range map[string]time.Duration{"": 12 * time.Hour, "?remember=1": 720 * time.Hour} {
		b := webtest.NewBrowser(t)
		login := b.Do(webtest.Request{Method: "GET", URL: s.URL + "/login" + query, From: s.URL, Navigation: true})
		b.Go(login.Header.Get("Location"))
		expires, err := time.Parse(time.RFC3339, s.fetch(b, "GET", "/api/me").JSON(t)["expires"].(string))
		if left := time.Until(expires); err != nil || left > want || left < want-time.Hour {
			t.Errorf("/login%s: the session expires in %v, %v, want %v", query, left, err, want)
		}
	}
	if page := webtest.NewBrowser(t).Go(s.URL + "/"); !strings.Contains(page.Body, `name="remember"`) {
		t.Errorf("GET / = %s, want a box", page.Body)
	}
	if page := webtest.NewBrowser(t).Go(open(t, webtest.NewProvider(t), nil).URL + "/"); strings.Contains(page.Body, `name="remember"`) {
		t.Error("the page has a box without the setting")
	}
}

// TestSignOutEverywhere ends all sessions of the user, and revokes their tokens.
func TestSignOutEverywhere(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	here, there := s.browser(), s.browser()
	p.Change(func() { p.Subject = "u2" })
	other := s.browser()
	page := here.Do(webtest.Request{
		Method: "POST", URL: s.URL + "/logout", From: s.URL, Navigation: true, Type: "application/x-www-form-urlencoded", Body: "everywhere=1",
	})
	if page.Status >= 400 || len(p.Revoked()) != 2 {
		t.Errorf("POST /logout = %v, revoked %v, want two tokens", page, p.Revoked())
	}
	s.want(there, "GET", "/api/me", 401, "invalid_token")
	s.want(other, "GET", "/api/me", 200, nil)
	s.wantSignedOut(here)
}
