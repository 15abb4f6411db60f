// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// TestReturnTo: a return_to that is not a path on this host (open redirect) leads
// to Home, and is recorded.
//
// Covers RFC 9700 §2.1 (redirect).
func TestReturnTo(t *testing.T) {
	s := newSite(t)
	check := func(query, want string, events ...string) {
		t.Helper()
		if got := s.login(query).Header().Get("Location"); got != want {
			t.Errorf("%q leads to %q, want %q", query, got, want)
		}
		if got := s.events.names(); !slices.Equal(got, append(events, "session_started")) {
			t.Errorf("%q: events %q, want %q and session_started", query, got, events)
		}
	}
	for _, good := range []string{
		"/", "/reports", "/reports/", "/reports/2026?by=month&x=//y", "/a.b/..c", "/#part", "/?u=https://other.example/", "/a%20b", "/caf%C3%A9",
		"/" + strings.Repeat("a", 2047),
	} {
		check("?return_to="+url.QueryEscape(good), good)
	}
	bad := []string{
		"//evil.example", "///evil.example", "////evil.example", `/\evil.example`, `\/evil.example`, `\\evil.example`, `/\/evil.example`,
		"https://evil.example", "https:evil.example", "HTTPS://evil.example", "http:/evil.example", "javascript:alert(1)", "data:text/html,x",
		"evil.example", "", "?x", "#x", ".", "..//evil.example", "@evil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example",
		"\t//evil.example", " //evil.example", "/ /evil.example", "/\x00/evil.example", "/.//evil.example", "/..//evil.example", "/a/..//evil.example",
		"/%2e%2e//evil.example", "/%2f/evil.example", "/%2F%2Fevil.example", "/%5cevil.example", "/%5C%5Cevil.example", "/%09/evil.example", "/%7f/evil.example",
		"/%0d%0aSet-Cookie:x", "/%2e/x", "/%3f/%2e%2e/x", "/a//b", "/%zz", "/a#%zz", "/\u2215evil.example", "/\uff0fevil.example", "/\u3002/evil", "/\u200b/evil.example",
		"/\xff", "/?\x7f", `/?\evil.example`, "/" + strings.Repeat("a", 2048),
	}
	for _, text := range bad {
		check("?return_to="+url.QueryEscape(text), "/", "signin_return_to_rejected")
	}
	for _, query := range []string{"?return_to=/a&return_to=/b", "?return_to=/a;x", "?return_to=%zz"} {
		check(query, "/", "signin_return_to_rejected")
	}
	check("?other=1", "/")
	s.do(http.MethodGet, "/auth/login?return_to=x", func(r *http.Request) { r.Pattern = "/auth/" })
	e := s.events.take()[0]
	got := []string{e.Issuer, e.Method, e.Host, e.Path, e.Route}
	if want := []string{s.Config().Issuer, "GET", "example.com", "/auth/login", "/auth/"}; !slices.Equal(got, want) {
		t.Errorf("event of %q, want %q", got, want)
	}
}

// TestReturnToAnotherOrigin: with pages on another origin, return_to is ignored.
func TestReturnToAnotherOrigin(t *testing.T) {
	s := newSite(t, func(c *signin.Config) { c.Home = "https://spa.example.com/" })
	for _, query := range []string{"", "?return_to=/reports", "?return_to=//evil.example"} {
		if got := s.login(query).Header().Get("Location"); got != "https://spa.example.com/" {
			t.Errorf("%q leads to %q, want https://spa.example.com/", query, got)
		}
	}
}

// TestReturnToSurvivesFailure: the page of a failed login leads where the login would have
// led, also if no session starts, and to nothing of the logins of others.
func TestReturnToSurvivesFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(c *signin.Config) {
			c.Complete = func(*http.Request, *session.Login) error { return errors.New("down") }
		})
		link := func(name string, w *httptest.ResponseRecorder, want string) {
			t.Helper()
			if !strings.Contains(w.Body.String(), `href="`+want+`"`) || w.Code < 400 {
				t.Errorf("%s: %d %s, want a link to %s", name, w.Code, w.Body, want)
			}
		}
		again := func(path string) string { return "/auth/login?return_to=" + url.QueryEscape(path) }
		response := s.Authorize(s.start("?return_to=/reports%3Fyear%3D2026"))
		denied := s.Authorize(s.start("?return_to=/denied"))
		denied.Set("error", "access_denied")
		late := s.Authorize(s.start("?return_to=/late"))
		stale := s.Authorize(s.start("?return_to=/stale"))
		link("Complete fails", s.callback(response), again("/reports?year=2026"))
		link("the user canceled", s.callback(denied), again("/denied"))
		link("no pending login", s.callback(response), "/auth/login")
		time.Sleep(11 * time.Minute)
		link("too late", s.callback(late), again("/late"))
		time.Sleep(9*time.Minute + time.Second)
		link("much too late", s.callback(stale), "/auth/login")
		_ = s.Close()
		down := newSite(t)
		down.Routes["/.well-known/openid-configuration"] = raw(503, "")
		link("the authorization server is down", down.do(http.MethodGet, "/auth/login?return_to=/later"), again("/later"))
		_ = down.Close()
	})
}
