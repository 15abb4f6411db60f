// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
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
	} {
		check("?return_to="+url.QueryEscape(good), good)
	}
	bad := []string{
		"//evil.example", "///evil.example", "////evil.example", `/\evil.example`, `\/evil.example`, `\\evil.example`, `/\/evil.example`,
		"https://evil.example", "https:evil.example", "HTTPS://evil.example", "http:/evil.example", "javascript:alert(1)", "data:text/html,x",
		"evil.example", "", "?x", "#x", ".", "..//evil.example", "@evil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example",
		"\t//evil.example", " //evil.example", "/ /evil.example", "/\x00/evil.example", "/.//evil.example", "/..//evil.example", "/a/..//evil.example",
		"/%2e%2e//evil.example", "/%2f/evil.example", "/%2F%2Fevil.example", "/%5cevil.example", "/%5C%5Cevil.example", "/%09/evil.example", "/%7f/evil.example",
		"/%0d%0aSet-Cookie:x", "/%2e/x", "/%3f/%2e%2e/x", "/a//b", "/%zz", "/\u2215evil.example", "/\uff0fevil.example", "/\u3002/evil", "/\u200b/evil.example",
		"/\xff", "/" + strings.Repeat("a", 2048),
	}
	for _, text := range bad {
		check("?return_to="+url.QueryEscape(text), "/", "signin_return_to_rejected")
	}
	for _, query := range []string{"?return_to=/a&return_to=/b", "?return_to=/a;x", "?return_to=%zz"} {
		check(query, "/", "signin_return_to_rejected")
	}
	check("?other=1", "/")
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

// TestReturnToSurvivesFailure: the error page of a failed login knows where the login
// would have led, also if no session starts, and nothing about the logins of others.
func TestReturnToSurvivesFailure(t *testing.T) {
	var got []string
	s := newSite(t, func(c *signin.Config) {
		c.ErrorPage = func(_ http.ResponseWriter, r *http.Request, _ *gatehouse.Error) {
			got = append(got, signin.ReturnTo(r))
		}
		c.Complete = func(*http.Request, *session.Login) error { return errors.New("down") }
	})
	response := s.Authorize(s.start("?return_to=/reports"))
	denied := s.Authorize(s.start("?return_to=/denied"))
	denied.Set("error", "access_denied")
	s.callback(response) // Complete fails
	s.callback(denied)   // the user canceled
	s.callback(response) // no pending login
	other := newSite(t, func(c *signin.Config) {
		c.ErrorPage = func(_ http.ResponseWriter, r *http.Request, _ *gatehouse.Error) {
			got = append(got, signin.ReturnTo(r))
		}
	})
	other.Routes["/.well-known/openid-configuration"] = raw(503, "")
	other.do(http.MethodGet, "/auth/login?return_to=/later")
	if want := []string{"/reports", "/denied", "", "/later"}; !slices.Equal(got, want) {
		t.Errorf("ReturnTo = %q, want %q", got, want)
	}
}
