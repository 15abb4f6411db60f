// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

type object = webtest.Object

// site is the application on its public origin. The requests of a browser to the
// routes of the proxy go to it directly.
type site struct {
	*httptest.Server
	t        *testing.T
	provider *webtest.Provider
	log      *webtest.Log
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func open(t *testing.T, p *webtest.Provider, changes object) *site {
	t.Helper()
	s := &site{t: t, provider: p, log: new(webtest.Log), Server: httptest.NewUnstartedServer(nil)}
	all := object{"session_store": nil, "idle": nil, "absolute": nil, "proxies": []string{"127.0.0.0/8"}}
	maps.Copy(all, changes)
	config := must(readConfig(webtest.Configure(t, "http://"+s.Listener.Addr().String(), p.URL, all)))
	app := must(newApp(config, slog.New(slog.NewJSONHandler(s.log, nil))))
	s.Config.Handler = app.handler
	s.Start()
	t.Cleanup(func() {
		s.Close()
		_ = app.signin.Close()
		p.CheckLog(t, s.log)
	})
	return s
}

// forwarded are the headers that describe a request to the proxy.
func (s *site) forwarded(method, uri string) http.Header {
	return http.Header{
		"X-Forwarded-Method": {method}, "X-Forwarded-Proto": {"http"},
		"X-Forwarded-Host": {s.Listener.Addr().String()}, "X-Forwarded-Uri": {uri},
	}
}

// ask sends the question of a proxy about a request from a page of an origin.
func (s *site) ask(b *webtest.Browser, endpoint string, header http.Header, from string, navigation bool) webtest.Page {
	s.t.Helper()
	r := webtest.Request{Method: "GET", URL: s.URL + endpoint, Header: header, From: from, Navigation: navigation}
	if from != "" && header.Get("X-Forwarded-Method") != "GET" {
		r.Header = header.Clone()
		r.Header.Set("Origin", from)
	}
	page := b.Do(r)
	if page.Header.Get("Cache-Control") != "no-store" {
		s.t.Errorf("%s: Cache-Control %q, want no-store", endpoint, page.Header.Get("Cache-Control"))
	}
	return page
}

func (s *site) signedIn() *webtest.Browser {
	s.t.Helper()
	b := webtest.NewBrowser(s.t)
	b.Go(s.URL + "/auth/login")
	if len(b.Cookies()) != 1 {
		s.t.Fatalf("cookies = %v, want the session", b.Cookies())
	}
	return b
}

// TestAnswers: the answers to each proxy, for a browser with and without a session.
func TestAnswers(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Claims["email_verified"] = true
	p.Subject = "ada/1 ä"
	s := open(t, p, nil)
	ada, anonymous := s.signedIn(), webtest.NewBrowser(t)
	const path = "/report?a=b&c=%26d"
	login := "/auth/login?return_to=" + url.QueryEscape(path)
	for _, test := range []struct {
		name       string
		browser    *webtest.Browser
		method     string
		from       string
		navigation bool
		nginx      int
		header     string // X-Auth-Login
		traefik    int
		location   string
	}{
		{"navigation", ada, "GET", "", true, 200, "", 200, ""},
		{"script", ada, "GET", s.URL, false, 200, "", 200, ""},
		{"form", ada, "POST", s.URL, true, 200, "", 200, ""},
		{"form of a sibling (CSRF)", ada, "POST", "http://127.0.0.1:1", true, 403, "", 403, ""},
		{"script of a sibling", ada, "GET", "http://127.0.0.1:1", false, 403, "", 403, ""},
		{"unknown method of a sibling", ada, "PURGE", "http://127.0.0.1:1", true, 403, "", 403, ""},
		{"navigation, signed out", anonymous, "GET", "", true, 401, login, 303, s.URL + login},
		{"script, signed out", anonymous, "GET", s.URL, false, 401, "", 401, ""},
		{"form, signed out", anonymous, "POST", s.URL, true, 401, "", 401, ""},
	} {
		header := s.forwarded(test.method, path)
		header["X-Auth-Subject"] = []string{"admin"}
		nginx := s.ask(test.browser, "/auth_request", header, test.from, test.navigation)
		if nginx.Status != test.nginx || nginx.Header.Get("X-Auth-Login") != test.header || nginx.Header.Get("Location") != "" {
			t.Errorf("%s: nginx gets %v %v, want %d and the login %q", test.name, nginx, nginx.Header, test.nginx, test.header)
		}
		traefik := s.ask(test.browser, "/forward_auth", header, test.from, test.navigation)
		if traefik.Status != test.traefik || traefik.Header.Get("Location") != test.location {
			t.Errorf("%s: Traefik gets %v, want %d and %q", test.name, traefik, test.traefik, test.location)
		}
		for _, page := range []webtest.Page{nginx, traefik} {
			got := [3]string{page.Header.Get("X-Auth-Issuer"), page.Header.Get("X-Auth-Subject"), page.Header.Get("X-Auth-Email")}
			want := [3]string{url.PathEscape(p.URL), "ada%2F1%20%C3%A4", "ada@example.com"}
			if page.Status != 200 {
				want = [3]string{}
			}
			if got != want {
				t.Errorf("%s: identity = %q, want %q", test.name, got, want)
			}
			if page.Status == 401 && page.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: 401 without a challenge", test.name)
			}
		}
	}
	header := s.forwarded("GET", "/")
	header.Set("Authorization", "Bearer a")
	if page := s.ask(ada, "/auth_request", header, "", true); page.Status != 401 || page.Header.Get("X-Auth-Login") != "" {
		t.Errorf("a second credential: %v, want 401", page)
	}
	header.Set("Authorization", "Bearer a b") // 400
	if page := s.ask(ada, "/auth_request", header, "", true); page.Status != 403 {
		t.Errorf("a malformed credential: %v, want 403, which nginx knows", page)
	}
}

// TestForwardedHeadersAreChecked: a request that does not come from the proxy, or does
// not describe a request for the application, is refused, whatever its cookie.
func TestForwardedHeadersAreChecked(t *testing.T) {
	p := webtest.NewProvider(t)
	s, closed := open(t, p, nil), open(t, p, object{"proxies": []string{"192.0.2.0/24"}})
	ada := s.signedIn()
	for name, change := range map[string][]string{ // of the header X-Forwarded-…
		"no method": {"Method"}, "empty method": {"Method", ""}, "malformed method": {"Method", "GET /"}, "two methods": {"Method", "GET", "GET"},
		"no scheme": {"Proto"}, "another scheme": {"Proto", "https"},
		"no host": {"Host"}, "another host": {"Host", "evil.example"}, "two hosts": {"Host", s.Listener.Addr().String(), "evil.example"},
		"no path": {"Uri"}, "a URL": {"Uri", "https://evil.example/"}, "no slash": {"Uri", "a"}, "malformed path": {"Uri", "/%zz"},
	} {
		header := s.forwarded("GET", "/")
		header["X-Forwarded-"+change[0]] = change[1:]
		for _, endpoint := range []string{"/auth_request", "/forward_auth"} {
			if page := s.ask(ada, endpoint, header, "", true); page.Status != 403 || page.Header.Get("X-Auth-Subject") != "" {
				t.Errorf("%s: %s = %v, want 403", name, endpoint, page)
			}
		}
	}
	if page := closed.ask(ada, "/auth_request", closed.forwarded("GET", "/"), "", true); page.Status != 403 || !strings.Contains(closed.log.String(), "not a proxy") {
		t.Errorf("from another peer = %v, want 403", page)
	}
}

// TestPlainHTTPIsAnotherOrigin: a page of http://app.example.com is not one of
// https://app.example.com, for browsers that send no Sec-Fetch-Site.
func TestPlainHTTPIsAnotherOrigin(t *testing.T) {
	s := open(t, webtest.NewProvider(t), object{"public_origin": "https://app.example.com"})
	for origin, want := range map[string]int{"https://app.example.com": 401, "http://app.example.com": 403} {
		r := httptest.NewRequest(http.MethodGet, "/auth_request", http.NoBody)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header = s.forwarded("POST", "/")
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-Host", "app.example.com")
		r.Header.Set("Origin", origin)
		r.Header.Set("Cookie", "__Host-Http-forwardauth=malformed")
		w := httptest.NewRecorder()
		if s.Config.Handler.ServeHTTP(w, r); w.Code != want {
			t.Errorf("POST from %s = %d, want %d", origin, w.Code, want)
		}
	}
}

// TestLoginStaysOnTheHost: no path leads to another host after the login.
func TestLoginStaysOnTheHost(t *testing.T) {
	s := open(t, webtest.NewProvider(t), nil)
	for uri, want := range map[string]string{
		"/report?a=b&c=d": "/report?a=b&c=d", "//evil.example/": "/", `/\evil.example`: "/", "/%2f/evil.example": "/", "/a/..//evil.example": "/", "/%5cevil.example": "/",
	} {
		b := webtest.NewBrowser(t)
		login := s.ask(b, "/auth_request", s.forwarded("GET", uri), "", true).Header.Get("X-Auth-Login")
		if !strings.HasPrefix(login, "/auth/login?return_to=") {
			t.Errorf("%s: login = %q, want the login", uri, login)
			continue
		}
		if page := b.Go(s.URL + login); page.URL != s.URL+want {
			t.Errorf("%s: the login ends at %s, want %s", uri, page.URL, want)
		}
	}
}

// TestDomains: only users with a verified email address of a domain may sign in.
func TestDomains(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, object{"domains": []string{"example.com"}})
	for _, test := range []struct {
		email    any
		verified any
		status   int
	}{
		{"ada@example.com", true, 404},
		{"ada@EXAMPLE.com", true, 404}, // the application has no page
		{"ada@example.com", false, 403},
		{"ada@example.com", nil, 403},
		{"ada@example.com", "true", 404},
		{"ada@sub.example.com", true, 403},
		{"", true, 403},
		{nil, true, 403},
	} {
		p.Change(func() { p.Claims["email"], p.Claims["email_verified"] = test.email, test.verified })
		b := webtest.NewBrowser(t)
		if page := b.Go(s.URL + "/auth/login"); page.Status != test.status || (len(b.Cookies()) != 0) != (test.status == 404) {
			t.Errorf("login with %v, verified %v = %v with the cookies %v, want %d", test.email, test.verified, page, b.Cookies(), test.status)
		}
	}
}

func TestConfig(t *testing.T) {
	webtest.CheckReadme(t, string(must(os.ReadFile("README.md"))), config{})
	t.Setenv("FORWARDAUTH_CLIENT_SECRET", webtest.ClientSecret)
	t.Setenv("FORWARDAUTH_COOKIE_KEY", webtest.CookieKey)
	text := must(os.ReadFile("config.example.json"))
	for change, want := range map[string]string{
		"":                        "",
		`"127.0.0.1/32"`:          "proxies: required",
		`"127.0.0.1/32", "::/0"`:  `proxies[1]: "::/0" is not a network`,
		`"127.0.0.1"`:             "proxies[0]: ",
		`"127.0.0.1/8"`:           "proxies[0]: ",
		`"::ffff:127.0.0.1/128"`:  "proxies[0]: ",
		`"127.0.0.1/32"], "a": [`: `unknown field "a"`,
	} {
		changed := string(text)
		switch {
		case strings.HasPrefix(want, "proxies: "):
			changed = strings.Replace(changed, change, "", 1)
		case change != "":
			changed = strings.Replace(changed, `"127.0.0.1/32"`, change, 1)
		}
		config, err := readConfig(webtest.Write(t, changed))
		if err == nil {
			_, err = newApp(config, slog.New(slog.DiscardHandler))
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("with %s: %v, want %q", change, err, want)
		}
	}
}
