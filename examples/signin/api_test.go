// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

func (s *site) note(b *webtest.Browser, kind, body string) webtest.Page {
	s.t.Helper()
	return b.Do(webtest.Request{Method: "POST", URL: s.URL + "/api/note", From: s.URL, Type: kind, Body: body})
}

func TestNote(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	const kind, maxNote = "application/json", 4 << 10
	long := strings.Repeat("ä", maxNote/2)
	for _, test := range []struct {
		kind, body string
		status     int
		note       string // afterwards
	}{
		{kind, `{"note":"milk"}`, 200, "milk"},
		{kind, `{"note":""}`, 200, ""},
		{"text/plain; charset=utf-8", "bread <b>", 200, "bread <b>"},
		{kind, `{"note":"` + long + `"}`, 200, long},
		{kind, `{"note":"` + long + `."}`, 413, long},
		{"text/plain", strings.Repeat("a", 3*maxNote), 413, long},
		{kind, `{"note":"a"` + strings.Repeat(" ", 3*maxNote) + `}`, 413, long},
		{kind, `note`, 400, long},
		{"text/plain", "a\xff", 400, long},
		{"application/x-www-form-urlencoded", "note=%zz", 400, long},
		{"multipart/form-data; boundary=a", "--a--", 400, long},
		{kind, `{"text":"milk"}`, 200, `{"text":"milk"}`},
		{kind, `{"note":1}`, 200, `{"note":1}`},
		{"application/x-www-form-urlencoded", "note=milk+%26+bread", 200, "milk & bread"},
		{"application/x-www-form-urlencoded", "milk", 200, "milk"},
		{"", "bread", 200, "bread"},
		{"", "", 200, ""},
	} {
		a := s.note(b, test.kind, test.body)
		if a.Status != test.status || a.Status == 200 && a.JSON(t)["note"] != test.note || a.Status != 200 && a.JSON(t)["error"] == nil {
			t.Errorf("POST /api/note(%s, %.40s) = %v, want %d", test.kind, test.body, a, test.status)
		}
		if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != test.note {
			t.Errorf("note after POST /api/note(%s, %.40s) = %.40v, want %.40s", test.kind, test.body, got, test.note)
		}
	}
	p.Change(func() { p.Subject = "u2" })
	if got := s.fetch(s.browser(), "GET", "/api/note").JSON(t)["note"]; got != "" {
		t.Errorf("note of another user = %.40v, want none", got)
	}
}

// TestCrossSiteRequestsAreRejected sends requests of another origin of the same
// site, with the cookie (CSRF).
func TestCrossSiteRequestsAreRejected(t *testing.T) {
	s := open(t, webtest.NewProvider(t), nil)
	b := s.browser()
	if a := s.note(b, "text/plain", "mine"); a.Status != 200 {
		t.Fatal(a)
	}
	for what, request := range map[string]webtest.Request{
		"form":         {Method: "POST", URL: "/api/note", Type: "text/plain", Body: "theirs", Navigation: true},
		"fetch":        {Method: "POST", URL: "/api/note", Type: "text/plain", Body: "theirs"},
		"fetch by GET": {Method: "GET", URL: "/api/note"},
		"end":          {Method: "POST", URL: "/api/sessions/a/end"},
		"WebSocket":    {Method: "GET", URL: "/api/me", Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}},
	} {
		request.URL, request.From = s.URL+request.URL, "http://127.0.0.1:1"
		if a := b.Do(request); a.Status != 403 {
			t.Errorf("%s = %v, want 403", what, a)
		}
	}
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != "mine" {
		t.Errorf("note = %v, want mine", got)
	}
	s.wantLog("cross_site")
}

func TestUpstream(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	a := s.fetch(b, "GET", "/api/upstream")
	if got := a.JSON(t); a.Status != 200 || got["sub"] != "u1" || got["email"] != "ada@example.com" || p.Renewed() != 0 {
		t.Errorf("GET /api/upstream = %v after %d refreshes, want 200 after 0", a, p.Renewed())
	}
	body := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(text))
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	p.Change(func() {
		p.Routes["/elsewhere"] = func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("the call follows a redirect, with %v", r.Header)
		}
	})
	rejected := 0
	for _, test := range []struct {
		name   string
		route  http.HandlerFunc
		status int
		code   any
	}{
		{"another subject", body("application/json", `{"sub":"u2"}`), 503, "temporarily_unavailable"},
		{"not JSON", body("text/html", `{"sub":"u1"}`), 503, "temporarily_unavailable"},
		{"too long", body("application/json", `{"sub":"u1","a":"`+strings.Repeat("a", 300<<10)+`"}`), 503, "temporarily_unavailable"},
		{"redirect", http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP, 503, "temporarily_unavailable"},
		{"forbidden", status(http.StatusForbidden), 503, "temporarily_unavailable"},
		{"no response", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503, "temporarily_unavailable"},
		{"server error", status(http.StatusInternalServerError), 503, "temporarily_unavailable"},
		// The session goes on if another server rejects its token.
		{"token rejected", func(w http.ResponseWriter, _ *http.Request) {
			rejected++
			w.WriteHeader(http.StatusUnauthorized)
		}, 401, "invalid_token"},
		{"works again", nil, 200, nil},
	} {
		p.Change(func() { p.Routes["/userinfo"] = test.route })
		t.Log(test.name)
		s.want(b, "GET", "/api/upstream", test.status, test.code)
	}
	if rejected != 1 {
		t.Errorf("calls with the rejected token = %d, want 1", rejected)
	}
	s.wantLog("another subject")
	s.wantNoToken(b)
}

// TestUpstreamRefreshesTokens: expired tokens are refreshed, and the session ends
// when the login at the provider has ended.
func TestUpstreamRefreshesTokens(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Lifetime = 0 // expired at once
	s := open(t, p, nil)
	b := s.browser()
	for n := 1; n <= 3; n++ {
		if s.want(b, "GET", "/api/upstream", 200, nil); p.Renewed() != n {
			t.Fatalf("refreshes = %d, want %d", p.Renewed(), n)
		}
	}
	// The token expires on its way: one more call with a new one.
	p.Change(func() { p.Refuse = 1 })
	if s.want(b, "GET", "/api/upstream", 200, nil); p.Renewed() != 5 {
		t.Errorf("refreshes = %d, want 5", p.Renewed())
	}
	p.Change(func() { p.Refuse = 2 })
	s.want(b, "GET", "/api/upstream", 401, "invalid_token")
	p.Change(func() {
		p.Refuse = 0
		p.Routes["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	})
	s.want(b, "GET", "/api/upstream", 503, "temporarily_unavailable")
	p.Change(func() { delete(p.Routes, "/token") })
	s.want(b, "GET", "/api/upstream", 200, nil)
	p.EndLogins()
	s.want(b, "GET", "/api/upstream", 401, "invalid_token")
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 {
		t.Errorf("GET /api/me after the end of the login = %v, want 401", a)
	}
	s.wantLog("session_signed_out")
	s.wantLog("session_refreshed")
	s.wantNoToken(b)
}

func TestSessions(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	phone := webtest.NewBrowser(t)
	phone.UserAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
	phone.Go(s.URL + "/login")
	p.Change(func() { p.Subject = "u2" })
	other := s.browser()

	mine := make(map[string]object)
	all, _ := s.fetch(b, "GET", "/api/sessions").JSON(t)["sessions"].([]any)
	for _, one := range all {
		entry, _ := one.(object)
		label, _ := entry["label"].(string)
		mine[label] = entry
	}
	here, there := mine["Unknown browser"], mine["Safari on iOS"]
	if len(mine) != 2 || here["current"] != true || there["current"] != false || here["id"] != s.fetch(b, "GET", "/api/me").JSON(t)["session"] {
		t.Fatalf("sessions = %v, want this one and Safari on iOS", mine)
	}
	id, _ := there["id"].(string)
	end := "/api/sessions/" + id + "/end"
	s.want(other, "POST", end, 404, "not_found")
	s.want(phone, "GET", "/api/me", 200, nil)
	if a := s.fetch(b, "POST", end); a.Status != 200 || a.JSON(t)["ended"] != id || len(p.Revoked()) != 1 {
		t.Errorf("POST %s = %v, revoked %v, want 200 and one token", end, a, p.Revoked())
	}
	s.want(phone, "GET", "/api/me", 401, "invalid_token")
	s.want(b, "POST", end, 404, "not_found")
	id, _ = here["id"].(string)
	if s.want(b, "POST", "/api/sessions/"+id+"/end", 200, nil); len(p.Revoked()) != 2 {
		t.Errorf("revoked = %v, want two tokens", p.Revoked())
	}
	s.wantSignedOut(b)
}

func TestNotesAreBounded(t *testing.T) {
	n := notes{all: make(map[gatehouse.Key]string)}
	for i := range maxNotes {
		if !n.put(gatehouse.Key{Issuer: "a", Subject: string(rune(i + 0x10000))}, "a") {
			t.Fatalf("put refuses note %d of %d", i, maxNotes)
		}
	}
	if n.put(gatehouse.Key{Issuer: "b"}, "a") || n.all[gatehouse.Key{Issuer: "b"}] != "" {
		t.Error("put accepts a note above the limit")
	}
	if first := (gatehouse.Key{Issuer: "a", Subject: "\U00010000"}); !n.put(first, "b") || n.all[first] != "b" {
		t.Error("put refuses to change a note at the limit")
	}
}

func TestBrowserName(t *testing.T) {
	for header, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iOS",
		"":                             "Unknown browser",
		"Firefox/1 <script>\n":         "Firefox",
		"something on Windows":         "A browser on Windows",
		"Mozilla/5.0 HeadlessChrome/1": "Chrome",
	} {
		if got := browserName(header); got != want {
			t.Errorf("browserName(%q) = %q, want %q", header, got, want)
		}
	}
}

// TestOtherUser: a tab that still shows one user writes nothing into the account of
// another one who has signed in since.
func TestOtherUser(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	first, _ := s.fetch(b, "GET", "/api/me").JSON(t)["user"].(string)
	p.Change(func() { p.Subject = "u2" })
	b.Go(s.URL + "/login")
	second, _ := s.fetch(b, "GET", "/api/me").JSON(t)["user"].(string)
	if first == "" || second == "" || first == second {
		t.Fatalf("users %q and %q, want two", first, second)
	}
	const json, form = "application/json", "application/x-www-form-urlencoded"
	for _, test := range []struct {
		header, kind, body string // header is Session-User, "" for none
		status             int
		code               any
		note               string
	}{
		{first, "text/plain", "a", 409, "user_changed", ""},
		{"", json, `{"note":"a","user":"` + first + `"}`, 409, "other_user", ""},
		{"", form, "note=a&user=" + first, 409, "other_user", ""},
		{second, "text/plain", "a", 200, nil, "a"},
		{"", json, `{"note":"b","user":"` + second + `"}`, 200, nil, "b"},
		{"", form, "note=c&user=" + second, 200, nil, "c"},
		{"", json, `{"note":"d"}`, 200, nil, "d"},
	} {
		request := webtest.Request{Method: "POST", URL: s.URL + "/api/note", From: s.URL, Type: test.kind, Body: test.body}
		if test.header != "" {
			request.Header = http.Header{"Session-User": {test.header}}
		}
		a := b.Do(request)
		got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]
		if a.Status != test.status || got != test.note || a.JSON(t)["error"] != test.code {
			t.Errorf("POST %s for %q = %v, note %q, want %d %v, %q", test.body, test.header, a, got, test.status, test.code, test.note)
		}
	}
}
