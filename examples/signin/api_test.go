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
			t.Errorf("%s %.40s: %v", test.kind, test.body, a)
		}
		if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != test.note {
			t.Errorf("%s %.40s: the note is then %.40v", test.kind, test.body, got)
		}
	}
	p.Change(func() { p.Subject = "u2" })
	if got := s.fetch(s.browser(), "GET", "/api/note").JSON(t)["note"]; got != "" {
		t.Errorf("somebody else reads %.40v", got)
	}
}

// TestFromElsewhere holds that the pages of others change nothing and read
// nothing, of whichever kind their requests are.
func TestFromElsewhere(t *testing.T) {
	s := open(t, webtest.NewProvider(t), nil)
	b := s.browser()
	if a := s.note(b, "text/plain", "mine"); a.Status != 200 {
		t.Fatal(a)
	}
	sibling := "http://127.0.0.1:1" // of the same site, so the cookie comes along
	for what, request := range map[string]webtest.Request{
		"a form":              {Method: "POST", URL: "/api/note", Type: "text/plain", Body: "theirs", Navigation: true},
		"a script":            {Method: "POST", URL: "/api/note", Type: "text/plain", Body: "theirs"},
		"a script that reads": {Method: "GET", URL: "/api/note"},
		"an end":              {Method: "POST", URL: "/api/sessions/a/end"},
		"a WebSocket":         {Method: "GET", URL: "/api/me", Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}},
	} {
		request.URL, request.From = s.URL+request.URL, sibling
		if a := b.Do(request); a.Status != 403 {
			t.Errorf("%s: %v", what, a)
		}
	}
	if got := s.fetch(b, "GET", "/api/note").JSON(t)["note"]; got != "mine" {
		t.Errorf("the note is %v", got)
	}
	if !strings.Contains(s.log.String(), "cross_site") {
		t.Error("nothing in the log")
	}
}

// TestBehindProxy holds that the page may use its server where a proxy in between
// has another name for that, also with a browser that sends Origin alone.
func TestBehindProxy(t *testing.T) {
	const origin = "https://notes.example.com"
	p := webtest.NewProvider(t)
	s := openFor(t, p, origin, nil)
	for from, status := range map[string]int{origin: 401, "https://evil.example": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/note", strings.NewReader("a"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", from)
		r.AddCookie(&http.Cookie{Name: "__Host-Http-signin", Value: strings.Repeat("A", 43)}) // of no session
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != status {
			t.Errorf("from %s: %d, want %d", from, response.StatusCode, status)
		}
	}
}

func TestUpstream(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	ask := func(status int, code string) {
		t.Helper()
		a := s.fetch(b, "GET", "/api/upstream")
		if got, _ := a.JSON(t)["error"].(string); a.Status != status || got != code {
			t.Errorf("%v, want %d %s", a, status, code)
		}
	}
	a := s.fetch(b, "GET", "/api/upstream")
	if got := a.JSON(t); a.Status != 200 || got["sub"] != "u1" || got["email"] != "ada@example.com" || p.Renewed() != 0 {
		t.Errorf("%v after %d renewals", a, p.Renewed())
	}
	p.Change(func() {
		p.Routes["/elsewhere"] = func(w http.ResponseWriter, r *http.Request) {
			t.Errorf("the call follows a redirect, with %v", r.Header)
		}
	})
	for what, answer := range map[string]http.HandlerFunc{
		"somebody else": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"sub":"u2"}`))
		},
		"not JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(`{"sub":"u1"}`))
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"sub":"u1","a":"` + strings.Repeat("a", 300<<10) + `"}`))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"a refusal":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
	} {
		p.Change(func() { p.Routes["/userinfo"] = answer })
		t.Log(what)
		ask(503, "temporarily_unavailable")
	}
	if !strings.Contains(s.log.String(), "not the subject") {
		t.Error("the log does not say why")
	}
	for _, answer := range []http.HandlerFunc{
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		p.Change(func() { p.Routes["/userinfo"] = answer })
		ask(503, "temporarily_unavailable")
	}
	p.Change(func() { delete(p.Routes, "/userinfo") })
	ask(200, "")
	s.holdsNoToken(b)
}

// TestUpstreamRenews holds that tokens are renewed when they are over, and that
// the end of the login there is the end of the session here.
func TestUpstreamRenews(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Lifetime = 0 // over as soon as they are there
	s := open(t, p, nil)
	b := s.browser()
	for n := 1; n <= 3; n++ {
		if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 200 || p.Renewed() != n {
			t.Fatalf("%v after %d renewals, want %d", a, p.Renewed(), n)
		}
	}
	// The token was good when it was taken, and over when it was shown.
	p.Change(func() { p.Refuse = 1 })
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 200 || p.Renewed() != 5 {
		t.Errorf("%v after %d renewals", a, p.Renewed())
	}
	p.Change(func() { p.Refuse = 2 })
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 401 || a.JSON(t)["error"] != "invalid_token" {
		t.Errorf("with two that are refused: %v", a)
	}
	p.Change(func() { p.Refuse = 0 })
	// The provider does not answer: the tokens are over, and nobody is signed out.
	p.Change(func() {
		p.Routes["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	})
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 503 {
		t.Errorf("while the provider is down: %v", a)
	}
	p.Change(func() { delete(p.Routes, "/token") })
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 200 {
		t.Errorf("afterwards: %v", a)
	}
	p.EndLogins()
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 401 {
		t.Errorf("when the login is over: %v", a)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 401 {
		t.Errorf("the session afterwards: %v", a)
	}
	if !strings.Contains(s.log.String(), `"event":"signed_out"`) || !strings.Contains(s.log.String(), `"event":"refreshed"`) {
		t.Error("nothing in the log")
	}
	s.holdsNoToken(b)
}

// TestUpstreamRefusesToken holds that a good session does not end because another
// server does not take its token: the person is told to sign in again.
func TestUpstreamRefusesToken(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	asked := 0
	p.Change(func() {
		p.Routes["/userinfo"] = func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	if a := s.fetch(b, "GET", "/api/upstream"); a.Status != 401 || a.JSON(t)["error"] != "invalid_token" || asked != 1 {
		t.Errorf("%v after %d calls", a, asked)
	}
	if a := s.fetch(b, "GET", "/api/me"); a.Status != 200 {
		t.Errorf("the session afterwards: %v", a)
	}
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

	list := func(b *webtest.Browser) map[string]object {
		t.Helper()
		found := make(map[string]object)
		all, _ := s.fetch(b, "GET", "/api/sessions").JSON(t)["sessions"].([]any)
		for _, one := range all {
			entry, _ := one.(object)
			label, _ := entry["label"].(string)
			found[label] = entry
		}
		return found
	}
	mine := list(b)
	here, there := mine["Unknown browser"], mine["Safari on iOS"]
	if len(mine) != 2 || here["current"] != true || there["current"] != false || here["id"] != s.fetch(b, "GET", "/api/me").JSON(t)["session"] {
		t.Fatalf("sessions %v", mine)
	}
	id, _ := there["id"].(string)
	if a := s.fetch(other, "POST", "/api/sessions/"+id+"/end"); a.Status != 404 {
		t.Errorf("by somebody else: %v", a)
	}
	if a := s.fetch(phone, "GET", "/api/me"); a.Status != 200 {
		t.Fatalf("the other one: %v", a)
	}
	if a := s.fetch(b, "POST", "/api/sessions/"+id+"/end"); a.Status != 200 || a.JSON(t)["ended"] != id || len(p.Revoked()) != 1 {
		t.Errorf("end: %v, revoked %v", a, p.Revoked())
	}
	if a := s.fetch(phone, "GET", "/api/me"); a.Status != 401 {
		t.Errorf("the other one afterwards: %v", a)
	}
	if a := s.fetch(b, "POST", "/api/sessions/"+id+"/end"); a.Status != 404 {
		t.Errorf("end it again: %v", a)
	}
	id, _ = here["id"].(string)
	if a := s.fetch(b, "POST", "/api/sessions/"+id+"/end"); a.Status != 200 || len(p.Revoked()) != 2 {
		t.Errorf("end this one: %v, revoked %v", a, p.Revoked())
	}
	s.signedOut(b)
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
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iOS",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36":                            "Chrome on Android",
		"curl/8.0":                     "Unknown browser",
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
